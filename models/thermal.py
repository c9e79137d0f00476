"""ThermalNet: small frames, enlarged to many times their size: long work for a chip, little for a wire."""

from __future__ import annotations

import torch
from torch import nn

WIDTH = 24
KERNELS = (3, 1, 1, 1) * 5


def _enlarge(inputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.ConvTranspose2d(inputs, WIDTH, 3, stride=2, padding=1, output_padding=1), nn.ReLU()
    )


def _block(kernel: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(WIDTH, WIDTH, kernel, padding=kernel // 2), nn.ReLU())


class ThermalNet(nn.Module):
    """Eight classes of four frames of a 12x16 thermal camera, enlarged to 48x64 before anything else."""

    def __init__(self) -> None:
        super().__init__()
        self.enlarge = nn.Sequential(_enlarge(4), _enlarge(WIDTH))
        self.fine = nn.Sequential(*(_block(kernel) for kernel in KERNELS))
        self.coarse = nn.Sequential(nn.MaxPool2d(4), _block(3), nn.MaxPool2d(4))
        self.classify = nn.Linear(WIDTH * 3 * 4, 8)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Return scores (N, 8) for frames (N, 4, 12, 16)."""
        image = self.coarse(self.fine(self.enlarge(frames)))
        scores: torch.Tensor = self.classify(image.flatten(1))
        return scores
