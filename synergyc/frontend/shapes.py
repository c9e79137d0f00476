"""Operators that move values: reshaping, slicing, joining, padding, and work that the CPU does."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from synergyc.frontend.builder import BatchMixedError, Call, UnsupportedOperatorError, Value
from synergyc.frontend.moved import again, together
from synergyc.frontend.weighted import pad
from synergyc.ir.graph import Concatenation, Copy, Flatten, Pooling, Reshape, Thinning, doubling
from synergyc.ir.preparation import PreparationStep, Step
from synergyc.ir.tail import MOST_AXES, Tail, TailOp, unfolded
from synergyc.ir.types import Array, Pool, PoolKind, Shape, frozen_array


def reshape(call: Call, source: Value) -> Value:
    """Emit a change to the call's shape that moves no value between channels and pixels."""
    target = call.shape
    if target == source.shape:
        return source
    if call.builder.is_finished(source):
        return call.set_aside(Step(PreparationStep.RESHAPE, target), source)
    if call.builder.unmoved(source)[1]:
        return _moved(call, source, Step(PreparationStep.RESHAPE, target))
    if math.prod(target) != math.prod(source.shape):
        raise BatchMixedError
    if len(target) == 1:
        return call.emit(Flatten(), source)
    if target[0] == source.shape[0]:  # pixels lie in rows, however long a row is said to be
        return call.emit(Reshape(), source)
    return _moved(call, source, Step(PreparationStep.RESHAPE, target))


def _moved(call: Call, source: Value, step: Step) -> Value:
    """Set a step aside, unless all steps together only change the order of channels, or nothing."""
    start, steps = call.builder.unmoved(source)
    places = np.arange(math.prod(start.shape)).reshape(1, *start.shape)
    for item in (*steps, step):
        places = item.apply(places)
    if places.size != math.prod(start.shape) or not steps:
        return call.set_aside(step, source)
    if np.array_equal(places.reshape(-1), np.arange(places.size)):
        if len(call.shape) == 1 or call.shape[0] == start.shape[0]:
            return reshape(call, start)
        return call.set_aside(step, source)
    pixels = math.prod(start.shape[1:])
    by_channel = places.reshape(-1, pixels)
    firsts = by_channel[:, :1]
    whole = np.array_equal(by_channel, firsts + np.arange(pixels)) and not np.any(firsts % pixels)
    if not whole or call.shape[0] != start.shape[0]:
        return call.set_aside(step, source)
    order = (firsts[:, 0] // pixels).tolist()
    return reshape(call, pick(replace(call, shape=start.shape), start, order))


def transpose(call: Call, source: Value, order: Sequence[int]) -> Value:
    """Emit a new order of axes, counted from 0 without the batch axis."""
    moved = [axis for axis in order if source.shape[axis] > 1]
    if tuple(order) == tuple(range(len(order))):
        return source
    if len(order) > MOST_AXES:
        raise UnsupportedOperatorError(f"more than {MOST_AXES} axes cannot be put in another order")
    if call.builder.is_finished(source):
        return call.set_aside(Step(PreparationStep.TRANSPOSE, tuple(order)), source)
    if moved == sorted(moved) and source.shape[0] == call.shape[0]:
        return call.emit(Reshape(), source)
    return _moved(call, source, Step(PreparationStep.TRANSPOSE, tuple(order)))


def fold(call: Call, source: Value, factor: int) -> Value:
    """Emit the folding of ``factor`` x ``factor`` pixels into channels."""
    return call.set_aside(Step(PreparationStep.FOLD, (factor,) * (len(source.shape) - 1)), source)


def unfold(call: Call, source: Value, factor: int, *, channels_first: bool = True) -> Value:
    """Emit the unfolding of channels into ``factor`` x ``factor`` pixels, at the model's end."""
    work = unfolded(source.shape, factor, channels_first=channels_first)
    return call.set_aside(work, source, "use nn.ConvTranspose2d or nn.Upsample with nearest neighbours")


def finish(call: Call, source: Value, op: TailOp, axis: int = 0) -> Value:
    """Emit a function that only the CPU can compute, at the model's end."""
    return call.set_aside((Tail(op, axis),), source)


def pick_largest(call: Call, source: Value, axis: int, op: TailOp = TailOp.ARGMAX) -> Value:
    """Emit the largest value along ``axis``, or its place; the axis is kept if the call's shape has it."""
    tail = Tail(op, axis)
    found = tail.shape(source.shape)
    kept = (Tail(TailOp.RESHAPE, sizes=call.shape),) if call.shape != found else ()
    return call.set_aside((tail, *kept), source)


def concatenate(call: Call, operands: Sequence[object], axis: int) -> Value:
    """Emit operands joined by channel (axis 0 without the batch axis)."""
    values = [operand for operand in operands if isinstance(operand, Value)]
    if len(values) != len(operands):
        return _joined_with_zeros(call, operands, axis)
    if len(values) == 1:
        return values[0]
    alike = together(call, values)
    if alike is not None and (axes := alike[0].axes) is not None and axes[axis] == 0:
        parts = [item.start for item in alike]
        inner = replace(call, shape=(sum(part.shape[0] for part in parts), *parts[0].shape[1:]))
        return again(call, concatenate(inner, parts, 0), alike[0].steps)
    if axis != 0:
        raise UnsupportedOperatorError("concatenation must be by channel (dim=1)")
    if len(set(values)) == len(values):
        return call.emit(Concatenation(), *values)
    distinct = list(dict.fromkeys(values))
    starts = dict(
        zip(distinct, np.cumsum([0, *(value.shape[0] for value in distinct)]).tolist(), strict=False)
    )
    joined = distinct[0]
    if len(distinct) > 1:
        channels = sum(value.shape[0] for value in distinct)
        joined = call.emit(Concatenation(), *distinct, shape=(channels, *call.shape[1:]))
    return pick(call, joined, [starts[value] + index for value in values for index in range(value.shape[0])])


def _joined_with_zeros(call: Call, operands: Sequence[object], axis: int) -> Value:
    """Emit operands joined by channel, some of which are constants of zeros."""
    values = [operand for operand in operands if isinstance(operand, Value)]
    constants = [operand for operand in operands if not isinstance(operand, Value)]
    if axis != 0 or not values or any(np.any(np.asarray(item, dtype=np.float64)) for item in constants):
        raise UnsupportedOperatorError("concatenation must not have constant operands other than zeros")
    channels = sum(value.shape[0] for value in values)
    joined = concatenate(replace(call, shape=(channels, *call.shape[1:])), values, 0)
    order: list[int] = []
    for operand in operands:
        if isinstance(operand, Value):
            first = sum(number >= 0 for number in order)
            order += range(first, first + operand.shape[0])
        else:
            zeros = np.asarray(operand)
            order += [-1] * (zeros.shape[1] if zeros.size else 0)  # torch joins empty vectors, too
    return pick(call, joined, order)


def pick(call: Call, source: Value, channels: Sequence[int]) -> Value:
    """Emit the given channels of ``source``, in that order; -1 is a channel of zeros."""
    rank = len(source.shape) - 1
    if list(channels) == list(range(source.shape[0])):
        return source
    weight = np.zeros((len(channels), source.shape[0]), dtype=np.int8)
    for place, channel in enumerate(channels):
        if channel >= 0:
            weight[place, channel] = 1
    shaped = frozen_array(weight.reshape(*weight.shape, *(1,) * max(rank, 1)))
    if rank == 0:  # a vector is read as a sequence of one value
        one = call.emit(Reshape(), source, shape=(source.shape[0], 1))
        picked = call.emit(Copy(shaped, (0,)), one, shape=(len(channels), 1))
        return call.emit(Flatten(), picked, shape=(len(channels),))
    return call.emit(Copy(shaped, (0,) * rank), source, shape=(len(channels), *source.shape[1:]))


def pad_channels(call: Call, source: Value, before: int, after: int) -> Value:
    """Emit channels of zeros before and behind those of ``source``; negative numbers cut channels off."""
    kept = list(range(max(0, -before), source.shape[0] - max(0, -after)))
    return pick(call, source, [-1] * before + kept + [-1] * after)


def slice_axis(call: Call, source: Value, axis: int, start: int, stop: int, step: int) -> Value:
    """Emit the part ``start:stop:step`` of an axis, counted from 0 without the batch axis."""
    size = source.shape[axis]
    chosen = range(size)[start:stop:step]
    if len(chosen) == size:
        return source
    if not chosen:
        raise UnsupportedOperatorError("nothing is left of its input")
    if call.builder.is_finished(source) and step > 0:
        return call.set_aside((Tail(TailOp.SLICE, axis, (chosen.start, chosen.stop, chosen.step)),), source)
    if axis == 0:
        return pick(call, source, list(chosen))
    rank = len(source.shape) - 1
    if step != 1:
        return _thinned(call, source, axis, chosen)
    before = tuple(-chosen.start if index == axis - 1 else 0 for index in range(rank))
    after = tuple(chosen.stop - size if index == axis - 1 else 0 for index in range(rank))
    return pad(call, source, before, after)


def _thinned(call: Call, source: Value, axis: int, chosen: range) -> Value:
    """Emit every n-th pixel, after cutting off those before the first and those too many behind the last."""
    size, rank = source.shape[axis], len(source.shape) - 1
    if rank > 2 or chosen.step < 1:
        raise UnsupportedOperatorError("a slice must run forward, over rows, columns or channels")
    many = -(-(size - chosen.start) // chosen.step) > len(chosen)
    start = [0] * rank
    stop = [0] * rank
    start[axis - 1] = -chosen.start
    stop[axis - 1] = chosen[-1] + 1 - size if many else 0
    source = pad(call, source, tuple(start), tuple(stop))
    steps = tuple(chosen.step if index == axis - 1 else 1 for index in range(rank))
    shape = tuple(len(chosen) if index == axis else size for index, size in enumerate(source.shape))
    return call.emit(Thinning(steps), source, shape=shape)


def upsample(call: Call, source: Value, places: Sequence[Array]) -> Value:
    """Emit nearest neighbours: by powers of two in layers of repeated pixels, else by the CPU, at the end.

    Maps that get smaller by one whole number keep every n-th pixel, anywhere. ``places``, for each axis: the
    old pixel that each new one takes in the model's format.
    """
    sizes = call.shape[1:]
    for before, after, taken in zip(source.shape[1:], sizes, places, strict=True):
        if not np.array_equal(taken, np.arange(after) * before // after):
            raise UnsupportedOperatorError(
                f"the nearest neighbours of {after} pixels among {before} must lie at the whole parts of"
                f" n * {before} / {after}",
                "give the new size in place of a factor; in ONNX files, asymmetric places rounded down",
            )
    shrinks = _shrinks(source.shape[1:], sizes)
    if shrinks is not None and not call.builder.is_finished(source):
        return call.emit(Thinning((shrinks,) * len(sizes)), source)
    factors = [target / size for target, size in zip(sizes, source.shape[1:], strict=True)]
    if len(factors) not in {1, 2} or factors[0] not in {1, factors[-1]} or factors[-1] not in _ENLARGEMENTS:
        hint = "choose scale_factor=2: maps can be enlarged by 2, 4 or 8 in both axes between layers"
        return call.set_aside((Tail(TailOp.NEAREST, sizes=sizes),), source, hint)
    if call.builder.is_finished(source):
        return call.set_aside((Tail(TailOp.NEAREST, sizes=sizes),), source)
    if len(factors) == 1:
        return _repeated(call, source, int(factors[0]))
    if factors[0] < factors[1]:
        return _repeated_columns(call, source, int(factors[1]))
    channels, rows, columns = source.shape
    while rows < call.shape[1]:
        rows, columns = 2 * rows, 2 * columns
        source = call.emit(doubling(channels), source, shape=(channels, rows, columns))
    return source


_ENLARGEMENTS = (1, 2, 4, 8, 16)


def _repeated_columns(call: Call, source: Value, factor: int) -> Value:
    """Emit columns repeated: in a map read as one sequence, each pixel is."""
    channels, rows, columns = source.shape
    line = call.emit(Reshape(), source, shape=(channels, rows * columns))
    return call.emit(Reshape(), _repeated(call, line, factor))


def _repeated(call: Call, source: Value, factor: int) -> Value:
    """Emit the pixels of a sequence repeated, ``factor`` a power of two.

    A column of pixels doubled in both directions reads as each pixel four times in a row.
    """
    channels, size = source.shape
    while factor > 1:
        column = call.emit(Reshape(), source, shape=(channels, size, 1))
        doubled = call.emit(doubling(channels), column, shape=(channels, 2 * size, 2))
        if factor == 2:
            pairs = Pooling(Pool(PoolKind.MAX, (1, 2), 1))  # the second column repeats the first
            doubled = call.emit(pairs, doubled, shape=(channels, 2 * size, 1))
        size, factor = math.prod(doubled.shape[1:]), factor // min(factor, 4)
        source = call.emit(Reshape(), doubled, shape=(channels, size))
    return source


def _shrunk(call: Call, source: Value, factor: int) -> Value:
    """Emit the pixel, or the mean of the pixels, in the middle of each ``factor`` along every axis."""
    rank = len(source.shape) - 1
    cut = ((factor - 1) // 2,) * rank
    source = pad(call, source, tuple(-size for size in cut), (0,) * rank)
    if factor % 2:
        return call.emit(Thinning((factor,) * rank), source)
    window = (2, 2 if rank == 2 else 1)
    return call.emit(Pooling(Pool(PoolKind.AVERAGE, window, factor)), source)


def _shrinks(before: Shape, after: Shape) -> int | None:
    """Return by which whole number a map gets smaller along all axes; None if it does not."""
    factors = {size / target for size, target in zip(before, after, strict=True)}
    factor = factors.pop()
    return int(factor) if not factors and factor.is_integer() and factor > 1 else None


def interpolate(call: Call, source: Value, *, corners: bool) -> Value:
    """Emit pixels between pixels: by the CPU, at the model's end.

    Maps that get smaller by one whole number are layers, anywhere: new pixels lie on old ones, or amid four.
    """
    if len(source.shape) not in {2, 3} or call.shape[0] != source.shape[0]:
        raise UnsupportedOperatorError("only rows and columns can be enlarged")
    shrinks = _shrinks(source.shape[1:], call.shape[1:])
    if shrinks is not None and not corners and not call.builder.is_finished(source):
        return _shrunk(call, source, shrinks)
    tail = Tail(TailOp.BILINEAR, sizes=call.shape[1:], corners=corners)
    hint = "use nearest neighbours (scale_factor=2), or enlarge the result"
    return call.set_aside((tail,), source, hint)
