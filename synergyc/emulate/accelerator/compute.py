"""The arithmetic of the accelerator, exact (docs/accelerator.md, 2).

Maps are pixel-major: (rows, cols, channels). Products are summed by float32 matrix multiplication where the
sum of magnitudes proves that no rounding can happen, else in parts.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from synergyc.emulate.accelerator.config import Activation, Eltwise, Pool

Int8 = npt.NDArray[np.int8]
Int16 = npt.NDArray[np.int16]
Int32 = npt.NDArray[np.int32]
Float32 = npt.NDArray[np.float32]

EXACT_FLOAT32 = 1 << 24
"""Integers up to this magnitude are exact in float32 (24-bit significand)."""
LARGEST_DATA = 128
"""Largest magnitude of an 8-bit input."""
PRODUCT_MACS = 1_000_000
"""Multiply-accumulates of one matrix product.

Small products stay in the cache and, with OpenBLAS, in the calling thread: on a busy machine the wait for its
helpers costs far more than they save (measured: 50 ms in place of 2 ms).
"""
OUTPUTS_AT_ONCE = 64
"""Outputs of one matrix product: more would leave too few pixels for it."""
GATHERED_DEPTH = 144
"""Up to that many values under a kernel, they are put side by side for one product; above, the values under
one kernel row, and the rows, which are mere offsets then, are products to be added."""


def pool(data: Int8, window: Pool) -> Int8:
    """Return ``data`` (rows, cols, ...) pooled over its first two axes (docs/accelerator.md, 2.2)."""
    rows = (data.shape[0] - window.row_span) // window.stride + 1
    cols = (data.shape[1] - window.col_span) // window.stride + 1

    def slices(size: int, step: int, count: int) -> list[slice]:
        starts = range(0, size * step, step)
        return [slice(start, start + (count - 1) * window.stride + 1, window.stride) for start in starts]

    row_slices = slices(window.rows, window.row_dilation, rows)
    col_slices = slices(window.cols, window.col_dilation, cols)
    if not window.average:
        high = data[row_slices[0]]
        for part in row_slices[1:]:
            high = np.maximum(high, data[part])
        best = high[:, col_slices[0]]
        for part in col_slices[1:]:
            best = np.maximum(best, high[:, part])
        return np.ascontiguousarray(best)
    total = data[row_slices[0]].astype(np.int16)  # 16 * 16 values of -128..127 fit in 16 bits
    for part in row_slices[1:]:
        total = total + data[part]
    sums = total[:, col_slices[0]]
    for part in col_slices[1:]:
        sums = sums + total[:, part]
    return _average(sums, window.rows * window.cols, window.rounding)


def _average(sums: Int16, count: int, rounding: bool) -> Int8:
    """Return sums / count: truncated toward zero, or rounded with ties away from zero."""
    magnitude = np.abs(sums.astype(np.int32))
    quotient = (2 * magnitude + count) // (2 * count) if rounding else magnitude // count
    return np.where(sums < 0, -quotient, quotient).astype(np.int8)


def combine(data: Int8, function: Eltwise) -> Int8:
    """Return the operands of ``data`` (rows, cols, passes, operands, channels) combined left to right."""
    operands = [data[:, :, :, k] for k in range(data.shape[3])]
    if function in (Eltwise.OR, Eltwise.XOR):
        bits = operands[0].copy()
        for operand in operands[1:]:
            bits = np.bitwise_or(bits, operand) if function is Eltwise.OR else np.bitwise_xor(bits, operand)
        return bits
    total = operands[0].astype(np.int16)
    for operand in operands[1:]:
        total = total + operand if function is Eltwise.ADD else total - operand
    return np.clip(total, -128, 127).astype(np.int8)


def pad(data: Int8, rows: int, cols: int) -> Float32:
    """Return ``data`` (rows, cols, channels) in float32 with zeros around it."""
    padded = np.zeros((data.shape[0] + 2 * rows, data.shape[1] + 2 * cols, data.shape[2]), np.float32)
    padded[rows : rows + data.shape[0], cols : cols + data.shape[1]] = data
    return padded


def upsample(data: Int8) -> Int8:
    """Return ``data`` with a zero after each pixel, in both directions (docs/accelerator.md, 2.4)."""
    spaced = np.zeros((data.shape[0] * 2, data.shape[1] * 2, data.shape[2]), np.int8)
    spaced[::2, ::2] = data
    return spaced


def convolve(data: Float32, weights: Float32) -> Int32:
    """Return the exact valid cross-correlation of padded maps.

    ``data`` is (rows, cols, channels), ``weights`` (kernel rows, kernel cols, channels, outputs); both hold
    integers. The result is (output rows, output cols, outputs). The sum of the magnitudes of an output's
    weights, at most 9 * 1024 * 128, is itself exact in float32.
    """
    magnitudes = np.abs(weights).reshape(-1, weights.shape[3]).sum(axis=0)
    bound = LARGEST_DATA * float(magnitudes.max(initial=0.0))
    if bound < EXACT_FLOAT32:
        return _convolve_float32(data, weights).astype(np.int32)
    half = data.shape[2] // 2
    low = convolve(np.ascontiguousarray(data[..., :half]), np.ascontiguousarray(weights[:, :, :half]))
    high = convolve(np.ascontiguousarray(data[..., half:]), np.ascontiguousarray(weights[:, :, half:]))
    return low + high


def _convolve_float32(data: Float32, weights: Float32) -> Float32:
    kernel_rows, kernel_cols, channels, outputs = weights.shape
    cols = data.shape[1] - kernel_cols + 1
    lines = _neighbours(data, 1, kernel_cols)
    if kernel_rows * kernel_cols * channels <= GATHERED_DEPTH:
        lines, weights, kernel_rows = _neighbours(lines, 0, kernel_rows), weights[None], 1
    weights = weights.reshape(kernel_rows, -1, outputs)
    flat = lines.reshape(-1, weights.shape[1])
    rows = flat.shape[0] // cols - kernel_rows + 1
    total = np.empty((rows * cols, outputs), np.float32)
    for first in range(0, outputs, OUTPUTS_AT_ONCE):
        part = slice(first, first + OUTPUTS_AT_ONCE)
        _multiply(flat, cols, np.ascontiguousarray(weights[..., part]), total[:, part])
    return total.reshape(rows, cols, outputs)


def _neighbours(data: Float32, axis: int, count: int) -> Float32:
    """Return ``data`` (rows, cols, values), ``count`` neighbours along ``axis`` joined in the last one."""
    if count == 1:
        return data
    size = data.shape[axis] - count + 1
    rows, cols = (size, data.shape[1]) if axis == 0 else (data.shape[0], size)
    joined = np.empty((rows, cols, count, data.shape[2]), np.float32)
    for i in range(count):
        joined[:, :, i] = data[i : i + rows] if axis == 0 else data[:, i : i + cols]
    return joined.reshape(rows, cols, -1)


def _multiply(flat: Float32, offset: int, weights: Float32, total: Float32) -> None:
    """Set ``total`` (pixels, outputs) to the sum over i of flat[i * offset :] @ weights[i]."""
    depth, outputs = weights.shape[1:]
    pixels = total.shape[0]
    step = max(1, PRODUCT_MACS // (depth * outputs))
    for first in range(0, pixels, step):
        end = min(first + step, pixels)
        part = total[first:end]
        np.matmul(flat[first:end], weights[0], out=part)
        for i in range(1, len(weights)):
            part += flat[i * offset + first : i * offset + end] @ weights[i]


def convolve_depthwise(data: Float32, weights: Float32) -> Int32:
    """Return each channel correlated with its own kernel.

    ``weights`` is (kernel rows, kernel cols, channels); at most 9 taps of 128 * 128 are exact in float32.
    """
    kernel_rows, kernel_cols, channels = weights.shape
    rows, cols = data.shape[0] - kernel_rows + 1, data.shape[1] - kernel_cols + 1
    total = np.zeros((rows, cols, channels), np.float32)
    for i in range(kernel_rows):
        for j in range(kernel_cols):
            total += data[i : i + rows, j : j + cols] * weights[i, j]
    return total.astype(np.int32)


def requantize(total: Int32, bias: Int32 | int, shift: int, activation: Activation) -> Int8:
    """Return sums, which are overwritten, as 8-bit outputs (docs/accelerator.md, 2.1).

    Add 128 times ``bias`` of each output, shift, round half up, clamp, activate.
    """
    value = total
    if shift <= 6:
        value += np.int32(128) * bias + np.int32(1 << (6 - shift))
        value >>= 7 - shift
    else:
        value += np.int32(128) * bias
        np.clip(value, -128, 127, out=value)  # what is beyond 8 bits saturates whatever the shift
        value <<= shift - 7
    lowest = 0 if activation is Activation.RELU else -128
    if activation is Activation.ABS:
        np.abs(value, out=value)
    return np.clip(value, lowest, 127, out=value).astype(np.int8)
