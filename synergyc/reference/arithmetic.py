"""Building blocks of the accelerator's arithmetic on batches of maps (N, C, H, W); 1-D data has W = 1.

The integer functions are exact. Sources: ai8x-synthesis, ``izer/compute.py`` and ``izer/simulate.py``
(rounding, clipping, pooling), ai8x-training README section "Quantization" (shifts, bias).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from synergyc.ir.network import BIAS_SUMS
from synergyc.ir.types import Activation, Array, EltwiseOp, Pool, PoolKind

INT8_MIN, INT8_MAX = -128, 127

_CHUNK_VALUES = 1 << 20
"""Unfolded values held at a time: keeps them in cache, has no effect on results."""


def clamp_int8(values: Array) -> Array:
    """Return integers of any width clipped to [-128, 127], as int8."""
    return np.clip(values, INT8_MIN, INT8_MAX).astype(np.int8)


def windows(data: Array, size: tuple[int, int], stride: int, dilation: tuple[int, int]) -> Array:
    """Return a read-only view (N, C, Ho, Wo, rows, columns) of all windows inside ``data`` (N, C, H, W)."""
    extent = [(length - 1) * step + 1 for length, step in zip(size, dilation, strict=True)]
    view = np.lib.stride_tricks.sliding_window_view(data, extent, axis=(2, 3))
    return view[:, :, ::stride, ::stride, :: dilation[0], :: dilation[1]]


def pool(data: Array, spec: Pool, *, rounding: bool = False) -> Array:
    """Return integer ``data`` (N, C, H, W) pooled, same dtype.

    Averages are truncated toward zero; with ``rounding`` they are rounded, halves away from zero.
    """
    view = windows(data, spec.window, spec.stride, spec.dilation)
    if spec.kind is PoolKind.MAX:
        return np.asarray(view.max(axis=(4, 5)))
    sums = view.sum(axis=(4, 5), dtype=np.int32)
    count = math.prod(spec.window)
    means = (np.abs(sums) + (count // 2 if rounding else 0)) // count
    return np.asarray((np.sign(sums) * means).astype(data.dtype))


def combine(operands: list[Array], op: EltwiseOp) -> Array:
    """Return int8 operands of equal shape combined left to right, in full precision, clipped at the end."""
    total = operands[0].astype(np.int32)
    for operand in operands[1:]:
        match op:
            case EltwiseOp.ADD:
                total += operand
            case EltwiseOp.SUB:
                total -= operand
            case EltwiseOp.OR:
                total |= operand
            case EltwiseOp.XOR:
                total ^= operand
    return clamp_int8(total)


def correlate(
    data: Array,
    weight: Array,
    padding: tuple[int, int] = (0, 0),
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
) -> Array:
    """Return the cross-correlation (N, out, Ho, Wo) of ``data`` (N, C, H, W) with zeros around it.

    ``weight`` is (out, C/groups, kh, kw), of the floating-point dtype of ``data``, which the result has too.
    """
    rows, columns = padding
    if rows or columns:
        data = np.pad(data, ((0, 0), (0, 0), (rows, rows), (columns, columns)))
    kernel = (weight.shape[2], weight.shape[3])
    view = windows(data, kernel, 1, dilation).transpose(0, 1, 4, 5, 2, 3)
    images, height, width = len(data), view.shape[4], view.shape[5]
    taps = math.prod(weight.shape[1:])
    matrix = weight.reshape(groups, -1, taps)
    result = np.empty((images, groups, matrix.shape[1], height * width), dtype=data.dtype)
    step = max(1, _CHUNK_VALUES // (groups * taps * height * width))
    for start in range(0, images, step):
        part = view[start : start + step].reshape(-1, groups, taps, height * width)
        if groups == 1 and height * width == 1:  # one product for the whole batch, not one for each vector
            result[start : start + step, 0, :, 0] = part[:, 0, :, 0] @ matrix[0].T
        else:
            np.matmul(matrix, part, out=result[start : start + step])
    return result.reshape(images, -1, height, width)


def spread_transposed(data: Array) -> Array:
    """Return ``data`` (N, C, H, W) with a zero after each pixel, (N, C, 2H, 2W), as the hardware reads it."""
    images, channels, height, width = data.shape
    spread = np.zeros((images, channels, 2 * height, 2 * width), dtype=data.dtype)
    spread[:, :, ::2, ::2] = data
    return spread


def sums_dtype(weight: Array, bias: Array | None) -> npt.DTypeLike:
    """Return the floating-point type in which sums with 8-bit data are exact.

    All partial sums are integers of magnitude at most ``sum(|w|) * 128 + 128 * |b|``, so they are exact,
    in any order, below 2**24 in float32; the accelerator's largest, below 2**28, are in float64.
    """
    bound = np.abs(weight.astype(np.int64)).reshape(len(weight), -1).sum(axis=1) * -INT8_MIN
    if bias is not None:
        bound = bound + BIAS_SUMS * np.abs(bias.astype(np.int64))
    return np.float32 if bound.max(initial=0) < 1 << 24 else np.float64


def weighted_sums(
    data: Array,
    weight: Array,
    bias: Array | None,
    padding: tuple[int, int] = (0, 0),
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
) -> Array:
    """Return the raw sums, int32 (N, out, Ho, Wo), of int8 data and weights: products plus 128 * bias."""
    dtype = sums_dtype(weight, bias)
    sums = correlate(data.astype(dtype), weight.astype(dtype), padding, dilation, groups).astype(np.int32)
    if bias is not None:
        sums += BIAS_SUMS * bias.astype(np.int32).reshape(-1, 1, 1)
    return sums


def requantize(sums: Array, hardware_shift: int) -> Array:
    """Return ``clip(floor(sums * 2**hardware_shift / 128 + 1/2))`` as int8, for shifts of -15 to 15."""
    right = 7 - hardware_shift
    if right <= 0:  # what is clipped before the shift is clipped after it, too
        return clamp_int8(np.clip(sums, INT8_MIN, INT8_MAX).astype(np.int32) << -right)
    scaled = sums >> (right - 1)
    half = scaled & 1  # the last bit that is dropped: it rounds up, and no sum is left too wide for its type
    scaled >>= 1
    scaled += half
    return clamp_int8(scaled)


def activate(values: Array, activation: Activation) -> Array:
    """Return int8 values after the activation, which follows clipping: ``abs(-128)`` is 127."""
    match activation:
        case Activation.RELU:
            return np.maximum(values, np.int8(0))
        case Activation.ABS:
            return clamp_int8(np.abs(values.astype(np.int16)))
        case Activation.NONE:
            return values
