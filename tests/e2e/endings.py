"""Models with work of the CPU at their ends, or before them."""

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


class Strided(nn.Module):
    """Stride 2 in the first layer, which the accelerator lacks: pixels are folded into channels before."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, 8, 3, stride=2, padding=1)
        self.scores = nn.Linear(8, 4)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.scores(torch.relu(self.first(image)).mean((2, 3)))
        return scores


class Pixels(nn.Module):
    """Reads rows of pixels as a camera delivers them: colours last."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.scores = nn.Linear(8, 4)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        features = torch.relu(self.first(image.permute(0, 3, 1, 2)))
        scores: torch.Tensor = self.scores(features.mean((2, 3)))
        return scores


class Photo(nn.Module):
    """Reads bytes of pixels, colours last, and normalizes them by colour."""

    def __init__(self) -> None:
        super().__init__()
        self.pixels = Pixels()

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        mean, deviation = torch.tensor((0.485, 0.456, 0.406)), torch.tensor((0.229, 0.224, 0.225))
        colours = image.permute(0, 3, 1, 2).float() / 255
        colours = (colours - mean.reshape(1, 3, 1, 1)) / deviation.reshape(1, 3, 1, 1)
        scores: torch.Tensor = self.pixels(colours.permute(0, 2, 3, 1))
        return scores


class Scene(nn.Module):
    """Probabilities of four classes from bytes of pixels: work of the CPU at both ends."""

    def __init__(self) -> None:
        super().__init__()
        self.photo = Photo()

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.photo(image)
        return scores.softmax(1)
