"""ATen operators, one reader each: from a call's arguments to operators of the graph.

Names are those that torch 2.13 prints after ``run_decompositions({})``. A reader raises
``UnsupportedOperatorError`` for a use of its operator that cannot be carried out.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from synergyc.frontend import pools, shapes, weighted
from synergyc.frontend.aten_values import VALUE_READERS, Reader, source_of, spread
from synergyc.frontend.builder import BatchMixedError, Call, UnsupportedOperatorError, Value
from synergyc.ir.graph import Abs, BatchNorm, Convolution, Operator, Relu
from synergyc.ir.tail import TailOp
from synergyc.ir.types import Array, PoolKind, Shape, frozen_array


def _axis(call: Call, key: str = "dim", default: int = 0) -> int:
    """Return an axis argument, counted without the batch axis: the channels are 0."""
    number = int(call.arguments.get(key, default))
    rank = len(_rank_shape(call)) + 1
    if number < 0:
        number += rank
    if number == 0:
        raise BatchMixedError
    return number - 1


def _rank_shape(call: Call) -> Shape:
    for key in ("input", "self"):
        if isinstance(call.arguments.get(key), Value):
            return source_of(call).shape
    return call.shape


def _convolution(call: Call) -> Value:
    weight = call.constant("weight")
    dilation = tuple(call.arguments["dilation"])
    transposed = "output_padding" in call.arguments
    padding, asymmetric = call.arguments["padding"], None
    if isinstance(padding, str):
        if padding == "same":
            asymmetric = weighted.same_padding(weight.shape[2:], dilation)
        padding = [0] * (weight.ndim - 2)
    operator = Convolution(
        weight=weight,
        bias=call.optional_constant("bias"),
        stride=tuple(call.arguments["stride"]),
        padding=tuple(padding),
        dilation=dilation,
        groups=call.arguments["groups"],
        transposed=transposed,
        output_padding=tuple(call.arguments.get("output_padding", ())),
    )
    if asymmetric is not None and asymmetric[0] == asymmetric[1]:
        operator, asymmetric = replace(operator, padding=asymmetric[0]), None
    return weighted.convolve(call, call.value("input"), operator, asymmetric)


def _linear(call: Call) -> Value:
    return weighted.multiply(
        call, call.value("input"), call.constant("weight"), call.optional_constant("bias")
    )


def _matrix_product(call: Call) -> Value:
    other = call.constant("mat2" if "mat2" in call.arguments else "other")
    bias = None
    if "mat1" in call.arguments:
        if call.arguments.get("alpha", 1) != 1 or call.arguments.get("beta", 1) != 1:
            raise UnsupportedOperatorError("it must not scale its operands (alpha=1, beta=1)")
        return weighted.multiply(call, call.value("mat1"), frozen_array(other.T), call.constant("input"))
    return weighted.multiply(call, source_of(call), frozen_array(other.T), bias)


def _batch_norm(call: Call) -> Value:
    operator = BatchNorm(
        mean=call.constant("running_mean"),
        variance=call.constant("running_var"),
        gain=call.optional_constant("weight"),
        offset=call.optional_constant("bias"),
        epsilon=call.arguments["eps"],
    )
    return call.emit(operator, call.value("input"))


def _pooling(kind: PoolKind) -> Reader:
    def read(call: Call) -> Value:
        window = tuple(call.arguments["kernel_size"])
        rank = len(window)
        padding = spread(call.arguments["padding"], rank)
        if call.arguments.get("divisor_override") is not None:
            raise UnsupportedOperatorError(
                "average pooling must divide by the window size (divisor_override=None)"
            )
        form = pools.PoolForm(
            kind,
            window,
            spread(call.arguments["stride"] or window, rank),
            spread(call.arguments.get("dilation", 1), rank),
            padding,
            padding,
            call.arguments.get("count_include_pad", True),
        )
        return pools.pool(call, source_of(call), form)

    return read


def _adaptive(kind: PoolKind) -> Reader:
    def read(call: Call) -> Value:
        source = source_of(call)
        wanted = tuple(call.arguments["output_size"])
        weighted.of_rank(source, len(wanted) + 1)
        kept = tuple(
            size if count is None else int(count)
            for count, size in zip(wanted, source.shape[1:], strict=False)
        )
        return pools.pool_evenly(call, source, kind, kept)

    return read


def _concatenation(call: Call) -> Value:
    return shapes.concatenate(call, call.arguments["tensors"], _axis(call))


def _unary(operator: Operator) -> Reader:
    return lambda call: weighted.activate(call, operator, source_of(call))


def _reshape(call: Call) -> Value:
    return shapes.reshape(call, source_of(call))


def _permute(call: Call) -> Value:
    source = source_of(call)
    rank = len(source.shape) + 1
    if "dims" in call.arguments:
        order = [int(axis) % rank for axis in call.arguments["dims"]]
    else:
        order = list(range(rank))
        a, b = int(call.arguments["dim0"]) % rank, int(call.arguments["dim1"]) % rank
        order[a], order[b] = order[b], order[a]
    if order[0] != 0:
        raise BatchMixedError
    return shapes.transpose(call, source, [axis - 1 for axis in order[1:]])


def _slice(call: Call) -> Value:
    source, number = source_of(call), int(call.arguments.get("dim", 0))
    if number in {0, -len(source.shape) - 1}:
        start, stop = call.arguments.get("start"), call.arguments.get("end")
        if (start or 0) == 0 and (stop is None or stop >= 1):
            return source
    axis = _axis(call)
    start, stop = call.arguments.get("start"), call.arguments.get("end")
    size = source.shape[axis]
    return shapes.slice_axis(
        call, source, axis, start or 0, size if stop is None else stop, call.arguments.get("step", 1)
    )


def _select(call: Call) -> Value:
    source, axis = source_of(call), _axis(call)
    index = int(call.arguments["index"]) % source.shape[axis]
    part_shape = tuple(1 if number == axis else size for number, size in enumerate(source.shape))
    part = shapes.slice_axis(replace(call, shape=part_shape), source, axis, index, index + 1, 1)
    return shapes.reshape(call, part)


def _unbind(call: Call) -> tuple[Value, ...]:
    axis, source = _axis(call), source_of(call)
    shape = tuple(1 if number == axis else size for number, size in enumerate(source.shape))
    parts = [
        shapes.slice_axis(replace(call, shape=shape), source, axis, index, index + 1, 1)
        for index in range(source.shape[axis])
    ]
    return tuple(shapes.reshape(call, part) for part in parts)


def _picked(call: Call, channels: list[int]) -> Value:
    return shapes.pick(call, source_of(call), channels)


def _index(call: Call) -> Value:
    """Read indexing of channels by a list of numbers."""
    indices = call.arguments["indices"]
    chosen = [index for index in indices if index is not None]
    if (
        len(chosen) != 1
        or len(indices) != 2
        or indices[0] is not None
        or not isinstance(chosen[0], np.ndarray)
    ):
        raise UnsupportedOperatorError("only channels can be picked by numbers", "use slices or pooling")
    return _chosen_channels(call, chosen[0])


def _index_select(call: Call) -> Value:
    if _axis(call) != 0:
        raise UnsupportedOperatorError("only channels can be picked by numbers", "use slices or pooling")
    return _chosen_channels(call, call.constant("index"))


def _chosen_channels(call: Call, index: Array) -> Value:
    if index.ndim != 1 or index.dtype == bool:
        raise UnsupportedOperatorError("channels are picked by a list of numbers")
    return _picked(call, [int(number) % source_of(call).shape[0] for number in index])


def _flip(call: Call) -> Value:
    source = source_of(call)
    if [int(axis) % (len(source.shape) + 1) for axis in call.arguments["dims"]] != [1]:
        raise UnsupportedOperatorError("only the order of channels can be reversed")
    return _picked(call, list(range(source.shape[0]))[::-1])


def _repeat(call: Call) -> Value:
    source, counts = source_of(call), [int(count) for count in call.arguments["repeats"]]
    if len(counts) != len(source.shape) + 1 or counts != [1, counts[1], *[1] * (len(counts) - 2)]:
        raise UnsupportedOperatorError(
            "only channels can be repeated", "use nn.Upsample for rows and columns"
        )
    return _picked(call, list(range(source.shape[0])) * counts[1])


def _split(call: Call) -> tuple[Value, ...]:
    source, axis = source_of(call), _axis(call)
    size = source.shape[axis]
    sizes = call.arguments.get("split_sizes", call.arguments.get("split_size"))
    if "chunks" in call.arguments:
        sizes = -(-size // int(call.arguments["chunks"]))
    if not isinstance(sizes, list | tuple):
        sizes = [min(sizes, size - start) for start in range(0, size, sizes)]
    parts, start = [], 0
    for length in sizes:
        shape = tuple(length if number == axis else count for number, count in enumerate(source.shape))
        part = replace(call, shape=shape)
        parts.append(shapes.slice_axis(part, source, axis, start, start + length, 1))
        start += length
    return tuple(parts)


def _pad(call: Call) -> Value:
    source, sizes = source_of(call), [int(size) for size in call.arguments["pad"]]
    if float(call.arguments.get("value") or 0) != 0 or call.arguments.get("mode", "constant") != "constant":
        raise UnsupportedOperatorError("maps can be padded with zeros only", "use padding_mode='zeros'")
    pairs = [(sizes[index], sizes[index + 1]) for index in range(0, len(sizes), 2)][::-1]
    rank = len(source.shape) - 1
    if len(pairs) > rank + 1 and any(pairs[0]):
        raise BatchMixedError
    if len(pairs) > rank:
        source = shapes.pad_channels(call, source, *pairs[len(pairs) - rank - 1])
    pairs = [*[(0, 0)] * (rank - len(pairs)), *pairs[max(0, len(pairs) - rank) :]]
    return weighted.pad(call, source, tuple(a for a, _ in pairs), tuple(b for _, b in pairs))


def _upsample(call: Call) -> Value:
    source = source_of(call)
    axes = ("scales",) if len(source.shape) == 2 else ("scales_h", "scales_w")
    scales = call.arguments.get("scale_factors") or [call.arguments.get(axis) for axis in axes]
    sizes = zip(source.shape[1:], call.shape[1:], scales, strict=True)
    return shapes.upsample(call, source, [_nearest(*axis) for axis in sizes])


def _nearest(before: int, after: int, scale: float | None) -> Array:
    """Return the pixel that torch takes for each new one: in single precision, by a given ``scale``."""
    step = np.float32(1 / scale if scale else before / after)
    places: Array = np.floor(np.arange(after, dtype=np.float32) * step).astype(np.int64)
    return np.minimum(places, before - 1)


def _unshuffle(call: Call) -> Value:
    return shapes.fold(call, source_of(call), int(call.arguments["downscale_factor"]))


def _shuffle_channels(call: Call) -> Value:
    source, groups = source_of(call), int(call.arguments["groups"])
    order = np.arange(source.shape[0]).reshape(groups, -1).T.reshape(-1)
    return shapes.pick(call, source, order.tolist())


def _finish(op: TailOp) -> Reader:
    def read(call: Call) -> Value:
        source = source_of(call)
        if op in {TailOp.SIGMOID, TailOp.TANH}:
            return shapes.finish(call, source, op)
        return shapes.finish(call, source, op, _axis(call, default=-1))

    return read


def _argmax(call: Call) -> Value:
    source = source_of(call)
    if call.arguments.get("dim") is None:
        raise UnsupportedOperatorError("the largest value must be looked for along an axis (dim=1)")
    return shapes.pick_largest(call, source, _axis(call))


def _largest(call: Call) -> tuple[Value, ...]:
    source, axis = source_of(call), _axis(call)
    place = shapes.pick_largest(call, source, axis)
    return pools.pool_axes(call, source, PoolKind.MAX, {axis}), place


def _bilinear(call: Call) -> Value:
    source, scales = source_of(call), call.arguments.get("scale_factors") or ()
    for size, target, scale in zip(source.shape[1:], call.shape[1:], scales, strict=False):
        if size * float(scale) != target:
            raise UnsupportedOperatorError("the new size must be the old one times scale_factor")
    return shapes.interpolate(call, source, corners=bool(call.arguments.get("align_corners")))


def _pixel_shuffle(call: Call) -> Value:
    return shapes.unfold(call, source_of(call), int(call.arguments["upscale_factor"]))


def _pass_through(call: Call) -> Value:
    return source_of(call)


READERS: dict[str, Reader] = {
    **VALUE_READERS,
    "conv1d.default": _convolution,
    "conv1d.padding": _convolution,
    "conv2d.default": _convolution,
    "conv2d.padding": _convolution,
    "conv3d.default": _convolution,
    "conv_transpose1d.default": _convolution,
    "conv_transpose2d.input": _convolution,
    "linear.default": _linear,
    "matmul.default": _matrix_product,
    "mm.default": _matrix_product,
    "addmm.default": _matrix_product,
    "_native_batch_norm_legit_no_training.default": _batch_norm,
    "max_pool1d.default": _pooling(PoolKind.MAX),
    "max_pool2d.default": _pooling(PoolKind.MAX),
    "max_pool2d_with_indices.default": _pooling(PoolKind.MAX),
    "avg_pool1d.default": _pooling(PoolKind.AVERAGE),
    "avg_pool2d.default": _pooling(PoolKind.AVERAGE),
    "adaptive_avg_pool1d.default": _adaptive(PoolKind.AVERAGE),
    "adaptive_avg_pool2d.default": _adaptive(PoolKind.AVERAGE),
    "adaptive_max_pool1d.default": _adaptive(PoolKind.MAX),
    "adaptive_max_pool2d.default": _adaptive(PoolKind.MAX),
    "relu.default": _unary(Relu()),
    "abs.default": _unary(Abs()),
    "cat.default": _concatenation,
    "view.default": _reshape,
    "reshape.default": _reshape,
    "_unsafe_view.default": _reshape,
    "flatten.using_ints": _reshape,
    "squeeze.default": _reshape,
    "squeeze.dim": _reshape,
    "squeeze.dims": _reshape,
    "unsqueeze.default": _reshape,
    "permute.default": _permute,
    "transpose.int": _permute,
    "slice.Tensor": _slice,
    "select.int": _select,
    "unbind.int": _unbind,
    "index.Tensor": _index,
    "index_select.default": _index_select,
    "flip.default": _flip,
    "repeat.default": _repeat,
    "split.Tensor": _split,
    "split_with_sizes.default": _split,
    "chunk.default": _split,
    "constant_pad_nd.default": _pad,
    "pad.default": _pad,
    "upsample_nearest1d.default": _upsample,
    "upsample_nearest1d.vec": _upsample,
    "upsample_nearest2d.default": _upsample,
    "upsample_nearest2d.vec": _upsample,
    "upsample_bilinear2d.vec": _bilinear,
    "upsample_linear1d.vec": _bilinear,
    "pixel_shuffle.default": _pixel_shuffle,
    "pixel_unshuffle.default": _unshuffle,
    "channel_shuffle.default": _shuffle_channels,
    "softmax.int": _finish(TailOp.SOFTMAX),
    "_softmax.default": _finish(TailOp.SOFTMAX),
    "log_softmax.int": _finish(TailOp.LOG_SOFTMAX),
    "_log_softmax.default": _finish(TailOp.LOG_SOFTMAX),
    "sigmoid.default": _finish(TailOp.SIGMOID),
    "tanh.default": _finish(TailOp.TANH),
    "argmax.default": _argmax,
    "max.dim": _largest,
    "clone.default": _pass_through,
    "alias.default": _pass_through,
    "detach.default": _pass_through,
    "contiguous.default": _pass_through,
    "dropout.default": _pass_through,
    "feature_dropout.default": _pass_through,
}
"""By the operator's name without the ``aten.`` in front."""
