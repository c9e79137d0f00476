"""KWS: twenty keywords and "unknown", from one second of sound as 128 features of 128 samples."""

from __future__ import annotations

import torch
from torch import nn


class KeywordSpotter(nn.Module):
    """Eight one-dimensional convolutions and a linear layer, all without bias.

    ``padded`` is the form for MAX78000. MAX78002 cannot pad a one-dimensional convolution of more than 64
    channels: its form pads nowhere, and has a shorter last kernel.
    """

    def __init__(self, padded: bool = True) -> None:
        super().__init__()
        padding, last = (1, 6) if padded else (0, 3)

        def conv(inputs: int, outputs: int, kernel: int, padding: int = 0) -> tuple[nn.Module, nn.Module]:
            return nn.Conv1d(inputs, outputs, kernel, padding=padding, bias=False), nn.ReLU()

        self.features = nn.Sequential(
            *conv(128, 100, 1),
            *conv(100, 96, 3),
            nn.MaxPool1d(2),
            *conv(96, 64, 3, padding),
            *conv(64, 48, 3),
            nn.MaxPool1d(2),
            *conv(48, 64, 3, padding),
            *conv(64, 96, 3),
            nn.AvgPool1d(2),
            *conv(96, 100, 3, padding),
            nn.MaxPool1d(2),
            *conv(100, 64, last, padding),
        )
        self.classify = nn.Linear(64 * (4 if padded else 3), 21, bias=False)

    def forward(self, sound: torch.Tensor) -> torch.Tensor:
        """Return scores (N, 21) for features (N, 128, 128)."""
        scores: torch.Tensor = self.classify(self.features(sound).flatten(1))
        return scores
