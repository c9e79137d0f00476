"""ONNX operators, one reader each: from a node's inputs and attributes to operators of the graph.

Spellings of opsets 7 to 24 are read: what became an input in a later opset is looked up as attribute, too.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from synergyc.frontend import pools, shapes, weighted
from synergyc.frontend.builder import BatchMixedError, UnsupportedOperatorError, Value
from synergyc.frontend.onnx_call import OnnxCall
from synergyc.frontend.onnx_resize import resize
from synergyc.frontend.onnx_values import VALUE_READERS, Reader
from synergyc.ir.graph import Abs, BatchNorm, Convolution, Operator, Relu
from synergyc.ir.tail import Tail, TailOp
from synergyc.ir.types import Array, PoolKind, Shape, frozen_array

_FLOATS = (1, 10, 11, 16)
"""ONNX's numbers of floating-point types (TensorProto.FLOAT, FLOAT16, DOUBLE, BFLOAT16)."""


def _spatial(node: OnnxCall, name: str, rank: int, default: int) -> Shape:
    return tuple(node.attributes.get(name, [default] * rank))


def _pads(node: OnnxCall, sizes: Shape, kernel: Shape, stride: Shape, dilation: Shape) -> tuple[Shape, Shape]:
    """Return the padding before and after each axis, from ``pads`` or ``auto_pad``."""
    rank = len(kernel)
    mode = node.attributes.get("auto_pad", "NOTSET")
    if mode in {"NOTSET", "VALID"}:
        both = node.attributes.get("pads", [0] * 2 * rank) if mode == "NOTSET" else [0] * 2 * rank
        return tuple(both[:rank]), tuple(both[rank:])
    if mode not in {"SAME_UPPER", "SAME_LOWER"}:
        raise UnsupportedOperatorError(f"there is no padding {mode!r} (auto_pad)")
    totals = [
        max(0, (-(-size // step) - 1) * step + (taps - 1) * gap + 1 - size)
        for size, taps, step, gap in zip(sizes, kernel, stride, dilation, strict=True)
    ]
    small = tuple(total // 2 for total in totals)
    large = tuple(total - half for total, half in zip(totals, small, strict=True))
    return (small, large) if mode == "SAME_UPPER" else (large, small)


def _convolution(node: OnnxCall) -> Value:
    weight, source = node.constant(1), node.source()
    kernel = weight.shape[2:]
    rank = len(kernel)
    stride, dilation = _spatial(node, "strides", rank, 1), _spatial(node, "dilations", rank, 1)
    before, after = _pads(node, source.shape[1:], kernel, stride, dilation)
    operator = Convolution(
        weight=frozen_array(weight, np.float32),
        bias=_real(node.optional(2)),
        stride=stride,
        padding=before if before == after else (0,) * rank,
        dilation=dilation,
        groups=int(node.attributes.get("group", 1)),
    )
    return weighted.convolve(node.call, source, operator, None if before == after else (before, after))


def _real(values: Array | None) -> Array | None:
    return None if values is None else frozen_array(values, np.float32)


def _cut_off(node: OnnxCall, kernel: Shape, extra: Shape) -> tuple[Shape, Shape]:
    """Return what a transposed convolution leaves out on both sides, from ``pads`` or the output's size."""
    rank, mode = len(kernel), node.attributes.get("auto_pad", "NOTSET")
    if mode in {"NOTSET", "VALID"} and "output_shape" not in node.attributes:
        both = node.attributes.get("pads", [0] * 2 * rank)
        return tuple(both[:rank]), tuple(both[rank:])
    strides, gaps = _spatial(node, "strides", rank, 1), _spatial(node, "dilations", rank, 1)
    sizes = zip(node.source().shape[1:], strides, extra, kernel, gaps, node.call.shape[1:], strict=True)
    totals = [
        step * (size - 1) + more + (taps - 1) * gap + 1 - wanted
        for size, step, more, taps, gap, wanted in sizes
    ]
    half = tuple(total // 2 for total in totals)
    rest = tuple(total - low for total, low in zip(totals, half, strict=True))
    return (half, rest) if mode == "SAME_UPPER" else (rest, half)


def _transposed(node: OnnxCall) -> Value:
    weight = node.constant(1)
    rank = weight.ndim - 2
    extra = _spatial(node, "output_padding", rank, 0)
    before, after = _cut_off(node, weight.shape[2:], extra)
    # fewer pixels cut off at the end are the same as more output padding, more are cut off afterwards
    extra = tuple(more + low - high for more, low, high in zip(extra, before, after, strict=True))
    more_cut = tuple(min(more, 0) for more in extra)
    operator = Convolution(
        weight=frozen_array(weight, np.float32),
        bias=_real(node.optional(2)),
        stride=_spatial(node, "strides", rank, 1),
        padding=before,
        dilation=_spatial(node, "dilations", rank, 1),
        groups=int(node.attributes.get("group", 1)),
        transposed=True,
        output_padding=tuple(max(more, 0) for more in extra),
    )
    sizes = (size - cut for size, cut in zip(node.call.shape[1:], more_cut, strict=True))
    whole = replace(node.call, shape=(node.call.shape[0], *sizes))
    return weighted.pad(node.call, weighted.convolve(whole, node.source(), operator), (0,) * rank, more_cut)


def _gemm(node: OnnxCall) -> Value:
    if node.attributes.get("transA", 0):
        raise BatchMixedError("the images of a batch must not be mixed (transA=0)")
    weight = node.constant(1).astype(np.float64) * node.attributes.get("alpha", 1.0)
    bias = node.optional(2)
    if bias is not None:
        bias = frozen_array(bias.astype(np.float64) * node.attributes.get("beta", 1.0), np.float32)
    matrix = weight if node.attributes.get("transB", 0) else weight.T
    return weighted.multiply(node.call, node.source(), frozen_array(matrix, np.float32), bias)


def _matrix_product(node: OnnxCall) -> Value:
    if all(isinstance(item, Value) for item in node.inputs):
        raise UnsupportedOperatorError(
            "the accelerator cannot multiply two tensors",
            "the accelerator multiplies by constant weights only: attention cannot be carried out",
        )
    return weighted.multiply(node.call, node.source(), frozen_array(node.constant(1).T, np.float32), None)


def _batch_norm(node: OnnxCall) -> Value:
    gain, offset, mean, variance = (frozen_array(node.constant(n), np.float32) for n in range(1, 5))
    if len(mean) != node.source().shape[0]:
        raise UnsupportedOperatorError(f"it is for {len(mean)} channels, not {node.source().shape[0]}")
    norm = BatchNorm(mean, variance, gain, offset, float(node.attributes.get("epsilon", 1e-5)))
    return node.call.emit(norm, node.source())


def _pooling(kind: PoolKind) -> Reader:
    def read(node: OnnxCall) -> Value:
        window = tuple(node.attributes["kernel_shape"])
        rank, source = len(window), node.source()
        stride, dilation = _spatial(node, "strides", rank, 1), _spatial(node, "dilations", rank, 1)
        before, after = _pads(node, source.shape[1:], window, stride, dilation)
        counts = bool(node.attributes.get("count_include_pad", 0))
        form = pools.PoolForm(kind, window, stride, dilation, before, after, counts)
        return pools.pool(node.call, source, form)

    return read


def _global_pooling(kind: PoolKind) -> Reader:
    return lambda node: pools.pool_axes(
        node.call, node.source(), kind, set(range(1, len(node.source().shape)))
    )


def _unary(operator: Operator) -> Reader:
    return lambda node: weighted.activate(node.call, operator, node.source())


def _concatenation(node: OnnxCall) -> Value:
    rank = len(node.call.shape) + 1
    return shapes.concatenate(node.call, node.inputs, node.axis(int(node.attributes["axis"]), rank))


def _reshape(node: OnnxCall) -> Value:
    return shapes.reshape(node.call, node.source())


def _transpose(node: OnnxCall) -> Value:
    source = node.source()
    order = node.attributes.get("perm", list(range(len(source.shape) + 1))[::-1])
    if order[0] != 0:
        raise BatchMixedError
    return shapes.transpose(node.call, source, [axis - 1 for axis in order[1:]])


def _slice(node: OnnxCall) -> Value:
    source = node.source()
    starts, ends = node.setting("starts", 1), node.setting("ends", 2)
    axes = node.setting("axes", 3, list(range(len(starts))))
    steps = node.setting("steps", 4, [1] * len(starts))
    for number, start, end, step in zip(axes, starts, ends, steps, strict=True):
        axis = node.axis(int(number), len(source.shape) + 1)
        size = source.shape[axis]
        chosen = range(size)[int(start) : max(min(int(end), size), -size - 1) : int(step)]
        shape = tuple(len(chosen) if index == axis else old for index, old in enumerate(source.shape))
        part = replace(node.call, shape=shape)
        if axis == 0 and step < 0:
            source = shapes.pick(part, source, list(chosen))
            continue
        if step < 0:
            raise UnsupportedOperatorError("only the order of channels can be reversed")
        source = shapes.slice_axis(part, source, axis, chosen.start, chosen.stop, int(step))
    return source


def _split(node: OnnxCall) -> tuple[Value, ...]:
    source = node.source()
    axis = node.axis(int(node.attributes.get("axis", 0)), len(source.shape) + 1)
    parts, start = [], 0
    for shape in node.outputs:
        part = replace(node.call, shape=shape)
        parts.append(shapes.slice_axis(part, source, axis, start, start + shape[axis], 1))
        start += shape[axis]
    return tuple(parts)


def _gather(node: OnnxCall) -> Value:
    source, indices = node.source(), node.constant(1)
    axis = node.axis(int(node.attributes.get("axis", 0)), len(source.shape) + 1)
    if axis != 0 and indices.size == 1:
        index = int(indices.reshape(-1)[0]) % source.shape[axis]
        kept = tuple(1 if number == axis else size for number, size in enumerate(source.shape))
        part = replace(node.call, shape=kept)
        return shapes.reshape(node.call, shapes.slice_axis(part, source, axis, index, index + 1, 1))
    if axis != 0 or indices.ndim > 1:
        raise UnsupportedOperatorError("several pixels cannot be picked by numbers", "use slices or pooling")
    picked = (indices.reshape(-1) % source.shape[0]).tolist()
    shape = (len(picked), *source.shape[1:])
    return shapes.reshape(node.call, shapes.pick(replace(node.call, shape=shape), source, picked))


def _pad(node: OnnxCall) -> Value:
    source = node.source()
    pads = [int(size) for size in node.setting("pads", 1)]
    fill = node.setting("value", 2, 0.0)
    if node.attributes.get("mode", "constant") != "constant" or np.any(np.asarray(fill) != 0):
        raise UnsupportedOperatorError("maps can be padded with zeros only")
    rank = len(source.shape) + 1
    axes = [int(axis) % rank for axis in node.setting("axes", 3, list(range(len(pads) // 2)))]
    half = len(axes)
    amounts = {axis: (pads[index], pads[half + index]) for index, axis in enumerate(axes)}
    if any(amounts.get(0, ())):
        raise BatchMixedError
    source = shapes.pad_channels(node.call, source, *amounts.get(1, (0, 0)))
    sides = [amounts.get(axis, (0, 0)) for axis in range(2, rank)]
    return weighted.pad(node.call, source, tuple(a for a, _ in sides), tuple(b for _, b in sides))


def _fold(node: OnnxCall) -> Value:
    if node.attributes["blocksize"] == 1:
        return node.source()
    # blocks come first in ONNX's order of channels, and channels first in torch's
    size, channels = int(node.attributes["blocksize"]), node.source().shape[0]
    folded = shapes.fold(node.call, node.source(), size)
    order = np.arange(channels * size * size).reshape(channels, -1).T.reshape(-1)
    return shapes.pick(node.call, folded, order.tolist())


def _unfold(node: OnnxCall) -> Value:
    mode, size = node.attributes.get("mode", "DCR"), int(node.attributes["blocksize"])
    return shapes.unfold(node.call, node.source(), size, channels_first=mode != "DCR")


_ONE_AXIS = 13
"""Before this opset, softmax took its axis and all behind it as one."""


def _finish(op: TailOp) -> Reader:
    def read(node: OnnxCall) -> Value:
        source = node.source()
        if op in {TailOp.SIGMOID, TailOp.TANH}:
            return shapes.finish(node.call, source, op)
        default = -1 if node.opset >= _ONE_AXIS and op is not TailOp.ARGMAX else 1
        number = int(node.attributes.get("axis", 0 if op is TailOp.ARGMAX else default))
        axis = node.axis(number, len(source.shape) + 1)
        if op is TailOp.ARGMAX:
            return shapes.pick_largest(node.call, source, axis)
        if node.opset < _ONE_AXIS:
            flat = (*source.shape[:axis], math.prod(source.shape[axis:]))
            work = (
                Tail(TailOp.RESHAPE, sizes=flat),
                Tail(op, axis),
                Tail(TailOp.RESHAPE, sizes=source.shape),
            )
            return node.call.set_aside(work, source)
        return shapes.finish(node.call, source, op, axis)

    return read


def _pass_through(node: OnnxCall) -> Value:
    return node.source()


def _cast(node: OnnxCall) -> Value:
    if node.attributes["to"] not in _FLOATS:
        raise UnsupportedOperatorError("values must stay floating-point numbers")
    return node.source()


READERS: dict[str, Reader] = {
    **VALUE_READERS,
    "Conv": _convolution,
    "ConvTranspose": _transposed,
    "Gemm": _gemm,
    "MatMul": _matrix_product,
    "BatchNormalization": _batch_norm,
    "MaxPool": _pooling(PoolKind.MAX),
    "AveragePool": _pooling(PoolKind.AVERAGE),
    "GlobalMaxPool": _global_pooling(PoolKind.MAX),
    "GlobalAveragePool": _global_pooling(PoolKind.AVERAGE),
    "Relu": _unary(Relu()),
    "Abs": _unary(Abs()),
    "Concat": _concatenation,
    "Flatten": _reshape,
    "Reshape": _reshape,
    "Squeeze": _reshape,
    "Unsqueeze": _reshape,
    "Transpose": _transpose,
    "Slice": _slice,
    "Split": _split,
    "Gather": _gather,
    "Pad": _pad,
    "Resize": resize,
    "Upsample": resize,
    "SpaceToDepth": _fold,
    "DepthToSpace": _unfold,
    "Softmax": _finish(TailOp.SOFTMAX),
    "LogSoftmax": _finish(TailOp.LOG_SOFTMAX),
    "Sigmoid": _finish(TailOp.SIGMOID),
    "Tanh": _finish(TailOp.TANH),
    "ArgMax": _finish(TailOp.ARGMAX),
    "Identity": _pass_through,
    "Dropout": _pass_through,
    "Cast": _cast,
}
"""By the operator's name in ONNX's own domain."""
