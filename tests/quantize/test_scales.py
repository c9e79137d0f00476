"""Scales: which values share one, and that no other power of two does better."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from synergyc.frontend import capture
from synergyc.quantize.scales import best_fraction_bits, common_scales, stored_values


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = (nn.Conv2d(2, 2, 3, padding=1) for _ in range(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.a(x))
        y: torch.Tensor = self.c(nn.functional.max_pool2d(x + self.b(x), 2))
        return y


def test_only_weighted_operators_change_the_scale() -> None:
    groups = common_scales(capture(Residual(), (2, 4, 4), "net"))
    assert groups["a"] == groups["relu"] == groups["b"] == groups["add"] == groups["max_pool2d"]
    assert len({groups["input"], groups["a"], groups["c"]}) == 3


def test_sums_that_are_activated_at_once_do_not_count() -> None:
    assert stored_values(capture(Residual(), (2, 4, 4), "net")) == ("relu", "b", "add", "max_pool2d", "c")


def mean_squared_error(values: np.ndarray, bits: int) -> float:
    rounded = np.clip(np.round(values * 2.0**bits), -128, 127) / 2.0**bits
    return float(np.mean((rounded - values) ** 2))


@given(seed=st.integers(0, 1 << 16), exponent=st.integers(-10, 6), tail=st.floats(1, 30))
def test_no_other_power_of_two_does_better(seed: int, exponent: int, tail: float) -> None:
    random = np.random.default_rng(seed)
    values = random.standard_normal(500) * 2.0**exponent
    values[:5] *= tail
    chosen = best_fraction_bits([values])
    errors = {bits: mean_squared_error(values, bits) for bits in range(-12, 22)}
    assert errors[chosen] <= min(errors.values()) * 1.001


def test_outliers_are_clipped() -> None:
    values = np.concatenate([np.random.default_rng(0).uniform(-1, 1, 100_000), [5.0]])
    assert best_fraction_bits([values]) > best_fraction_bits([np.array([5.0])])


def test_values_that_are_all_zero_have_a_scale() -> None:
    assert best_fraction_bits([np.zeros(4)]) == 7
    assert best_fraction_bits([]) == 7
