"""MobileNetV2 (width 0.75) for a hundred classes of 3x32x32 images, with depthwise layers or without."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class Stage:
    """``count`` bottlenecks; the first widens to ``outputs`` and, with ``pool``, halves the size."""

    outputs: int
    count: int
    pool: bool = False


STAGES = (Stage(20, 2, pool=True), Stage(24, 3, pool=True), Stage(48, 4, pool=True), Stage(72, 3))
EXPANSION = 6
STEM, FIRST, LAST = 24, 12, 240


class Bottleneck(nn.Module):
    """Expand, convolve depthwise, reduce; added to its input where the number of channels stays."""

    def __init__(self, inputs: int, outputs: int, *, depthwise: bool, pool: bool = False) -> None:
        super().__init__()
        width = EXPANSION * inputs
        layers = [nn.Conv2d(inputs, width, 1), nn.ReLU(), *_depthwise(width, depthwise=depthwise, pool=pool)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(width, outputs, 1))
        self.residual = inputs == outputs

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return maps of the same size, or half of it."""
        made: torch.Tensor = self.layers(image)
        return image + made if self.residual else made


def _depthwise(width: int, *, depthwise: bool, pool: bool = False) -> list[nn.Module]:
    """Return a depthwise layer and the pooling that it carries; the form without it has neither."""
    if not depthwise:
        return []
    conv = nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False)
    return [*([nn.MaxPool2d(2)] if pool else []), conv, nn.ReLU()]


class MobileNetV2(nn.Module):
    """MobileNetV2; without ``depthwise`` the form for MAX78000, narrower at its end.

    That form keeps 32x32 maps to its last pooling, and scores 8x8 places of the image.
    """

    def __init__(self, depthwise: bool = True) -> None:
        super().__init__()
        wide, head = (120, 960) if depthwise else (80, 480)
        self.stem = nn.Sequential(nn.Conv2d(3, STEM, 3, padding=1), nn.ReLU())
        self.first = nn.Sequential(*_depthwise(STEM, depthwise=depthwise), nn.Conv2d(STEM, FIRST, 1))
        blocks: list[nn.Module] = []
        inputs = FIRST
        for stage in (*STAGES, Stage(wide, 3), Stage(LAST, 1)):
            for index in range(stage.count):
                pool = stage.pool and index == 0
                blocks.append(Bottleneck(inputs, stage.outputs, depthwise=depthwise, pool=pool))
                inputs = stage.outputs
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Sequential(nn.Conv2d(LAST, head, 1, bias=False), nn.ReLU(), nn.AvgPool2d(4))
        self.classify = nn.Conv2d(head, 100, 1, bias=False)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return scores (N, 100) or (N, 100, 8, 8) for images (N, 3, 32, 32)."""
        scores: torch.Tensor = self.classify(self.head(self.blocks(self.first(self.stem(image)))))
        return scores.flatten(1) if scores.shape[2:] == (1, 1) else scores
