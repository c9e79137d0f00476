"""Rounding the weights and bias of one layer so that its sums, not its weights, come out right.

The accelerator's bias counts in steps of 128 sums, which for narrow weights and coarse scales are many steps
of the output. Weights are therefore rounded with the bias error in sight: column by column, each making good
for the errors of those before it (GPTQ, arXiv 2210.17323), the bias being the first column.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from synergyc.ir.network import BIAS_SUMS
from synergyc.ir.types import Array

_MAX_COLUMNS = 1600
"""Above this fan-in, columns are rounded one by one without compensation: its cost grows as the cube."""

_DAMPING = 0.01
"""Part of the mean diagonal that is added to the second moments (GPTQ, section 3.3)."""


_CANDIDATES = 12
"""Scales that are tried, from one that clips the largest weights by three bits to very coarse ones."""

_PATIENCE = 3
"""After so many coarser scales without improvement the search ends."""


@dataclass(frozen=True)
class Moments:
    """First and second moments of a layer's input columns (real values): (K,) and (K, K)."""

    mean: Array
    second: Array

    @cached_property
    def covariance(self) -> Array:
        """Second moments about the mean, (K, K)."""
        return np.asarray(self.second - np.outer(self.mean, self.mean))


@dataclass(frozen=True, eq=False)
class RealLayer:
    """What is to be rounded: ``weight`` (groups, out/groups, K) and ``bias`` (out,) in real values.

    ``moments`` has one entry for each group. ``has_bias``: whether the accelerator adds a bias at all; if
    not, the weights alone make good for ``bias``, as far as the input's mean lets them. ``input_bits`` are
    the input's fraction bits.
    """

    weight: Array
    bias: Array
    moments: tuple[Moments, ...]
    bits: int
    input_bits: int
    has_bias: bool = True

    def parts(self) -> Iterator[tuple[Array, Array, Moments]]:
        """Yield weights (out/groups, K), biases and moments of each group."""
        yield from zip(self.weight, self.bias.reshape(len(self.weight), -1), self.moments, strict=True)

    def bias_integers(self, real: Array, fraction_bits: int) -> Array:
        """Return the integer biases nearest to ``real``, for given fraction bits of the weights."""
        if not self.has_bias:
            return np.zeros_like(real)
        return np.clip(np.floor(real / bias_step(self.input_bits, fraction_bits) + 0.5), -128, 127)

    def weight_integers(self, real: Array, fraction_bits: int) -> Array:
        """Return the integer weights nearest to ``real``."""
        low, high = weight_range(self.bits)
        return np.clip(np.floor(real * 2.0**fraction_bits + 0.5), low, high)


@dataclass(frozen=True)
class Rounded:
    """Integer weights (out, K), integer bias (out,), and the weights' fraction bits."""

    weight: Array
    bias: Array
    fraction_bits: int


def weight_range(bits: int) -> tuple[int, int]:
    """Return the smallest and largest weight of a width (1 bit: -1 and 0; ai8x-synthesis README)."""
    return -(1 << (bits - 1)), (1 << (bits - 1)) - 1


def bias_step(input_bits: int, weight_bits: int) -> float:
    """Return the real value of a bias of 1, for given fraction bits of input and weights."""
    return float(BIAS_SUMS * 2.0 ** -(input_bits + weight_bits))


def weight_fraction_bits(layer: RealLayer, allowed: range) -> int:
    """Return the weights' fraction bits with the least expected squared error of the sums.

    ``allowed`` are the fraction bits for which the output shift can be programmed.
    """
    highest = weight_range(layer.bits)[1] or 1
    largest = float(np.abs(layer.weight).max(initial=0.0))
    finest = math.floor(math.log2(highest / largest)) + 3 if largest else 7
    candidates = [value for value in range(finest, finest - _CANDIDATES, -1) if value in allowed]
    if not candidates:
        return min(allowed, key=lambda value: abs(value - finest))
    best, least, worse = candidates[0], math.inf, 0
    for candidate in candidates:
        error = _expected_error(layer, candidate)
        if error < least:
            best, least, worse = candidate, error, 0
        else:
            worse += 1
        if worse == _PATIENCE:
            break
    return best


def _expected_error(layer: RealLayer, fraction_bits: int) -> float:
    step = bias_step(layer.input_bits, fraction_bits)
    total = 0.0
    for weight, wanted, group in layer.parts():
        error = weight - layer.weight_integers(weight, fraction_bits) / 2.0**fraction_bits
        if error.shape[1] > _MAX_COLUMNS:  # cross terms cost too much; see round_layer
            total += float(np.sum(error * error * np.diag(group.covariance)))
        else:
            total += float(np.sum((error @ group.covariance) * error))
        shifted = wanted + error @ group.mean
        total += float(np.sum((shifted - layer.bias_integers(shifted, fraction_bits) * step) ** 2))
    return total


def round_layer(layer: RealLayer, fraction_bits: int) -> Rounded:
    """Return integer weights and bias whose sums are near those of the real ones."""
    weights, biases = [], []
    for rows, wanted, group in layer.parts():
        rounded = _round_columns(layer, rows, wanted, group, fraction_bits)
        residual = wanted + (rows - rounded / 2.0**fraction_bits) @ group.mean
        weights.append(rounded)
        biases.append(layer.bias_integers(residual, fraction_bits))
    return Rounded(
        np.concatenate(weights).astype(np.int8), np.concatenate(biases).astype(np.int8), fraction_bits
    )


def _round_columns(
    layer: RealLayer, rows: Array, wanted: Array, moments: Moments, fraction_bits: int
) -> Array:
    """Return integer weights (out, K): each column is rounded after it took over the errors before it.

    With second moments R R^T, R upper triangular, the squared error of the sums is that of errors @ R, whose
    column c is settled by errors 0 to c: the c-th is chosen to make it small.
    """
    if rows.shape[1] > _MAX_COLUMNS:
        return layer.weight_integers(rows, fraction_bits)
    factor = _upper_factor(moments)
    step, scale = bias_step(layer.input_bits, fraction_bits), 2.0**fraction_bits
    rounded = np.empty_like(rows)
    errors = np.empty((len(rows), rows.shape[1] + 1))
    errors[:, 0] = wanted - layer.bias_integers(wanted, fraction_bits) * step
    for column in range(1, rows.shape[1] + 1):
        taken = errors[:, :column] @ factor[:column, column]
        real = rows[:, column - 1] + taken / factor[column, column]
        rounded[:, column - 1] = layer.weight_integers(real, fraction_bits)
        errors[:, column] = rows[:, column - 1] - rounded[:, column - 1] / scale
    return rounded


def _upper_factor(moments: Moments) -> Array:
    """Return R, upper triangular with R R^T the damped second moments, a column of ones in front."""
    size = len(moments.mean) + 1
    second = np.empty((size, size))
    second[0, 0] = 1.0
    second[0, 1:] = second[1:, 0] = moments.mean
    second[1:, 1:] = moments.second
    diagonal = np.diag_indices(size)
    second[diagonal] += _DAMPING * float(np.mean(second[diagonal][1:])) or 1.0
    lower = np.linalg.cholesky(second[::-1, ::-1])  # reversed, a lower factor is an upper one
    return np.asfortranarray(lower[::-1, ::-1])
