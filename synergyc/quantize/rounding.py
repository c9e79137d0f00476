"""Rounding the weights and bias of one layer so that its sums, not its weights, come out right.

The accelerator's bias counts in steps of 128 sums, which for narrow weights and coarse scales are many steps
of the output. Weights are therefore rounded with the bias error in sight: column by column, each column's
error spread over those still to come (GPTQ, arXiv 2210.17323), the bias being the first column.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from synergyc.ir.types import Array
from synergyc.reference.arithmetic import BIAS_SUMS

_MAX_COLUMNS = 1600
"""Above this fan-in, columns are rounded one by one without compensation: its cost grows as the cube."""

_DAMPING = 0.01
"""Part of the mean diagonal that is added to the second moments (GPTQ, section 3.3)."""


@dataclass(frozen=True)
class Moments:
    """First and second moments of a layer's input columns (real values): (K,) and (K, K)."""

    mean: Array
    second: Array

    @property
    def covariance(self) -> Array:
        """Second moments about the mean, (K, K)."""
        return np.asarray(self.second - np.outer(self.mean, self.mean))


@dataclass(frozen=True)
class Rounded:
    """Integer weights (out, K), integer bias (out,), and the weights' fraction bits."""

    weight: Array
    bias: Array
    fraction_bits: int


def weight_range(bits: int) -> tuple[int, int]:
    """Return the smallest and largest weight of a width (1 bit: -1 and 0; ai8x-synthesis README)."""
    return -(1 << (bits - 1)), (1 << (bits - 1)) - 1


def weight_fraction_bits(
    weight: Array, bias: Array, moments: list[Moments], bits: int, input_bits: int, allowed: range
) -> int:
    """Return the weights' fraction bits with the least expected squared error of the sums.

    ``weight`` is (groups, out/groups, K) and ``bias`` (out,), in real values; ``moments`` has one entry for
    each group. ``allowed`` are the fraction bits for which the output shift can be programmed.
    """
    highest = weight_range(bits)[1] or 1
    largest = float(np.abs(weight).max(initial=0.0))
    finest = math.floor(math.log2(highest / largest)) + 3 if largest else 7
    candidates = [value for value in range(finest, finest - 12, -1) if value in allowed]
    if not candidates:
        return min(allowed, key=lambda value: abs(value - finest))
    return min(candidates, key=lambda f: _expected_error(weight, bias, moments, bits, input_bits, f))


def _expected_error(
    weight: Array, bias: Array, moments: list[Moments], bits: int, input_bits: int, fraction_bits: int
) -> float:
    low, high = weight_range(bits)
    rounded = np.clip(np.floor(weight * 2.0**fraction_bits + 0.5), low, high) / 2.0**fraction_bits
    step = bias_step(input_bits, fraction_bits)
    total = 0.0
    for error, wanted, group in zip(weight - rounded, bias.reshape(len(weight), -1), moments, strict=True):
        if error.shape[1] > _MAX_COLUMNS:  # cross terms cost too much; see round_layer
            total += float(np.sum(error * error * np.diag(group.covariance)))
        else:
            total += float(np.sum((error @ group.covariance) * error))
        shifted = wanted + error @ group.mean
        total += float(np.sum((shifted - _nearest_bias(shifted, step) * step) ** 2))
    return total


def bias_step(input_bits: int, weight_bits: int) -> float:
    """Return the real value of a bias of 1, for given fraction bits of input and weights."""
    return float(BIAS_SUMS * 2.0 ** -(input_bits + weight_bits))


def round_layer(
    weight: Array, bias: Array, moments: list[Moments], bits: int, input_bits: int, fraction_bits: int
) -> Rounded:
    """Return integer weights (out, K) and bias for real ones; arguments as in ``weight_fraction_bits``."""
    step = bias_step(input_bits, fraction_bits)
    wanted = bias.reshape(len(weight), -1)
    weights, biases = [], []
    for rows, offsets, group in zip(weight, wanted, moments, strict=True):
        rounded = _round_columns(rows, offsets, group, bits, fraction_bits, step)
        residual = offsets + (rows - rounded / 2.0**fraction_bits) @ group.mean
        weights.append(rounded)
        biases.append(_nearest_bias(residual, step))
    return Rounded(
        np.concatenate(weights).astype(np.int8), np.concatenate(biases).astype(np.int8), fraction_bits
    )


def _nearest_bias(real: Array, step: float) -> Array:
    return np.clip(np.floor(real / step + 0.5), -128, 127)


def _round_columns(
    rows: Array, offsets: Array, moments: Moments, bits: int, fraction_bits: int, step: float
) -> Array:
    low, high = weight_range(bits)
    scale = 2.0**fraction_bits
    columns = rows.shape[1]
    if columns > _MAX_COLUMNS:
        return np.clip(np.floor(rows * scale + 0.5), low, high)
    spread = _error_spread(moments)
    left = np.concatenate([offsets[:, None], rows], axis=1)
    rounded = np.empty_like(rows)
    for column in range(columns + 1):
        if column == 0:
            value = _nearest_bias(left[:, 0], step) * step
        else:
            rounded[:, column - 1] = np.clip(np.floor(left[:, column] * scale + 0.5), low, high)
            value = rounded[:, column - 1] / scale
        error = (left[:, column] - value) / spread[column, column]
        left[:, column + 1 :] -= np.outer(error, spread[column, column + 1 :])
    return rounded


def _error_spread(moments: Moments) -> Array:
    """Return the upper Cholesky factor of the inverse second moments, with a column of ones in front."""
    size = len(moments.mean) + 1
    second = np.empty((size, size))
    second[0, 0] = 1.0
    second[0, 1:] = second[1:, 0] = moments.mean
    second[1:, 1:] = moments.second
    diagonal = np.diag_indices(size)
    damping = _DAMPING * float(np.mean(second[diagonal][1:])) or 1.0
    second[diagonal] += damping
    factor: Array = np.linalg.cholesky(np.linalg.inv(second)).T
    return factor
