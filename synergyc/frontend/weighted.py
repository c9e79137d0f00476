"""Operators with weights, and arithmetic with constants: from their parameters, whatever the format."""

from __future__ import annotations

import math

import numpy as np

from synergyc.frontend.builder import Call, UnsupportedOperatorError, Value
from synergyc.frontend.moved import again, moved, through, together, with_channels_last
from synergyc.ir.graph import (
    BatchNorm,
    Clamp,
    Convolution,
    Elementwise,
    Flatten,
    LeakyRelu,
    Linear,
    Operator,
    Padding,
    Relu,
    Reshape,
)
from synergyc.ir.preparation import PreparationStep, Step
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
    given = operator.weight.shape[0] if operator.transposed else operator.weight.shape[1] * operator.groups
    if source.shape[0] != given:
        raise UnsupportedOperatorError(f"its weights are for {given} channels, not {source.shape[0]}")
    if operator.bias is not None and operator.bias.shape != call.shape[:1]:
        raise UnsupportedOperatorError(f"its bias is for {operator.bias.size} channels, not {call.shape[0]}")
    if asymmetric is not None:
        source = pad(call, source, *asymmetric)
    if not operator.transposed and _outputs(operator, source) != call.shape[1:]:
        raise UnsupportedOperatorError(
            f"its padding gives {_outputs(operator, source)} pixels, not {call.shape[1:]} as the file says"
        )
    return call.emit(operator, source)


def _outputs(operator: Convolution, source: Value) -> Shape:
    """Return the pixels along each axis that a convolution gives."""
    return tuple(
        (size + 2 * pad - (taps - 1) * gap - 1) // step + 1
        for size, taps, step, pad, gap in zip(
            source.shape[1:],
            operator.weight.shape[2:],
            operator.stride,
            operator.padding,
            operator.dilation,
            strict=True,
        )
    )


def pad(call: Call, source: Value, before: Shape, after: Shape, *, lowest: bool = False) -> Value:
    """Emit padding with zeros, or with what no maximum picks; nothing where there is none."""
    if not any(before) and not any(after):
        return source
    sizes = [size + a + b for size, a, b in zip(source.shape[1:], before, after, strict=True)]
    if min(sizes) < 1:
        raise UnsupportedOperatorError("nothing is left of its input")
    return call.emit(Padding(before, after, lowest), source, shape=(source.shape[0], *sizes))


def multiply(call: Call, source: Value, weight: Array, bias: Array | None) -> Value:
    """Emit a product of the last axis with ``weight`` (out, in): of a vector, or of each pixel's channels."""
    if weight.ndim != 2:
        raise UnsupportedOperatorError("weights must be a matrix")
    if source.shape[-1] != weight.shape[1]:
        raise UnsupportedOperatorError(f"it must read {weight.shape[1]} values, not shape {source.shape}")
    if bias is not None:
        if bias.size not in {1, len(weight)}:
            raise UnsupportedOperatorError(f"it adds {bias.size} values to {len(weight)}")
        bias = frozen_array(np.broadcast_to(bias.reshape(-1), (len(weight),)))
    found = moved(call, source)
    if math.prod(source.shape[:-1]) > 1:
        start, steps = with_channels_last(call, source)
        product = call.emit(_pointwise(weight, bias, start), start, shape=(len(weight), *start.shape[1:]))
        return again(call, product, [_resized(step, len(weight)) for step in steps])
    if found is not None:  # the weights are put in the order of the values instead
        weight, source = frozen_array(found.columns(weight)), found.start
    if len(source.shape) > 1:
        source = call.emit(Flatten(), source, shape=(math.prod(source.shape),))
    product = call.emit(Linear(weight, bias), source, shape=(len(weight),))
    if len(call.shape) == 1:
        return product
    if call.shape[0] == len(weight):
        return call.emit(Reshape(), product)
    return call.set_aside(Step(PreparationStep.RESHAPE, call.shape), product)


def _pointwise(weight: Array, bias: Array | None, source: Value) -> Convolution:
    rank = len(source.shape) - 1
    kernel = frozen_array(weight.reshape(*weight.shape, *(1,) * rank))
    return Convolution(kernel, bias, (1,) * rank, (0,) * rank, (1,) * rank)


def _resized(step: Step, channels: int) -> Step:
    """Return a step that ends with channels last, for another number of them."""
    return step if step.kind is PreparationStep.TRANSPOSE else Step(step.kind, (*step.sizes[:-1], channels))


def activate(call: Call, operator: Operator, source: Value) -> Value:
    """Emit a function of single values."""
    return through(call, source, lambda inner, value: inner.emit(operator, value, shape=value.shape))


def scale(call: Call, source: Value, factor: Array | float, offset: Array | float) -> Value:
    """Emit ``source * factor + offset``; both are numbers or have one value for each channel."""
    found = moved(call, source)
    if found is not None:
        result = _scaled(call, found.start, found.constant(factor), found.constant(offset))
        return again(call, result, found.steps)
    if source == call.builder.input and _along_last(source, factor, offset):
        first, back = with_channels_last(call, source)
        pixels = (1,) * (len(source.shape) - 1)
        factors, offsets = (np.asarray(item).reshape(-1, *pixels) for item in (factor, offset))
        return again(call, _scaled(call, first, factors, offsets), back)
    return _scaled(call, source, factor, offset)


def _along_last(source: Value, *constants: Array | float) -> bool:
    """Return whether constants differ along the last axis of several alone, or are numbers."""
    arrays = [np.asarray(constant) for constant in constants if np.size(constant) > 1]
    size = source.shape[-1]
    return bool(arrays) and len(source.shape) > 1 and all(a.size == a.shape[-1] == size for a in arrays)


def _scaled(call: Call, source: Value, factor: Array | float, offset: Array | float) -> Value:
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
    if aligned.ndim == rank + 1 and aligned.shape[2:] == source.shape[1:]:  # written out for each pixel
        first = aligned[(slice(None), slice(None), *(slice(0, 1),) * (rank - 1))]
        aligned = first if np.array_equal(aligned, np.broadcast_to(first, aligned.shape)) else aligned
    if aligned.ndim > rank + 1 or math.prod(aligned.shape[:1]) != 1 or math.prod(aligned.shape[2:]) != 1:
        raise UnsupportedOperatorError(
            f"a constant of shape {array.shape} differs from pixel to pixel",
            "constants may differ from channel to channel only",
        )
    if aligned.size not in {1, source.shape[0]}:
        raise UnsupportedOperatorError(
            f"a constant of shape {array.shape} makes {aligned.size} channels of {source.shape[0]}",
            "repeat the channels first",
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
        alike = together(call, (first, second))
        if alike is not None:
            starts = [item.start for item in alike]
            return again(call, call.emit(Elementwise(op), *starts, shape=starts[0].shape), alike[0].steps)
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


def larger(call: Call, first: Value, second: Value, *, maximum: bool) -> Value:
    """Emit the larger of two tensors, ``a + relu(b - a)``, or the smaller, ``a - relu(a - b)``."""
    if first.shape != second.shape:
        raise UnsupportedOperatorError(f"tensors of shapes {first.shape} and {second.shape} are compared")
    operands = (second, first) if maximum else (first, second)
    excess = activate(call, Relu(), combine(call, EltwiseOp.SUB, *operands))
    return combine(call, EltwiseOp.ADD if maximum else EltwiseOp.SUB, first, excess)


def mix_channels(call: Call, source: Value, factor: float) -> Value:
    """Emit the sum of all channels times ``factor``, as one channel."""
    weight = np.full((1, source.shape[0]), factor, dtype=np.float32)
    if len(source.shape) == 1:
        return call.emit(Linear(frozen_array(weight), None), source, shape=(1,))
    return call.emit(_pointwise(frozen_array(weight), None, source), source, shape=(1, *source.shape[1:]))


_NO_LIMIT = 2.0**24
"""Models and exporters write limits like 1e9, or the largest number, for none.

Clipping adds limits to values, of which single precision leaves nothing beside larger ones.
"""


def clamp(call: Call, source: Value, low: float | None, high: float | None) -> Value:
    """Emit clipping to ``low``..``high``; None, and what no value comes near, is no limit."""
    bottom = -math.inf if low is None or low <= -_NO_LIMIT else float(low)
    top = math.inf if high is None or high >= _NO_LIMIT else float(high)
    if not bottom < top:  # or one of them is NaN
        raise UnsupportedOperatorError(f"it clips everything to a constant, {top:g}")
    if bottom == -math.inf and top == math.inf:
        return source
    return activate(call, Relu() if bottom == 0.0 and top == math.inf else Clamp(bottom, top), source)


def leaky(call: Call, source: Value, slope: Array | float) -> Value:
    """Emit an activation that multiplies negative values by ``slope``: a number, or as for ``scale``."""
    found = moved(call, source)
    start = source if found is None else found.start
    if found is not None:
        slope = found.constant(slope)
    slopes = np.broadcast_to(_by_channel(slope, start), (start.shape[0],))
    return activate(call, LeakyRelu(frozen_array(slopes, np.float32)), source)
