"""ONNX operators, one reader each: from a node's inputs and attributes to operators of the graph.

Spellings of opsets 7 to 24 are read: what became an input in a later opset is looked up as attribute, too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from synergyc.frontend import pools, shapes, weighted
from synergyc.frontend.builder import UnsupportedOperatorError, Value
from synergyc.frontend.onnx_call import OnnxCall
from synergyc.ir.graph import Abs, BatchNorm, Convolution, Operator, Relu
from synergyc.ir.tail import TailOp
from synergyc.ir.types import Array, EltwiseOp, PoolKind, Shape, frozen_array

_FLOAT32 = 1
"""ONNX's number of the type (TensorProto.FLOAT)."""

Reader = Callable[[OnnxCall], Value | tuple[Value, ...]]


def _spatial(node: OnnxCall, name: str, rank: int, default: int) -> Shape:
    return tuple(node.attributes.get(name, [default] * rank))


def _pads(node: OnnxCall, sizes: Shape, kernel: Shape, stride: Shape, dilation: Shape) -> tuple[Shape, Shape]:
    """Return the padding before and after each axis, from ``pads`` or ``auto_pad``."""
    rank = len(kernel)
    mode = node.attributes.get("auto_pad", "NOTSET")
    if mode in {"NOTSET", "VALID"}:
        both = node.attributes.get("pads", [0] * 2 * rank) if mode == "NOTSET" else [0] * 2 * rank
        return tuple(both[:rank]), tuple(both[rank:])
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


def _transposed(node: OnnxCall) -> Value:
    weight = node.constant(1)
    rank = weight.ndim - 2
    if node.attributes.get("auto_pad", "NOTSET") != "NOTSET" or "output_shape" in node.attributes:
        raise UnsupportedOperatorError("transposed convolution must state its padding (auto_pad=NOTSET)")
    both = node.attributes.get("pads", [0] * 2 * rank)
    before, after = tuple(both[:rank]), tuple(both[rank:])
    extra = _spatial(node, "output_padding", rank, 0)
    # fewer pixels cut off at the end are the same as more output padding
    extra = tuple(more + low - high for more, low, high in zip(extra, before, after, strict=True))
    if min(extra) < 0:
        raise UnsupportedOperatorError("transposed convolution must not cut off more at the end")
    operator = Convolution(
        weight=frozen_array(weight, np.float32),
        bias=_real(node.optional(2)),
        stride=_spatial(node, "strides", rank, 1),
        padding=before,
        dilation=_spatial(node, "dilations", rank, 1),
        groups=int(node.attributes.get("group", 1)),
        transposed=True,
        output_padding=extra,
    )
    return weighted.convolve(node.call, node.source(), operator)


def _gemm(node: OnnxCall) -> Value:
    if node.attributes.get("transA", 0):
        raise UnsupportedOperatorError("the images of a batch must not be mixed (transA=0)")
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
    norm = BatchNorm(mean, variance, gain, offset, float(node.attributes.get("epsilon", 1e-5)))
    return node.call.emit(norm, node.source())


def _pooling(kind: PoolKind) -> Reader:
    def read(node: OnnxCall) -> Value:
        window = tuple(node.attributes["kernel_shape"])
        rank, source = len(window), node.source()
        stride, dilation = _spatial(node, "strides", rank, 1), _spatial(node, "dilations", rank, 1)
        before, after = _pads(node, source.shape[1:], window, stride, dilation)
        counts = bool(node.attributes.get("count_include_pad", 0))
        ceil = bool(node.attributes.get("ceil_mode", 0))
        form = pools.PoolForm(kind, window, stride, dilation, before, after, ceil, counts)
        return pools.pool(node.call, source, form)

    return read


def _global_pooling(kind: PoolKind) -> Reader:
    return lambda node: pools.pool_axes(
        node.call, node.source(), kind, set(range(1, len(node.source().shape)))
    )


def _reduction(kind: PoolKind) -> Reader:
    def read(node: OnnxCall) -> Value:
        source = node.source()
        numbers = node.setting("axes", 1)
        if not numbers:
            raise UnsupportedOperatorError("the images of a batch must not be mixed")
        axes = {node.axis(int(number), len(source.shape) + 1) for number in numbers}
        return pools.pool_axes(node.call, source, kind, axes)

    return read


def _unary(operator: Operator) -> Reader:
    return lambda node: weighted.activate(node.call, operator, node.source())


def _clip(node: OnnxCall) -> Value:
    limits = [node.setting("min", 1), node.setting("max", 2)]
    low, high = (None if limit is None else float(np.asarray(limit).reshape(-1)[0]) for limit in limits)
    top = None if high is None or high >= np.finfo(np.float32).max else high
    bottom = None if low is None or low <= np.finfo(np.float32).min else low
    return weighted.clamp(node.call, node.source(), bottom, top)


def _extreme(*, maximum: bool) -> Reader:
    """Read a maximum or minimum with a constant, which is how exporters spell clipping at one end."""

    def read(node: OnnxCall) -> Value:
        constants = [item for item in node.inputs if isinstance(item, np.ndarray)]
        values = [item for item in node.inputs if isinstance(item, Value)]
        if len(values) != 1 or len(constants) != 1 or constants[0].size != 1:
            raise UnsupportedOperatorError("the accelerator cannot compare two tensors")
        limit = float(constants[0].reshape(-1)[0])
        return weighted.clamp(node.call, values[0], *((limit, None) if maximum else (None, limit)))

    return read


def _leaky(node: OnnxCall) -> Value:
    slope = node.attributes.get("alpha", 0.01) if len(node.inputs) == 1 else node.constant(1)
    return weighted.leaky(node.call, node.source(), slope)


def _elementwise(op: EltwiseOp) -> Reader:
    def read(node: OnnxCall) -> Value:
        values = list(node.inputs)
        result = values[0]
        for value in values[1:]:
            assert result is not None  # noqa: S101 - both operands of arithmetic are required
            assert value is not None  # noqa: S101
            result = weighted.combine(node.call, op, result, value)
        if not isinstance(result, Value):
            raise UnsupportedOperatorError("operands must be computed from the model's input")
        return result

    return read


def _product(node: OnnxCall) -> Value:
    first, second = node.inputs
    assert first is not None  # noqa: S101 - both operands of arithmetic are required
    assert second is not None  # noqa: S101
    return weighted.times(node.call, first, second)


def _quotient(node: OnnxCall) -> Value:
    return weighted.times(node.call, node.source(), 1.0 / node.constant(1).astype(np.float64))


def _negation(node: OnnxCall) -> Value:
    return weighted.scale(node.call, node.source(), -1.0, 0.0)


def _concatenation(node: OnnxCall) -> Value:
    rank = len(node.call.shape) + 1
    return shapes.concatenate(node.call, node.inputs, node.axis(int(node.attributes["axis"]), rank))


def _reshape(node: OnnxCall) -> Value:
    return shapes.reshape(node.call, node.source())


def _transpose(node: OnnxCall) -> Value:
    source = node.source()
    order = node.attributes.get("perm", list(range(len(source.shape) + 1))[::-1])
    if order[0] != 0:
        raise UnsupportedOperatorError("the images of a batch must not be mixed")
    return shapes.transpose(node.call, source, [axis - 1 for axis in order[1:]])


def _slice(node: OnnxCall) -> Value:
    source = node.source()
    starts, ends = node.setting("starts", 1), node.setting("ends", 2)
    axes = node.setting("axes", 3, list(range(len(starts))))
    steps = node.setting("steps", 4, [1] * len(starts))
    for number, start, end, step in zip(axes, starts, ends, steps, strict=True):
        axis = node.axis(int(number), len(source.shape) + 1)
        size = source.shape[axis]
        chosen = range(size)[int(start) : min(int(end), size) : int(step)]
        shape = tuple(len(chosen) if index == axis else old for index, old in enumerate(source.shape))
        part = replace(node.call, shape=shape)
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
    if axis != 0 or indices.ndim > 1:
        raise UnsupportedOperatorError("single pixels cannot be picked", "use slices or pooling")
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
    if any(amounts.get(0, ())) or any(amounts.get(1, ())):
        raise UnsupportedOperatorError("only rows and columns can be padded")
    sides = [amounts.get(axis, (0, 0)) for axis in range(2, rank)]
    return weighted.pad(node.call, source, tuple(a for a, _ in sides), tuple(b for _, b in sides))


def _resize(node: OnnxCall) -> Value:
    source, target = node.source(), node.call.shape
    mode = node.attributes.get("mode", "nearest")
    old = node.opset < 11  # before it had attributes for the places of pixels
    places = node.attributes.get("coordinate_transformation_mode", "asymmetric" if old else "half_pixel")
    nearest = node.attributes.get("nearest_mode", "floor" if old else "round_prefer_floor")
    scales = node.optional(2) if len(node.inputs) > 2 else None
    whole = all(new % size == 0 for size, new in zip(source.shape, target, strict=True))
    if mode == "nearest" and (whole or (places, nearest) == ("asymmetric", "floor")):
        return shapes.upsample(node.call, source)
    linear = mode == "linear" and places in {"half_pixel", "pytorch_half_pixel", "align_corners"}
    exact = scales is None or not scales.size or np.array_equal(scales[1:] * source.shape, target)
    if not linear or not exact or node.attributes.get("antialias", 0):
        raise UnsupportedOperatorError(
            "maps can be enlarged by nearest neighbours, or linearly (half_pixel or align_corners, without"
            f" antialias, by what scales them exactly), not {mode} {places}",
            "use nearest neighbours, or enlarge the result after inference",
        )
    return shapes.enlarge(node.call, source, corners=places == "align_corners")


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


def _finish(op: TailOp) -> Reader:
    def read(node: OnnxCall) -> Value:
        source = node.source()
        if op in {TailOp.SIGMOID, TailOp.TANH}:
            return shapes.finish(node.call, source, op)
        default = -1 if node.opset >= 13 and op is not TailOp.ARGMAX else 1
        number = int(node.attributes.get("axis", 0 if op is TailOp.ARGMAX else default))
        axis = node.axis(number, len(source.shape) + 1)
        if op is TailOp.ARGMAX:
            return shapes.pick_largest(node.call, source, axis)
        return shapes.finish(node.call, source, op, axis)

    return read


def _pass_through(node: OnnxCall) -> Value:
    return node.source()


def _cast(node: OnnxCall) -> Value:
    if node.attributes["to"] != _FLOAT32:
        raise UnsupportedOperatorError("values must stay floating-point numbers")
    return node.source()


READERS: dict[str, Reader] = {
    "Conv": _convolution,
    "ConvTranspose": _transposed,
    "Gemm": _gemm,
    "MatMul": _matrix_product,
    "BatchNormalization": _batch_norm,
    "MaxPool": _pooling(PoolKind.MAX),
    "AveragePool": _pooling(PoolKind.AVERAGE),
    "GlobalMaxPool": _global_pooling(PoolKind.MAX),
    "GlobalAveragePool": _global_pooling(PoolKind.AVERAGE),
    "ReduceMean": _reduction(PoolKind.AVERAGE),
    "ReduceMax": _reduction(PoolKind.MAX),
    "Relu": _unary(Relu()),
    "Abs": _unary(Abs()),
    "Clip": _clip,
    "Max": _extreme(maximum=True),
    "Min": _extreme(maximum=False),
    "LeakyRelu": _leaky,
    "PRelu": _leaky,
    "Add": _elementwise(EltwiseOp.ADD),
    "Sum": _elementwise(EltwiseOp.ADD),
    "Sub": _elementwise(EltwiseOp.SUB),
    "Mul": _product,
    "Div": _quotient,
    "Neg": _negation,
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
    "Resize": _resize,
    "Upsample": _resize,
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
