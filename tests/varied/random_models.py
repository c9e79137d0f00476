"""Random models from seeds: layers of all kinds in random order, with branches that meet again."""

from __future__ import annotations

import random

import torch
from torch import Tensor, nn
from torch.nn import functional as f


class Residual(nn.Module):
    """Adds what a body makes to its input."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.body(x)
        return y


class Joined(nn.Module):
    """Concatenates what two bodies make."""

    def __init__(self, one: nn.Module, two: nn.Module) -> None:
        super().__init__()
        self.one, self.two = one, two

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.one(x), self.two(x)], dim=1)


class RandomModel(nn.Module):
    """A model of 3x16x16 images (``lines``: 4x48 sequences) that the seed decides; gives 2 to 6 scores."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        choose = random.Random(seed)  # noqa: S311 - not for secrets
        self.lines = choose.random() < 0.25
        self.shape = (4, 48) if self.lines else (3, 16, 16)
        self.choose = choose
        channels, size = self.shape[0], self.shape[1]
        parts: list[nn.Module] = []
        for _ in range(choose.randint(2, 5)):
            part, channels, size = self._part(channels, size)
            parts.append(part)
        self.parts = nn.Sequential(*parts)
        self.head = nn.Linear(channels, choose.randint(2, 6))

    def forward(self, x: Tensor) -> Tensor:
        x = self.parts(x)
        y: Tensor = self.head(f.adaptive_avg_pool1d(x, 1).flatten(1) if self.lines else x.mean((2, 3)))
        return y

    def _part(self, channels: int, size: int) -> tuple[nn.Module, int, int]:
        kind = self.choose.choice(("conv", "conv", "residual", "joined", "pool", "strided", "depthwise"))
        wide = self.choose.choice((4, 6, 8, 12, 16))
        if kind == "residual":
            return Residual(self._conv(channels, channels)), channels, size
        if kind == "joined":
            return Joined(self._conv(channels, wide), self._conv(channels, 8)), wide + 8, size
        if kind == "pool" and size >= 4:
            pools = (nn.MaxPool1d, nn.AvgPool1d) if self.lines else (nn.MaxPool2d, nn.AvgPool2d)
            return self.choose.choice(pools)(2), channels, size // 2
        if kind == "strided" and size >= 8:
            return self._conv(channels, wide, stride=2), wide, (size - 1) // 2 + 1
        if kind == "depthwise":
            return self._conv(channels, channels, groups=channels), channels, size
        return self._conv(channels, wide), wide, size

    def _conv(self, inputs: int, outputs: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
        taps = self.choose.choice((1, 3, 3, 5) if self.lines or groups == 1 else (3,))
        bias = self.choose.random() < 0.5
        make, norm = (nn.Conv1d, nn.BatchNorm1d) if self.lines else (nn.Conv2d, nn.BatchNorm2d)
        parts: list[nn.Module] = [
            make(inputs, outputs, taps, stride, padding=taps // 2, groups=groups, bias=bias)
        ]
        if self.choose.random() < 0.5:
            parts.append(norm(outputs))
        activations = (nn.ReLU(), nn.ReLU6(), nn.LeakyReLU(0.2), nn.Hardtanh(), nn.Identity())
        return nn.Sequential(*parts, self.choose.choice(activations))
