"""What a wrist does, from 3.2 s of a smartwatch's accelerometer and gyroscope: the second demo model."""

from __future__ import annotations

import torch
from torch import nn


def _block(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv1d(inputs, outputs, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm1d(outputs),
        nn.ReLU(),
    )


class MotionNet(nn.Module):
    """Four activities (standing, running, walking, badminton) of 6x32 windows, sampled at 10 Hz.

    Channels are acceleration and rate of turn along x, y and z; one-dimensional convolutions all the way.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = _block(6, 24, 5)
        self.pool1 = nn.MaxPool1d(2)
        self.conv2 = _block(24, 32, 3)
        self.pool2 = nn.MaxPool1d(2)
        self.conv3 = _block(32, 32, 3)
        self.pool3 = nn.AvgPool1d(2)
        self.classify = nn.Linear(32 * 4, 4)

    def forward(self, window: torch.Tensor) -> torch.Tensor:
        """Return scores (N, 4) for windows (N, 6, 32) of values in [-1, 1)."""
        window = self.pool1(self.conv1(window))
        window = self.pool2(self.conv2(window))
        window = self.pool3(self.conv3(window))
        scores: torch.Tensor = self.classify(window.flatten(1))
        return scores
