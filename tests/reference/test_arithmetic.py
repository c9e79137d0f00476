"""The arithmetic's building blocks against exact fractions, torch, and worked examples.

Worked examples marked "izer" were computed with ai8x-synthesis ab4f4c0 (izer/compute.py, izer/simulate.py).
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from synergyc.ir.kernels import plain_kernel
from synergyc.ir.types import Activation, EltwiseOp, Pool, PoolKind
from synergyc.reference import arithmetic

INT8 = st.integers(-128, 127)


@pytest.mark.parametrize(
    ("total", "shift", "expected"),
    [
        (-192, 0, -1),
        (-193, 0, -2),
        (192, 0, 2),
        (191, 0, 1),
        (64, 0, 1),
        (63, 0, 0),
        (-64, 0, 0),
        (-65, 0, -1),
    ],
)  # izer: half a step rounds up, also below zero
def test_rounding_is_half_up(total: int, shift: int, expected: int) -> None:
    assert arithmetic.requantize(np.array([total]), shift)[0] == expected


@given(total=st.integers(-(1 << 28), 1 << 28), shift=st.integers(-15, 15))
def test_requantize_equals_the_exact_formula(total: int, shift: int) -> None:
    exact = math.floor(Fraction(total) * Fraction(2) ** shift / 128 + Fraction(1, 2))
    expected = min(max(exact, -128), 127)
    assert arithmetic.requantize(np.array([total], dtype=np.int32), shift)[0] == expected


@pytest.mark.parametrize(
    ("activation", "expected"),
    [
        (Activation.NONE, [-128, -1, 0, 127]),
        (Activation.RELU, [0, 0, 0, 127]),
        (Activation.ABS, [127, 1, 0, 127]),
    ],
)
def test_activation_follows_clipping(activation: Activation, expected: list[int]) -> None:
    values = np.array([-128, -1, 0, 127], dtype=np.int8)
    result = arithmetic.activate(values, activation)
    assert result.dtype == np.int8
    assert result.tolist() == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [([-1, -1, -1, 0], 0), ([-2, -2, -1, -1], -1), ([3, 3, 2, 3], 2), ([-128] * 4, -128)],
)  # izer: -3/4 -> 0, -6/4 -> -1
def test_average_pooling_truncates_toward_zero(values: list[int], expected: int) -> None:
    data = np.array(values, dtype=np.int8).reshape(1, 1, 2, 2)
    assert arithmetic.pool(data, Pool(PoolKind.AVERAGE, (2, 2), 2)).item() == expected


@given(data=st.data())
def test_max_pooling_equals_torch(data: st.DataObject) -> None:
    rows, columns = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 12))
    window = (data.draw(st.integers(1, rows)), data.draw(st.integers(1, columns)))
    stride = data.draw(st.integers(1, 4))
    values = _int8(data.draw(st.integers(0, 1 << 32)), (2, 3, rows, columns))
    expected = torch.nn.functional.max_pool2d(
        torch.from_numpy(values.astype(np.float64)), window, stride
    ).numpy()
    np.testing.assert_array_equal(arithmetic.pool(values, Pool(PoolKind.MAX, window, stride)), expected)


@given(data=st.data())
def test_dilated_max_pooling_equals_torch(data: st.DataObject) -> None:
    dilation = data.draw(st.integers(1, 4))
    values = _int8(data.draw(st.integers(0, 1 << 32)), (1, 2, 9, 8))
    expected = torch.nn.functional.max_pool2d(
        torch.from_numpy(values.astype(np.float64)), 2, 1, 0, dilation
    ).numpy()
    spec = Pool(PoolKind.MAX, (2, 2), 1, (dilation, dilation))
    np.testing.assert_array_equal(arithmetic.pool(values, spec), expected)


@given(data=st.data())
def test_average_pooling_equals_exact_means(data: st.DataObject) -> None:
    window = (data.draw(st.integers(1, 4)), data.draw(st.integers(1, 4)))
    stride = data.draw(st.integers(1, 3))
    values = _int8(data.draw(st.integers(0, 1 << 32)), (1, 1, 6, 7))
    result = arithmetic.pool(values, Pool(PoolKind.AVERAGE, window, stride))
    for row, column in np.ndindex(result.shape[2:]):
        part = values[0, 0, row * stride :, column * stride :][: window[0], : window[1]]
        assert result[0, 0, row, column] == math.trunc(Fraction(int(part.sum()), part.size))


def test_stride_without_window_subsamples() -> None:
    values = np.arange(20, dtype=np.int8).reshape(1, 1, 4, 5)
    result = arithmetic.pool(values, Pool(PoolKind.MAX, (1, 1), 2))
    assert result[0, 0].tolist() == [[0, 2, 4], [10, 12, 14]]


@given(operands=st.lists(st.tuples(INT8, INT8), min_size=2, max_size=5), op=st.sampled_from(EltwiseOp))
def test_operands_combine_left_to_right_with_one_clip(operands: list[tuple[int, int]], op: EltwiseOp) -> None:
    arrays = [np.array(pair, dtype=np.int8).reshape(1, 2, 1, 1) for pair in operands]
    functions = {"add": int.__add__, "sub": int.__sub__, "or": int.__or__, "xor": int.__xor__}
    for index in range(2):
        total = operands[0][index]
        for operand in operands[1:]:
            total = functions[op](total, operand[index])
        assert arithmetic.combine(arrays, op)[0, index, 0, 0] == min(max(total, -128), 127)


def test_largest_sums_are_exact() -> None:
    """1024 channels of a 3x3 kernel at full scale and largest bias: beyond what float32 represents."""
    data = np.full((1, 1024, 3, 3), -128, dtype=np.int8)
    weight = np.full((2, 1024, 3, 3), -128, dtype=np.int8)
    data[0, 0, 0, 0] = 1
    sums = arithmetic.weighted_sums(data, weight, np.array([127, -128], dtype=np.int8))
    products = (1024 * 9 - 1) * 128 * 128 - 128
    assert sums[0, :, 0, 0].tolist() == [products + 128 * 127, products - 128 * 128]


def test_float32_is_chosen_only_where_it_is_exact() -> None:
    below = np.full((1, 1023, 1, 1), 127, dtype=np.int8)
    assert arithmetic.sums_dtype(below, None) == np.float32
    assert arithmetic.sums_dtype(np.full((1, 1024, 1, 1), -128, dtype=np.int8), None) == np.float64
    assert arithmetic.sums_dtype(below[:, :1], np.array([-128], dtype=np.int8)) == np.float32


@given(data=st.data())
def test_plain_kernel_is_its_own_inverse(data: st.DataObject) -> None:
    groups = data.draw(st.integers(1, 3))
    weight = _int8(data.draw(st.integers(0, 1 << 32)), (2 * groups, 3, 3, 3))
    np.testing.assert_array_equal(plain_kernel(plain_kernel(weight, groups), groups), weight)


def _int8(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(seed).integers(-128, 128, shape).astype(np.int8)
