"""Weights of grouped and of transposed convolutions in plain form."""

from __future__ import annotations

import numpy as np

from synergyc.ir.types import Array

COPY_BITS = 2
"""Narrowest weights that hold a 1."""

COPY_SHIFT = 1
"""With 2-bit weights the hardware adds 6, and a shift of 7 passes sums on unchanged."""


def dense_groups(weight: Array, groups: int) -> Array:
    """Return grouped weights (out, in/groups, ...) as (out, in, ...), with zeros between groups."""
    if groups == 1:
        return weight
    outputs, inputs = weight.shape[:2]
    dense = np.zeros((outputs, inputs * groups, *weight.shape[2:]), dtype=weight.dtype)
    share = outputs // groups
    for group in range(groups):
        part = slice(group * share, (group + 1) * share)
        dense[part, group * inputs : (group + 1) * inputs] = weight[part]
    return dense


def plain_kernel(weight: Array, groups: int) -> Array:
    """Return transposed-convolution weights (in, out/groups, *kernel) as (out, in/groups, *kernel), flipped.

    Correlating the spread data with them, padded by kernel - 1 - padding, is the transposed convolution.
    """
    inputs, outputs, *kernel = weight.shape
    grouped = weight.reshape(groups, inputs // groups, outputs, *kernel).swapaxes(1, 2)
    plain = grouped.reshape(groups * outputs, inputs // groups, *kernel)
    return np.flip(plain, axis=tuple(range(2, plain.ndim)))
