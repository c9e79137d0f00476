"""Input samples: rounding, clipping, and calibration data that cannot be used."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synergyc.diagnostics import SynergyError
from synergyc.ir.types import Array
from synergyc.quantize import quantize_input, real_input
from synergyc.quantize.samples import checked_calibration


@given(value=st.floats(-2, 2, width=32))
def test_rounding_is_half_up_and_clipped(value: float) -> None:
    exact = math.floor(Fraction(value) * 128 + Fraction(1, 2))
    assert quantize_input(np.array([value], np.float32))[0] == min(max(exact, -128), 127)


def test_integers_survive_the_round_trip() -> None:
    values = np.arange(-128, 128).astype(np.int8)
    np.testing.assert_array_equal(quantize_input(real_input(values)), values)


def test_nan_is_refused() -> None:
    with pytest.raises(SynergyError, match="must be numbers"):
        quantize_input(np.array([0.0, np.nan]))


def test_sensor_values_and_their_real_values_calibrate_alike() -> None:
    sensed = np.arange(-8, 8, dtype=np.int8).reshape(4, 1, 2, 2)
    np.testing.assert_array_equal(
        checked_calibration(sensed, (1, 2, 2)), checked_calibration(sensed / 128, (1, 2, 2))
    )


@pytest.mark.parametrize(
    ("values", "messages"),
    [
        (np.zeros((0, 1, 2, 2)), ["is empty"]),
        (np.zeros((3, 2, 2, 1)), ["wrong shape"]),
        (np.zeros(()), ["wrong shape", "is empty"]),
        (np.full((1, 1, 2, 2), np.nan), ["must be finite"]),
        (np.full((1, 1, 2, 2), np.inf), ["must be finite"]),
        (np.full((2, 1, 2, 2), 255.0), ["must lie in [-1, 1]"]),
        (np.full((2, 2), 255.0), ["wrong shape", "must lie in [-1, 1]"]),
        (np.zeros((1, 1, 2, 2), np.uint8), ["must be floating-point or int8, not uint8"]),
        (np.array(["a"]), ["must be floating-point or int8"]),
    ],
)
def test_unusable_calibration_data_is_refused(values: Array, messages: list[str]) -> None:
    with pytest.raises(SynergyError) as caught:
        checked_calibration(values, (1, 2, 2))
    assert len(caught.value.diagnostics) == len(messages)
    for item, message in zip(caught.value.diagnostics, messages, strict=True):
        assert message in item.message
