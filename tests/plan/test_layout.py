"""Bytes that travel. Truth: the memory layout of the vendor's tool, by hand for each case."""

from __future__ import annotations

import pytest

from synergyc.ir.network import Tensor
from synergyc.ir.types import Shape
from synergyc.plan.layout import channel_passes, travel_bytes
from synergyc.targets import load_chip

CNN = load_chip("max78000").cnn


@pytest.mark.parametrize(
    ("channels", "passes", "processors"),
    # The first four are the examples of the vendor's README; above 64, processors come in fours.
    [
        (70, 2, 36),
        (100, 2, 52),
        (192, 3, 64),
        (64, 1, 64),
        (1, 1, 1),
        (63, 1, 63),
        (65, 2, 36),
        (1024, 16, 64),
    ],
)
def test_passes(channels: int, passes: int, processors: int) -> None:
    assert channel_passes(channels, CNN) == (passes, processors)


@pytest.mark.parametrize(
    ("shape", "width_bits", "size_bytes"),
    [
        ((1, 28, 28), 8, 28 * 28 * 4),  # one lane of four is used, all four travel
        ((3, 32, 32), 8, 32 * 32 * 4),
        ((12, 4, 4), 8, 16 * 12),  # full words: no padding
        ((13, 4, 4), 8, 16 * 16),
        ((70, 5, 5), 8, 25 * 2 * 36),  # two passes of 36 processors
        ((64, 30), 8, 30 * 64),  # one-dimensional
        ((10,), 32, 12 * 4),  # ten 32-bit values, lanes padded to four
        ((10, 1, 1), 32, 12 * 4),
        ((6, 1, 2), 32, 2 * 8 * 4),
        ((100, 1, 1), 32, 2 * 52 * 4),
    ],
)
def test_travel_bytes(shape: Shape, width_bits: int, size_bytes: int) -> None:
    assert travel_bytes(Tensor("t", shape, 7, width_bits), CNN) == size_bytes
