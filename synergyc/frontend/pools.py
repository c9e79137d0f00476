"""Pooling in all the ways that source formats spell it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

from synergyc.frontend.builder import Call, UnsupportedOperatorError, Value
from synergyc.frontend.moved import again, moved
from synergyc.frontend.shapes import pick_largest, reshape
from synergyc.frontend.weighted import mix_channels, of_rank, pad
from synergyc.ir.graph import Flatten, Pooling, Reshape, Thinning
from synergyc.ir.tail import TailOp
from synergyc.ir.types import Pool, PoolKind, Shape


@dataclass(frozen=True)
class PoolForm:
    """A pooling operator as formats describe it, by axis; the call's shape says how many windows there are.

    ``counts_padding``: averages divide by the window.
    """

    kind: PoolKind
    window: Shape
    stride: Shape
    dilation: Shape
    before: Shape
    after: Shape
    counts_padding: bool = True


def pool(call: Call, source: Value, form: PoolForm) -> Value:
    """Emit pooling, with its padding as an operator of its own."""
    of_rank(source, len(form.window) + 1)
    before, after = form.before, form.after
    extent = [(size - 1) * step + 1 for size, step in zip(form.window, form.dilation, strict=True)]
    padded = [size + a + b for size, a, b in zip(source.shape[1:], before, after, strict=True)]
    if any(size < wide for size, wide in zip(padded, extent, strict=True)):
        raise UnsupportedOperatorError(f"its window is larger than its input {source.shape}")
    wanted = call.shape[1:]
    windows = zip(wanted, form.stride, source.shape[1:], before, strict=True)
    if any((count - 1) * step >= size + pad for count, step, size, pad in windows):
        raise UnsupportedOperatorError(  # ONNX counts it in, torch and onnxruntime leave it out
            "its last window lies in the padding (ceil_mode)", "leave out ceil_mode, or pad less"
        )
    needed = tuple(
        max(0, (count - 1) * step + wide - size)
        for count, step, wide, size in zip(wanted, form.stride, extent, padded, strict=True)
    )
    if form.kind is PoolKind.AVERAGE:
        if any(needed):
            raise UnsupportedOperatorError(
                "average pooling must not reach beyond the map (ceil_mode=False)",
                "windows at the border would divide by another number than those inside",
            )
        if (any(before) or any(after)) and not form.counts_padding:
            raise UnsupportedOperatorError(
                "average pooling must divide by the window size everywhere (count_include_pad=True)"
            )
    after = tuple(a + extra for a, extra in zip(after, needed, strict=True))
    source = pad(call, source, before, after, lowest=form.kind is PoolKind.MAX)
    return _emit(call, source, form.kind, form.window, form.stride, form.dilation)


def _emit(
    call: Call, source: Value, kind: PoolKind, window: Shape, stride: Shape, dilation: Shape = ()
) -> Value:
    """Emit pooling without padding; where rows and columns differ in stride, they are thinned afterwards."""
    rows, columns = (window[0], window[1]) if len(window) == 2 else (window[0], 1)
    several = {step for step, count in zip(stride, call.shape[1:], strict=True) if count > 1}
    step = several.pop() if several else max(stride)
    gaps = (*dilation, 1, 1)
    extents = [(width - 1) * gap + 1 for width, gap in zip(window, gaps, strict=False)]
    spread = (gaps[0], gaps[1])
    found = tuple((size - extent) // step + 1 for size, extent in zip(source.shape[1:], extents, strict=True))
    if not several and found == call.shape[1:]:
        return call.emit(Pooling(Pool(kind, (rows, columns), step, spread)), source)
    full = tuple(size - extent + 1 for size, extent in zip(source.shape[1:], extents, strict=True))
    if (rows, columns) != (1, 1):
        shape = (source.shape[0], *full)
        source = call.emit(Pooling(Pool(kind, (rows, columns), 1, spread)), source, shape=shape)
    return call.emit(Thinning(stride), source)


def pool_evenly(call: Call, source: Value, kind: PoolKind, wanted: Shape) -> Value:
    """Emit pooling to ``wanted`` sizes, by windows that must all be equal and equally far apart."""
    of_rank(source, len(wanted) + 1)
    sizes = source.shape[1:]
    if wanted == sizes:
        return source
    window, stride = [], []
    for size, count in zip(sizes, wanted, strict=True):
        starts = [index * size // count for index in range(count)]
        lengths = {-(-(index + 1) * size // count) - starts[index] for index in range(count)}
        steps = {after - before for before, after in pairwise(starts)}
        if len(lengths) > 1 or len(steps) > 1 or 0 in steps:
            raise UnsupportedOperatorError(
                f"adaptive pooling from {sizes} to {wanted} needs windows of several sizes or distances",
                "choose an output size that divides the input size",
            )
        window.append(lengths.pop())
        stride.append(steps.pop() if steps else 1)
    return _emit(call, source, kind, tuple(window), tuple(stride))


def pool_axes(call: Call, source: Value, kind: PoolKind, axes: set[int]) -> Value:
    """Emit the mean or maximum over ``axes`` (1: the first behind the channels); one pixel is left.

    The maximum over channels alone is work of the CPU, at the model's end.
    """
    found = moved(call, source)
    if found is not None and (order := found.axes) is not None:
        inner = tuple(
            1 if axis in {order[item] for item in axes} else size
            for axis, size in enumerate(found.start.shape)
        )
        if len(call.shape) == len(inner):
            pooled = pool_axes(replace(call, shape=inner), found.start, kind, {order[axis] for axis in axes})
            return again(call, pooled, found.steps)
        if len(call.shape) == 1 and 0 not in {order[axis] for axis in axes}:
            return pool_axes(call, found.start, kind, {order[axis] for axis in axes})
    if axes == {0} and kind is PoolKind.MAX:
        return pick_largest(call, source, 0, TailOp.MAX)
    if 0 in axes and kind is PoolKind.AVERAGE:
        source = mix_channels(call, source, 1 / source.shape[0])
        axes = axes - {0}
        if not axes:
            return reshape(call, source)
    if not axes or 0 in axes or len(source.shape) == 1:
        raise UnsupportedOperatorError("the maximum of channels cannot be computed between layers")
    window = tuple(size if axis in axes else 1 for axis, size in enumerate(source.shape) if axis)
    shape = tuple(1 if axis in axes else size for axis, size in enumerate(source.shape))
    columns = (*window, 1)[:2]
    pooled = call.emit(Pooling(Pool(kind, (columns[0], columns[1]), 1)), source, shape=shape)
    if call.shape == shape:
        return pooled
    return call.emit(Flatten() if len(call.shape) == 1 else Reshape(), pooled)
