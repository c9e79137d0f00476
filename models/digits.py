"""Handwritten digits, 8x8 enlarged to 28x28, one channel in [-1, 1): the demo model."""

from __future__ import annotations

import torch
from torch import nn


def _block(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


class DigitsNet(nn.Module):
    """Ten classes of 1x28x28 images.

    The layers cover what the accelerator does differently from one to the next: a layer of one channel, a
    1x1 kernel, more outputs than processors (72), more inputs than processors, both kinds of pooling, and a
    flattened linear layer whose raw sums are the result.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = _block(1, 16, 3)
        self.pool1 = nn.MaxPool2d(2)
        self.conv2 = _block(16, 32, 3)
        self.conv3 = _block(32, 72, 1)
        self.pool2 = nn.MaxPool2d(2)
        self.conv4 = _block(72, 48, 3)
        self.pool3 = nn.AvgPool2d(2)
        self.conv5 = _block(48, 32, 3)
        self.classify = nn.Linear(32 * 3 * 3, 10)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return scores (N, 10) for images (N, 1, 28, 28)."""
        image = self.pool1(self.conv1(image))
        image = self.pool2(self.conv3(self.conv2(image)))
        image = self.pool3(self.conv4(image))
        image = self.conv5(image)
        scores: torch.Tensor = self.classify(image.flatten(1))
        return scores
