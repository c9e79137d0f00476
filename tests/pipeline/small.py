"""A small classifier with all that matters here, its data, and its forms."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from synergyc.frontend import capture
from synergyc.ir.graph import Graph
from synergyc.ir.types import Array
from synergyc.legalize import rewrite


class Small(nn.Module):
    """Three classes of 2x8x8 maps; batch normalization, pooling, a residual connection."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(2, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.skip = nn.Conv2d(8, 8, 3, padding=1)
        self.last = nn.Linear(8 * 4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = nn.functional.max_pool2d(self.first(x), 2)
        x = nn.functional.avg_pool2d(torch.relu(x + self.skip(x)), 2)
        scores: torch.Tensor = self.last(x.flatten(1))
        return scores


def data(count: int, seed: int) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int64]]:
    """Return noisy int8 maps and their classes: which third of the rows is bright in the first channel."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 3, count)
    maps = random.normal(0, 25, (count, 2, 8, 8))
    for index, label in enumerate(labels):
        maps[index, 0, 1 + 2 * label : 3 + 2 * label] += 40
    return np.clip(np.round(maps), -128, 127).astype(np.int8), labels.astype(np.int64)


@cache
def trained() -> nn.Module:
    """Return the module after a short training; equal in each process."""
    torch.manual_seed(0)
    module = Small()
    inputs, labels = data(256, 0)
    real, wanted = torch.from_numpy(inputs.astype(np.float32) / 128), torch.from_numpy(labels)
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-2)
    for _ in range(30):
        optimizer.zero_grad()
        nn.functional.cross_entropy(module(real), wanted).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return module.eval()


@cache
def captured() -> Graph:
    """Return the float graph as captured."""
    return capture(trained(), (2, 8, 8), "small")


@cache
def graph() -> Graph:
    """Return the float graph, folded and rewritten."""
    return rewrite(captured())


def calibration() -> Array:
    """Return inputs that calibrate."""
    return data(64, 1)[0]
