"""Operators with weights, and arithmetic with constants: from their parameters, whatever the format."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from synergyc.frontend.builder import Call, UnsupportedOperatorError, Value
from synergyc.ir.graph import (
    BatchNorm,
    Clamp,
    Convolution,
    Elementwise,
    LeakyRelu,
    Linear,
    Padding,
    Relu,
)
from synergyc.ir.types import Array, EltwiseOp, Shape, frozen_array


def of_rank(source: Value, rank: int) -> Value:
    """Return ``source`` if it has ``rank`` axes, channels first; torch also takes single images."""
    if len(source.shape) != rank:
        raise UnsupportedOperatorError(
            f"its input must have a batch axis and {rank} more, not shape {source.shape}"
        )
    return source


def same_padding(kernel: Shape, dilation: Shape) -> tuple[Shape, Shape]:
    """Return the padding before and after each axis that keeps its size: the odd pixel comes after."""
    total = [(size - 1) * step for size, step in zip(kernel, dilation, strict=True)]
    before = tuple(size // 2 for size in total)
    return before, tuple(size - low for size, low in zip(total, before, strict=True))


def convolve(
    call: Call,
    source: Value,
    operator: Convolution,
    asymmetric: tuple[Shape, Shape] | None = None,
) -> Value:
    """Emit a convolution; ``asymmetric``: padding before and after each axis, the operator then has none."""
    rank = operator.weight.ndim - 2
    if rank > 2:
        raise UnsupportedOperatorError("three-dimensional convolution cannot be carried out")
    of_rank(source, rank + 1)
    if asymmetric is None:
        return call.emit(operator, source)
    padded = pad(call, source, *asymmetric)
    return call.emit(operator, padded)


def pad(call: Call, source: Value, before: Shape, after: Shape, *, lowest: bool = False) -> Value:
    """Emit padding with zeros, or with what no maximum picks; nothing where there is none."""
    if not any(before) and not any(after):
        return source
    sizes = [size + a + b for size, a, b in zip(source.shape[1:], before, after, strict=True)]
    if min(sizes) < 1:
        raise UnsupportedOperatorError("nothing is left of its input")
    return call.emit(Padding(before, after, lowest), source, shape=(source.shape[0], *sizes))


def multiply(call: Call, source: Value, weight: Array, bias: Array | None) -> Value:
    """Emit a product of a vector with ``weight`` (out, in); maps of one pixel are vectors."""
    if weight.ndim != 2:
        raise UnsupportedOperatorError("weights must be a matrix")
    if len(source.shape) != 1 or source.shape[0] != weight.shape[1]:
        raise UnsupportedOperatorError(
            f"linear must read a vector, not shape {source.shape}",
            "flatten its input, or use a 1x1 convolution with the features as channels",
        )
    if bias is not None:
        bias = frozen_array(np.broadcast_to(bias.reshape(-1), (len(weight),)))
    return call.emit(Linear(weight, bias), source)


def scale(call: Call, source: Value, factor: Array | float, offset: Array | float) -> Value:
    """Emit ``source * factor + offset``; both are numbers or have one value for each channel."""
    channels = source.shape[0]
    factors = np.broadcast_to(_by_channel(factor, source), (channels,))
    offsets = np.broadcast_to(_by_channel(offset, source), (channels,))
    if np.all(factors == 1) and not np.any(offsets):
        return source
    norm = BatchNorm(
        mean=frozen_array(np.zeros(channels), np.float32),
        variance=frozen_array(np.ones(channels), np.float32),
        gain=frozen_array(factors, np.float32),
        offset=frozen_array(offsets, np.float32),
        epsilon=0.0,
    )
    return call.emit(norm, source, shape=source.shape)


def _by_channel(constant: Array | float, source: Value) -> Array:
    """Return a constant that applies to ``source`` (N, C, ...) as one value, or one for each channel."""
    array = np.asarray(constant, dtype=np.float64)
    rank = len(source.shape)
    aligned = array.reshape((1,) * max(0, rank + 1 - array.ndim) + array.shape)
    if aligned.ndim > rank + 1 or math.prod(aligned.shape[:1]) != 1 or math.prod(aligned.shape[2:]) != 1:
        raise UnsupportedOperatorError(
            f"a constant of shape {array.shape} differs from pixel to pixel",
            "constants may differ from channel to channel only",
        )
    return aligned.reshape(-1)


def combine(call: Call, op: EltwiseOp, first: Value | Array | float, second: Value | Array | float) -> Value:
    """Emit a sum or difference of two tensors, or of a tensor and a constant."""
    sign = 1.0 if op is EltwiseOp.ADD else -1.0
    if isinstance(first, Value) and isinstance(second, Value):
        if first.shape != second.shape:
            raise UnsupportedOperatorError(
                f"{op} needs operands of equal shape, not {first.shape} and {second.shape}"
            )
        if first == second:
            return scale(call, first, 1 + sign, 0.0)
        return call.emit(Elementwise(op), first, second)
    if isinstance(first, Value):
        assert not isinstance(second, Value)  # noqa: S101  seen above, for the type checker
        return scale(call, first, 1.0, sign * np.asarray(second, dtype=np.float64))
    if isinstance(second, Value):
        return scale(call, second, sign, first)
    raise UnsupportedOperatorError("operands must be computed from the input")


def times(call: Call, first: Value | Array | float, second: Value | Array | float) -> Value:
    """Emit a product of a tensor and a constant."""
    if isinstance(first, Value) and isinstance(second, Value):
        raise UnsupportedOperatorError(
            "the accelerator cannot multiply two tensors",
            "gates, attention and squeeze-and-excitation multiply activations: use additions instead",
        )
    value, factor = (first, second) if isinstance(first, Value) else (second, first)
    if not isinstance(value, Value) or isinstance(factor, Value):
        raise UnsupportedOperatorError("one factor must be computed from the input, the other constant")
    return scale(call, value, factor, 0.0)


def clamp(call: Call, source: Value, low: float | None, high: float | None) -> Value:
    """Emit clipping to ``low``..``high``; None is no limit."""
    bottom = -math.inf if low is None else float(low)
    top = math.inf if high is None else float(high)
    if bottom >= top:
        raise UnsupportedOperatorError(f"it clips everything to a constant, {top:g}")
    if bottom == -math.inf and top == math.inf:
        return source
    operator = Relu() if bottom == 0.0 and top == math.inf else Clamp(bottom, top)
    return call.emit(operator, source, shape=source.shape)


def leaky(call: Call, source: Value, slope: Array | float) -> Value:
    """Emit an activation that multiplies negative values by ``slope``."""
    slopes = np.broadcast_to(np.asarray(slope, dtype=np.float64).reshape(-1), (source.shape[0],))
    return call.emit(LeakyRelu(frozen_array(slopes, np.float32)), source, shape=source.shape)


def concatenate_shapes(values: Sequence[Value]) -> Shape:
    """Return the shape of values joined by channel."""
    return (sum(value.shape[0] for value in values), *values[0].shape[1:])
