"""UNet: segments a 192x192 RGB image that is folded to 48 channels of 48x48."""

from __future__ import annotations

import torch
from torch import nn


def _conv(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2), nn.ReLU())


def _down(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.MaxPool2d(2), *_conv(inputs, outputs, 3))


def _up(inputs: int, outputs: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(inputs, outputs, 3, stride=2, padding=1, output_padding=1)


class UNet(nn.Module):
    """An encoder and a decoder of three levels, joined by concatenation, between 1x1 convolutions.

    The result is folded like the input: 4 classes for each of the 4x4 pixels.
    """

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Sequential(_conv(48, 64, 1), _conv(64, 64, 1), _conv(64, 32, 1))
        self.encode1 = _conv(32, 8, 3)
        self.encode2 = _down(8, 28)
        self.encode3 = _down(28, 56)
        self.bottom = _down(56, 112)
        self.up3, self.decode3 = _up(112, 56), _conv(112, 56, 3)
        self.up2, self.decode2 = _up(56, 28), _conv(56, 28, 3)
        self.up1, self.decode1 = _up(28, 8), _conv(16, 48, 3)
        self.tail = nn.Sequential(_conv(48, 64, 3), _conv(64, 64, 1), _conv(64, 64, 1), _conv(64, 64, 1))
        self.segment = nn.Conv2d(64, 64, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return scores (N, 64, 48, 48) for folded images (N, 48, 48, 48)."""
        fine = self.encode1(self.head(image))
        middle = self.encode2(fine)
        coarse = self.encode3(middle)
        image = self.decode3(torch.cat([self.up3(self.bottom(coarse)), coarse], dim=1))
        image = self.decode2(torch.cat([self.up2(image), middle], dim=1))
        image = self.decode1(torch.cat([self.up1(image), fine], dim=1))
        scores: torch.Tensor = self.segment(self.tail(image))
        return scores
