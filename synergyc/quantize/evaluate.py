"""Evaluating one operator of a graph: in float for calibration, in integers as the accelerator will.

Both work on batches with the batch axis first and keep each value's shape as the graph states it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from synergyc.ir.fold import affine
from synergyc.ir.graph import (
    Abs,
    BatchNorm,
    Clamp,
    Concatenation,
    Convolution,
    Copy,
    Elementwise,
    Flatten,
    LeakyRelu,
    Linear,
    Node,
    Operator,
    Padding,
    Pooling,
    Relu,
    Reshape,
    Saturation,
    Thinning,
)
from synergyc.ir.kernels import plain_kernel
from synergyc.ir.types import Activation, Array, EltwiseOp, Pool, PoolKind
from synergyc.reference import arithmetic


@dataclass(frozen=True)
class Product:
    """A weighted operator as a plain correlation: weights (out, in/groups, kh, kw) on maps (N, C, H, W).

    Transposed convolutions read their input with zeros inserted: ``spread`` is their stride, ``trailing`` the
    number of zero rows and columns after the last pixel.
    """

    weight: Array
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    stride: tuple[int, int] = (1, 1)
    spread: tuple[int, int] = (1, 1)
    trailing: tuple[int, int] = (0, 0)

    def data(self, values: Array) -> Array:
        """Return the operator's input as maps (N, C, H, W), with zeros inserted for transposed ones."""
        maps = as_maps(values)
        if self.spread == (1, 1) and self.trailing == (0, 0):
            return maps
        sizes = [
            (size - 1) * step + 1 + extra
            for size, step, extra in zip(maps.shape[2:], self.spread, self.trailing, strict=True)
        ]
        spread = np.zeros((*maps.shape[:2], *sizes), dtype=maps.dtype)
        rows, columns = (size - extra for size, extra in zip(sizes, self.trailing, strict=True))
        spread[:, :, : rows : self.spread[0], : columns : self.spread[1]] = maps
        return spread

    def sums(self, data: Array) -> Array:
        """Return the weighted sums (N, out, Ho, Wo) of ``data``, of its floating-point type."""
        weight = self.weight.astype(data.dtype)
        return self._strided(arithmetic.correlate(data, weight, self.padding, self.dilation, self.groups))

    def integer_sums(self, data: Array, bias: Array | None) -> Array:
        """Return the accelerator's raw sums, int32 (N, out, Ho, Wo), of int8 ``data``."""
        return self._strided(
            arithmetic.weighted_sums(data, self.weight, bias, self.padding, self.dilation, self.groups)
        )

    def _strided(self, values: Array) -> Array:
        return values[:, :, :: self.stride[0], :: self.stride[1]]


def product(operator: Convolution | Linear) -> Product:
    """Return ``operator`` as a correlation."""
    weight = operator.weight
    if isinstance(operator, Linear):
        return Product(weight[:, :, None, None])
    columns = (1,) if weight.ndim == 3 else ()  # one-dimensional data is a single column
    weight = weight.reshape(*weight.shape, *columns)
    padding = _pair(operator.padding, 0)
    dilation, stride = _pair(operator.dilation, 1), _pair(operator.stride, 1)
    if not operator.transposed:
        return Product(weight, padding, dilation, operator.groups, stride)
    rows, width = (
        step * (size - 1) - pad for size, step, pad in zip(weight.shape[2:], dilation, padding, strict=True)
    )
    plain = plain_kernel(weight, operator.groups)
    trailing = _pair(operator.output_padding, 0)
    return Product(plain, (rows, width), dilation, operator.groups, spread=stride, trailing=trailing)


def _pair(values: tuple[int, ...], column: int) -> tuple[int, int]:
    return (values[0], values[1]) if len(values) == 2 else (values[0], column)


def evaluate_float(node: Node, inputs: list[Array]) -> Array:
    """Return the node's value, float32, for float inputs."""
    operator = node.operator.convolution if isinstance(node.operator, Copy) else node.operator
    if isinstance(operator, Convolution | Linear):
        plain = product(operator)
        result = plain.sums(plain.data(inputs[0]))
        if operator.bias is not None:
            result = result + operator.bias.reshape(-1, 1, 1)
    elif isinstance(operator, Pooling):
        result = _pool_float(as_maps(inputs[0]), operator.pool)
    elif isinstance(operator, Elementwise):
        result = _combine_float(inputs, operator.op)
    elif isinstance(operator, Clamp | Saturation):
        result = np.clip(inputs[0], operator.low, operator.high)
    elif isinstance(operator, LeakyRelu):
        slope = operator.slope.reshape(-1, *(1,) * (inputs[0].ndim - 2))
        result = np.where(inputs[0] < 0, inputs[0] * slope, inputs[0])
    elif isinstance(operator, Padding):
        result = _padded_float(inputs[0], operator)
    elif isinstance(operator, Thinning):
        result = inputs[0][(slice(None), slice(None), *(slice(None, None, step) for step in operator.steps))]
    elif isinstance(operator, BatchNorm):
        result = _normalized(inputs[0], operator)
    else:
        result = _shared(operator, inputs)
    return np.asarray(result.reshape(len(result), *node.shape), dtype=np.float32)


def evaluate_integer(node: Node, inputs: list[Array]) -> Array:
    """Return the node's value as the accelerator computes it: int8, or int32 for wide sums."""
    operator = node.operator
    if isinstance(operator, Convolution | Linear):
        plain, how = product(operator), operator.requantization
        if how is None:
            raise ValueError(f"node {node.name} is not quantized")
        result = plain.integer_sums(plain.data(inputs[0]), operator.bias)
        if not how.wide:
            result = arithmetic.requantize(result, how.output_shift + 8 - how.weight_bits)
    elif isinstance(operator, Pooling):
        result = arithmetic.pool(as_maps(inputs[0]), operator.pool)
    elif isinstance(operator, Elementwise):
        result = arithmetic.combine(inputs, operator.op)
    elif isinstance(operator, Abs):
        result = arithmetic.activate(inputs[0], Activation.ABS)
    elif isinstance(operator, Copy):
        plain = product(operator.convolution)
        result = plain.sums(plain.data(inputs[0]).astype(np.float32)).astype(np.int8)
    elif isinstance(operator, Saturation):  # clipping has happened: the scale says so
        result = np.maximum(inputs[0], np.int8(0)) if operator.low == 0 else inputs[0]
    else:
        result = _shared(operator, inputs)
    return result.reshape(len(result), *node.shape)


def as_maps(values: Array) -> Array:
    """Return (N, C), (N, C, L) or (N, C, H, W) as (N, C, H, W)."""
    return values.reshape(*values.shape, *(1,) * (4 - values.ndim))


def _shared(operator: Operator, inputs: list[Array]) -> Array:
    """Evaluate operators that are the same in float and in integers."""
    match operator:
        case Relu():
            return np.asarray(np.maximum(inputs[0], inputs[0].dtype.type(0)))
        case Abs():
            return np.abs(inputs[0])
        case Flatten() | Reshape():
            return inputs[0].reshape(len(inputs[0]), -1)
        case Concatenation():
            return np.concatenate(inputs, axis=1)
    raise TypeError(f"no way to evaluate {operator}")


def _normalized(data: Array, norm: BatchNorm) -> Array:
    factor, offset = (values.reshape(-1, *(1,) * (data.ndim - 2)) for values in affine(norm))
    return np.asarray(data * factor + offset)


def _padded_float(data: Array, padding: Padding) -> Array:
    pairs = list(zip(padding.before, padding.after, strict=True))
    added = [(0, 0), (0, 0), *((max(0, low), max(0, high)) for low, high in pairs)]
    padded = np.pad(data, added, constant_values=-np.inf if padding.lowest else 0.0)
    kept = [
        slice(max(0, -low), size - max(0, -high))
        for (low, high), size in zip(pairs, padded.shape[2:], strict=True)
    ]
    return padded[(slice(None), slice(None), *kept)]


def _pool_float(data: Array, spec: Pool) -> Array:
    view = arithmetic.windows(data, spec.window, spec.stride, spec.dilation)
    if spec.kind is PoolKind.MAX:
        return np.asarray(view.max(axis=(4, 5)))
    return np.asarray(view.sum(axis=(4, 5)) / math.prod(spec.window))


def _combine_float(operands: list[Array], op: EltwiseOp) -> Array:
    total = operands[0].copy()
    for operand in operands[1:]:
        if op is EltwiseOp.ADD:
            total += operand
        elif op is EltwiseOp.SUB:
            total -= operand
        else:
            raise ValueError(f"{op} has no meaning on real numbers")
    return total
