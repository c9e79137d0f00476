"""Convolution in float32 is exact; truth: NumPy's integer products over sliding windows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synergyc.emulate.accelerator import compute
from tests.emulate.accelerator.encoder import Integers


def integers(data: Integers, weights: Integers) -> Integers:
    windows = np.lib.stride_tricks.sliding_window_view(data, weights.shape[:2], axis=(0, 1))
    total: Integers = np.einsum("yxcij,ijco->yxo", windows, weights)
    return total


def compare(rows: int, cols: int, kernel: tuple[int, int], channels: int, outputs: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    data = rng.integers(-128, 128, (rows + kernel[0] - 1, cols + kernel[1] - 1, channels))
    weights = rng.integers(-128, 128, (*kernel, channels, outputs))
    found = compute.convolve(data.astype(np.float32), weights.astype(np.float32))
    assert np.array_equal(found, integers(data, weights))


@settings(max_examples=30)
@given(
    st.integers(1, 6),
    st.integers(1, 6),
    st.sampled_from([(3, 3), (1, 1), (9, 1), (2, 1)]),
    st.integers(1, 70),
    st.integers(1, 140),
    st.integers(0, 2**32 - 1),
)
def test_any_shape(
    rows: int, cols: int, kernel: tuple[int, int], channels: int, outputs: int, seed: int
) -> None:
    compare(rows, cols, kernel, channels, outputs, seed)


@pytest.mark.parametrize(
    ("rows", "cols", "kernel", "channels", "outputs"),
    [
        (48, 40, (3, 3), 16, 64),  # one product for all taps, in two parts
        (48, 40, (3, 3), 17, 64),  # a product for each kernel row
        (20, 20, (1, 1), 64, 70),  # outputs in two parts
        (4, 4, (3, 3), 600, 65),  # sums beyond 2^24: channels in two halves
    ],
)
def test_products_in_parts(
    rows: int, cols: int, kernel: tuple[int, int], channels: int, outputs: int
) -> None:
    compare(rows, cols, kernel, channels, outputs, 1)


def test_the_largest_sums() -> None:
    data = np.full((3, 3, 1024), -128)
    weights = np.full((3, 3, 1024, 2), -128)
    weights[..., 1] = 127
    found = compute.convolve(data.astype(np.float32), weights.astype(np.float32))
    assert found.tolist() == [[[9 * 1024 * 128 * 128, -9 * 1024 * 128 * 127]]]
