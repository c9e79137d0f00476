"""Rounding: within range, never worse than to the nearest, and with the bias's coarse steps made good."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synergyc.ir.types import Array
from synergyc.quantize.rounding import (
    Moments,
    RealLayer,
    bias_step,
    round_layer,
    weight_fraction_bits,
    weight_range,
)


def data(seed: int, size: int = 12) -> Array:
    """Return correlated, mostly positive inputs (samples, size), as after a ReLU."""
    random = np.random.default_rng(seed)
    mixed = random.standard_normal((2000, size)) @ random.standard_normal((size, size))
    return np.asarray(np.maximum(mixed, 0) / np.abs(mixed).max())


def moments(columns: Array) -> Moments:
    return Moments(columns.mean(axis=0), columns.T @ columns / len(columns))


def sums_error(
    columns: Array, weight: Array, bias: Array, rounded_weight: Array, rounded_bias: Array
) -> float:
    wanted = columns @ weight.T + bias
    given_ = columns @ rounded_weight.T + rounded_bias
    return float(np.mean((wanted - given_) ** 2))


@pytest.mark.parametrize(("bits", "expected"), [(8, (-128, 127)), (4, (-8, 7)), (2, (-2, 1)), (1, (-1, 0))])
def test_weight_range(bits: int, expected: tuple[int, int]) -> None:
    assert weight_range(bits) == expected


@given(seed=st.integers(0, 500), bits=st.sampled_from([8, 4, 2]))
def test_sums_are_closer_than_with_rounding_to_nearest(seed: int, bits: int) -> None:
    random = np.random.default_rng(seed)
    columns = data(seed)
    weight, bias = random.standard_normal((5, 12)), random.standard_normal(5)
    layer = RealLayer(weight[None], bias, (moments(columns),), bits, 7)
    chosen = weight_fraction_bits(layer, range(-30, 30))
    rounded = round_layer(layer, chosen)
    low, high = weight_range(bits)
    assert rounded.weight.dtype == rounded.bias.dtype == np.int8
    assert rounded.weight.min() >= low
    assert rounded.weight.max() <= high
    step = bias_step(7, chosen)
    nearest = np.clip(np.round(weight * 2.0**chosen), low, high) / 2.0**chosen
    plain_bias = np.clip(np.round(bias / step), -128, 127) * step
    ours = sums_error(columns, weight, bias, rounded.weight / 2.0**chosen, rounded.bias * step)
    plain = sums_error(columns, weight, bias, nearest, plain_bias)
    assert ours <= plain * 1.05


def test_the_scale_makes_room_for_a_large_bias() -> None:
    """Weights alone would get 10 fraction bits, where the largest bias is 127 * 2**(7-7-10) = 0.124."""
    columns = data(0)
    weight, bias = np.full((1, 3, 12), 0.1), np.array([3.0, -3.0, 0.0])
    chosen = weight_fraction_bits(RealLayer(weight, bias, (moments(columns),), 8, 7), range(-30, 30))
    assert 127 * bias_step(7, chosen) >= 2.9


def test_only_allowed_scales_are_chosen() -> None:
    columns, weight = data(1), np.full((1, 2, 12), 0.01)
    layer = RealLayer(weight, np.zeros(2), (moments(columns),), 8, 7)
    assert weight_fraction_bits(layer, range(3, 6)) in range(3, 6)
    assert weight_fraction_bits(layer, range(-9, -6)) == -7


def test_weights_of_zero_leave_only_the_bias() -> None:
    layer = RealLayer(np.zeros((1, 2, 12)), np.array([0.5, -0.25]), (moments(data(2)),), 8, 7)
    chosen = weight_fraction_bits(layer, range(-20, 20))
    rounded = round_layer(layer, chosen)
    assert not rounded.weight.any()
    np.testing.assert_allclose(rounded.bias * bias_step(7, chosen), [0.5, -0.25])


def test_groups_are_rounded_by_themselves() -> None:
    columns = [data(3), data(4)]
    known = tuple(moments(part) for part in columns)
    random = np.random.default_rng(5)
    weight, bias = random.standard_normal((2, 3, 12)), random.standard_normal(6)
    both = round_layer(RealLayer(weight, bias, known, 4, 7), 1)
    alone = [
        round_layer(RealLayer(weight[g : g + 1], bias[3 * g : 3 * g + 3], (known[g],), 4, 7), 1)
        for g in range(2)
    ]
    np.testing.assert_array_equal(both.weight, np.concatenate([part.weight for part in alone]))
    np.testing.assert_array_equal(both.bias, np.concatenate([part.bias for part in alone]))


def test_without_a_bias_the_weights_make_good_for_it() -> None:
    """A layer without bias keeps none, and its mean sums still come out nearer than by plain rounding."""
    columns = data(6)
    weight, bias = np.random.default_rng(7).standard_normal((5, 12)) * 0.2, np.full(5, 0.05)
    layer = RealLayer(weight[None], bias, (moments(columns),), 4, 7, has_bias=False)
    chosen = weight_fraction_bits(layer, range(-30, 30))
    rounded = round_layer(layer, chosen)
    assert not rounded.bias.any()
    nearest = layer.weight_integers(weight, chosen) / 2.0**chosen
    ours = sums_error(columns, weight, bias, rounded.weight / 2.0**chosen, np.zeros(5))
    assert ours < sums_error(columns, weight, bias, nearest, np.zeros(5))
