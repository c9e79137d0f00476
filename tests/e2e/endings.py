"""Models with work of the CPU at their ends."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class Classifier(nn.Module):
    """Probabilities of ten classes."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.second = nn.Conv2d(8, 16, 3, padding=1)
        self.scores = nn.Linear(16, 10)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        features = functional.max_pool2d(torch.relu(self.first(image)), 2)
        features = torch.relu(self.second(features)).mean((2, 3))
        scores: torch.Tensor = self.scores(features)
        return scores.softmax(1)


class Segmenter(nn.Module):
    """The class of each pixel, on maps that are enlarged behind the network."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.second = nn.Conv2d(8, 3, 3, padding=1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        features = functional.max_pool2d(torch.relu(self.first(image)), 2)
        scores = functional.interpolate(self.second(features), scale_factor=2.0, mode="bilinear")
        return scores.argmax(1)
