"""The layer arithmetic written as loops over docs/accelerator.md 2, in Python's integers."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import numpy as np

from tests.emulate.accelerator.encoder import Integers, Layer


def run(layer: Layer, data: Integers, weights: Integers, bias: Integers) -> Integers:
    """Return the output (channels, rows, cols) of ``data`` (operands, channels, rows, cols)."""
    if layer.pool_first:
        prepared = _combine(layer, np.stack([_pool(layer, operand) for operand in data]))
    else:
        prepared = _pool(layer, _combine(layer, data))
    if layer.passthrough:
        return prepared
    if layer.flatten:
        prepared = prepared.reshape(-1, 1, 1)
        weights = weights.reshape(layer.outputs, -1, 1)
    if layer.transposed:
        spaced = np.zeros((prepared.shape[0], 2 * prepared.shape[1], 2 * prepared.shape[2]), np.int64)
        spaced[:, ::2, ::2] = prepared
        prepared = spaced
    pad_rows, pad_cols = layer.hardware_pad
    padded = np.pad(prepared, ((0, 0), (pad_rows, pad_rows), (pad_cols, pad_cols)))
    kernel_rows, kernel_cols = layer.kernel
    rows, cols = layer.output_size
    found = np.zeros((layer.outputs, rows, cols), np.int64)
    for o, y, x in np.ndindex(layer.outputs, rows, cols):
        patch = padded[:, y : y + kernel_rows, x : x + kernel_cols].reshape(padded.shape[0], -1)
        total = int((patch * weights[o]).sum()) + 128 * int(bias[o])
        found[o, y, x] = total if layer.wide else _output(layer, total)
    return found


def _output(layer: Layer, total: int) -> int:
    # floor(total * 2^S / 128 + 1/2) in whole numbers: everything times 2^23
    scaled = (total << (layer.shift + 16)) + (1 << 22)
    value = max(-128, min(127, scaled >> 23))
    if layer.activation == "relu":
        return max(value, 0)
    return min(abs(value), 127) if layer.activation == "abs" else value


def _combine(layer: Layer, data: Integers) -> Integers:
    operations: dict[str, Callable[[Integers, Integers], Integers]] = {
        "add": lambda a, b: a + b,
        "sub": lambda a, b: a - b,
        "or": lambda a, b: a | b,
        "xor": lambda a, b: a ^ b,
    }
    if not layer.eltwise:
        first: Integers = data[0]
        return first
    combined: Integers = np.clip(reduce(operations[layer.eltwise], list(data)), -128, 127)
    return combined


def _pool(layer: Layer, data: Integers) -> Integers:
    rows, cols = layer.pooled
    found = np.zeros((data.shape[0], rows, cols), np.int64)
    for c, y, x in np.ndindex(data.shape[0], rows, cols):
        top, left = y * layer.stride, x * layer.stride
        window = data[c, top : top + layer.pool[0], left : left + layer.pool[1]]
        if layer.average:
            total = int(window.sum())
            found[c, y, x] = abs(total) // window.size * (-1 if total < 0 else 1)
        else:
            found[c, y, x] = window.max()
    return found
