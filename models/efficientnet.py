"""EfficientNetV2 for a hundred classes of 3x32x32 images, with depthwise convolutions or without."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class Block:
    """An inverted bottleneck; ``fused``: one 3x3 convolution expands, instead of 1x1 and depthwise 3x3."""

    inputs: int
    outputs: int
    fused: bool

    @property
    def expanded(self) -> int:
        """Channels in the middle."""
        return 4 * self.inputs


BLOCKS = (
    *(Block(16, 32, fused=True), Block(32, 32, fused=True)),
    *(Block(32, 48, fused=True), Block(48, 48, fused=True)),
    *(Block(48, 96, fused=False), Block(96, 96, fused=False)),
    *(Block(96, 128, fused=False), Block(128, 128, fused=False)),
)


def _conv(inputs: int, outputs: int, kernel: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)


class Bottleneck(nn.Module):
    """A block, with a residual addition where it keeps the number of channels."""

    def __init__(self, block: Block, depthwise: bool) -> None:
        super().__init__()
        expanded = block.expanded
        layers = [_conv(block.inputs, expanded, 3 if block.fused else 1), nn.ReLU()]
        if depthwise and not block.fused:
            layers += [nn.Conv2d(expanded, expanded, 3, padding=1, groups=expanded), nn.ReLU()]
        self.layers = nn.Sequential(*layers, _conv(expanded, block.outputs, 1))
        self.residual = block.inputs == block.outputs

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return maps of the same size."""
        made: torch.Tensor = self.layers(image)
        return image + made if self.residual else made


class EfficientNetV2(nn.Module):
    """EfficientNetV2; without ``depthwise`` the form for MAX78000, which also has half as wide a head."""

    def __init__(self, depthwise: bool = True) -> None:
        super().__init__()
        width = 1024 if depthwise else 512
        self.stem = nn.Sequential(nn.MaxPool2d(2), _conv(3, 32, 3), nn.ReLU(), _conv(32, 16, 1))
        self.blocks = nn.Sequential(*(Bottleneck(block, depthwise) for block in BLOCKS))
        self.head = nn.Sequential(_conv(BLOCKS[-1].outputs, width, 1), nn.ReLU(), nn.AvgPool2d(16))
        self.classify = nn.Linear(width, 100)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return scores (N, 100) for images (N, 3, 32, 32)."""
        scores: torch.Tensor = self.classify(self.head(self.blocks(self.stem(image))).flatten(1))
        return scores
