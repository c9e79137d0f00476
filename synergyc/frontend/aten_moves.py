"""ATen operators that move values: reshaping, slicing, picking, joining, padding, resizing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from synergyc.frontend import shapes, weighted
from synergyc.frontend.aten_arguments import Reader, axis_of, source_of
from synergyc.frontend.builder import BatchMixedError, Call, UnsupportedOperatorError, Value
from synergyc.ir.types import Array


def _concatenation(call: Call) -> Value:
    return shapes.concatenate(call, call.arguments["tensors"], axis_of(call))


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
    axis = axis_of(call)
    start, stop = call.arguments.get("start"), call.arguments.get("end")
    size = source.shape[axis]
    return shapes.slice_axis(
        call, source, axis, start or 0, size if stop is None else stop, call.arguments.get("step", 1)
    )


def _select(call: Call) -> Value:
    source, axis = source_of(call), axis_of(call)
    index = int(call.arguments["index"]) % source.shape[axis]
    part_shape = tuple(1 if number == axis else size for number, size in enumerate(source.shape))
    part = shapes.slice_axis(replace(call, shape=part_shape), source, axis, index, index + 1, 1)
    return shapes.reshape(call, part)


def _unbind(call: Call) -> tuple[Value, ...]:
    axis, source = axis_of(call), source_of(call)
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
    if axis_of(call) != 0:
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
    source, axis = source_of(call), axis_of(call)
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


def _pixel_shuffle(call: Call) -> Value:
    return shapes.unfold(call, source_of(call), int(call.arguments["upscale_factor"]))


MOVE_READERS: dict[str, Reader] = {
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
    "pixel_shuffle.default": _pixel_shuffle,
    "pixel_unshuffle.default": _unshuffle,
    "channel_shuffle.default": _shuffle_channels,
}
"""By the operator's name without the ``aten.`` in front."""
