"""ConvNet5, SimpleNet, WideNet and ResSimpleNet: plain stacks of convolutions for small images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class Step:
    """One convolution with stride 1, with the padding that keeps the size, and max pooling before it."""

    outputs: int
    kernel: int = 3
    pool: bool = False


SIMPLE_STEPS = (
    *(Step(16), Step(20), Step(20), Step(20), Step(20, pool=True), Step(20), Step(44)),
    *(Step(48, pool=True), Step(48), Step(96, pool=True)),
    *(Step(512, kernel=1, pool=True), Step(128, kernel=1), Step(128, pool=True)),
)

WIDE_STEPS = (
    *(Step(24), Step(32), Step(32), Step(32), Step(32, pool=True), Step(32), Step(64)),
    *(Step(64, pool=True), Step(64), Step(128, pool=True)),
    *(Step(512, kernel=1, pool=True), Step(192, kernel=1), Step(192, pool=True)),
)


def _stage(inputs: int, step: Step, *, bias: bool) -> nn.Sequential:
    layers: list[nn.Module] = [nn.MaxPool2d(2)] if step.pool else []
    layers.append(nn.Conv2d(inputs, step.outputs, step.kernel, padding=step.kernel // 2, bias=bias))
    return nn.Sequential(*layers, nn.ReLU())


def _stages(steps: Sequence[Step], *, bias: bool) -> nn.ModuleList:
    inputs = (3, *(step.outputs for step in steps))
    return nn.ModuleList(_stage(size, step, bias=bias) for size, step in zip(inputs, steps, strict=False))


class ConvNet5(nn.Module):
    """Ten classes of 1x28x28 images: four convolutions and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *(nn.Conv2d(1, 60, 3, padding=1, bias=False), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(60, 60, 3, padding=2, bias=False), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(60, 56, 3, padding=1, bias=False), nn.ReLU(), nn.AvgPool2d(2)),
            *(nn.Conv2d(56, 12, 3, padding=1, bias=False), nn.ReLU()),
        )
        self.classify = nn.Linear(12 * 4 * 4, 10)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return scores (N, 10) for images (N, 1, 28, 28)."""
        scores: torch.Tensor = self.classify(self.features(image).flatten(1))
        return scores


class SimpleNet(nn.Module):
    """A hundred classes of 3x32x32 images: fourteen convolutions in a row, or wider ones (``wide``)."""

    def __init__(self, wide: bool = False) -> None:
        super().__init__()
        steps = WIDE_STEPS if wide else SIMPLE_STEPS
        self.stages = _stages(steps, bias=True)
        self.classify = nn.Conv2d(steps[-1].outputs, 100, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return scores (N, 100) for images (N, 3, 32, 32)."""
        for stage in self.stages:
            image = stage(image)
        scores: torch.Tensor = self.classify(image)
        return scores.flatten(1)


class WideNet(SimpleNet):
    """SimpleNet with wider layers."""

    def __init__(self) -> None:
        super().__init__(wide=True)


RESIDUAL_STAGES = (2, 5, 8)
"""Stages of ResSimpleNet whose input is added to their output."""


class ResSimpleNet(nn.Module):
    """SimpleNet without biases, with three residual additions."""

    def __init__(self) -> None:
        super().__init__()
        self.stages = _stages(SIMPLE_STEPS, bias=False)
        self.classify = nn.Conv2d(SIMPLE_STEPS[-1].outputs, 100, 1, bias=False)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return scores (N, 100) for images (N, 3, 32, 32)."""
        for index, stage in enumerate(self.stages):
            made = stage(image)
            image = image + made if index in RESIDUAL_STAGES else made
        scores: torch.Tensor = self.classify(image)
        return scores.flatten(1)
