"""The CPU's integer arithmetic behind the network against torch on real numbers, within the stated bounds.

The bounds are those of docs/models.md. Moves and bilinear results are exact, or rounded once.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from synergyc.ir.tail import Tail, TailOp
from synergyc.ir.types import Array
from synergyc.reference.tail import exponential, logarithm, run_tail

_FUNCTIONS: dict[TailOp, tuple[Callable[[torch.Tensor], torch.Tensor], float]] = {
    TailOp.SOFTMAX: (lambda x: torch.softmax(x, dim=1), 2**-16),
    TailOp.LOG_SOFTMAX: (lambda x: torch.log_softmax(x, dim=1), 2**-15),
    TailOp.SIGMOID: (torch.sigmoid, 2**-15),
    TailOp.TANH: (torch.tanh, 2**-14),
}


def _real(values: Array, fraction_bits: int) -> torch.Tensor:
    return torch.from_numpy(values.astype(np.float64) * 2.0**-fraction_bits)


@st.composite
def scores(draw: st.DrawFn) -> tuple[Array, int]:
    """Outputs (N, C, pixels): 8 bits, or 32-bit sums with as many fraction bits as such sums have."""
    wide = draw(st.booleans())
    bits = draw(st.integers(4, 28)) if wide else draw(st.integers(-3, 12))
    rng = np.random.default_rng(draw(st.integers(0, 1 << 16)))
    shape = (2, draw(st.sampled_from([1, 2, 10, 100])), 3)
    if not wide:
        return rng.integers(-128, 128, shape).astype(np.int8), bits
    spread = draw(st.floats(0.1, 40.0))
    limit = min(2.0**31 - 1, 2.0 ** (bits + 14))  # beyond, log-softmax has no format for the result
    return np.clip(rng.normal(0, spread * 2.0**bits, shape), -limit, limit).astype(np.int32), bits


@pytest.mark.parametrize("op", _FUNCTIONS)
@given(data=scores())
def test_functions_are_within_their_bounds(op: TailOp, data: tuple[Array, int]) -> None:
    values, bits = data
    function, bound = _FUNCTIONS[op]
    found = run_tail((Tail(op),), values, bits)
    assert found.dtype == np.int32
    expected = function(_real(values, bits)).numpy()
    assert np.abs(found / 2.0**16 - expected).max() <= bound


@pytest.mark.parametrize("op", [TailOp.SIGMOID, TailOp.TANH])
def test_extremes_saturate(op: TailOp) -> None:
    values = np.array([[-(2**31), 2**31 - 1, 0]], dtype=np.int32)
    least, most, middle = run_tail((Tail(op),), values, 8)[0] / 2.0**16
    assert (least, most) == ((0.0, 1.0) if op is TailOp.SIGMOID else (-1.0, 1.0))
    assert middle == (0.5 if op is TailOp.SIGMOID else 0.0)


def test_a_certain_class_has_probability_one() -> None:
    values = np.array([[127, -128, -128]], dtype=np.int8)
    np.testing.assert_array_equal(run_tail((Tail(TailOp.SOFTMAX),), values, 0), [[1 << 16, 0, 0]])


@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=20), st.integers(-8, 31))
def test_exponentials_have_a_relative_error_below_2_to_minus_22(below: list[int], bits: int) -> None:
    found = exponential(np.array(below, dtype=np.int64), bits)
    for number, power in zip(below, found.tolist(), strict=True):
        real = number * 2.0**-bits
        expected = math.exp(-real) * 2**30 if real < 700 else 0.0
        # the exponent has 24 fraction bits, the result is cut off
        assert abs(power - expected) <= expected * (2**-22 + 2**-24) + 1


@given(st.integers(2**30, 2**61))
def test_logarithms_are_within_half_a_step_and_a_little(number: int) -> None:
    found = int(logarithm(np.array([number], dtype=np.int64))[0])
    assert abs(found - math.log(number / 2**30) * 2**16) <= 0.51


@given(
    seed=st.integers(0, 1 << 16),
    before=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    after=st.tuples(st.integers(1, 17), st.integers(1, 17)),
    corners=st.booleans(),
)
def test_bilinear_results_are_torchs_rounded_once(
    seed: int, before: tuple[int, int], after: tuple[int, int], corners: bool
) -> None:
    values = np.random.default_rng(seed).integers(-128, 128, (1, 2, *before)).astype(np.int8)
    found = run_tail((Tail(TailOp.BILINEAR, sizes=after, corners=corners),), values, 3)
    real = torch.from_numpy(values.astype(np.float64))
    expected = functional.interpolate(real, size=after, mode="bilinear", align_corners=corners).numpy()
    assert np.abs(found - expected * 2**8).max() <= 0.5 + 1e-6


def test_sums_keep_their_scale_when_maps_grow() -> None:
    values = np.array([[[[0, 2**31 - 1], [-(2**31), 5]]]], dtype=np.int32)
    found = run_tail((Tail(TailOp.BILINEAR, sizes=(4, 4)),), values, 20)
    real = torch.from_numpy(values.astype(np.float64))
    expected = functional.interpolate(real, size=(4, 4), mode="bilinear").numpy()
    np.testing.assert_array_equal(found, np.floor(expected + 0.5).astype(np.int64))


@given(seed=st.integers(0, 1 << 16), classes=st.integers(1, 20))
def test_the_largest_value_and_its_place_are_torchs(seed: int, classes: int) -> None:
    values = np.random.default_rng(seed).permutation(classes * 6).reshape(1, classes, 6).astype(np.int32)
    largest, place = torch.from_numpy(values).max(1)
    np.testing.assert_array_equal(run_tail((Tail(TailOp.MAX),), values, 0), largest)
    np.testing.assert_array_equal(run_tail((Tail(TailOp.ARGMAX),), values, 0), place)


def test_of_equal_values_the_first_is_the_largest() -> None:
    assert run_tail((Tail(TailOp.ARGMAX),), np.array([[3, 7, 7]], dtype=np.int8), 0) == [1]


def test_each_operation_reads_what_the_one_before_made() -> None:
    values = np.arange(-12, 12, dtype=np.int8).reshape(1, 2, 3, 4)
    tail = (
        Tail(TailOp.TRANSPOSE, sizes=(1, 2, 0)),
        Tail(TailOp.RESHAPE, sizes=(12, 2)),
        Tail(TailOp.SLICE, axis=0, sizes=(2, 11, 3)),
        Tail(TailOp.SOFTMAX, axis=1),
    )
    real = _real(values, 4).permute(0, 2, 3, 1).reshape(1, 12, 2)[:, 2:11:3]
    assert np.abs(run_tail(tail, values, 4) / 2.0**16 - torch.softmax(real, 2).numpy()).max() <= 2**-16
