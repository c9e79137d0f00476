"""Tensors as streams of words in the accelerator's layout, as they lie in flash and travel over links."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from synergyc.diagnostics import fail
from synergyc.ir.network import Tensor
from synergyc.ir.types import Array, describe_shape
from synergyc.synth.program import Region, TensorLayout


def pack_tensor(layout: TensorLayout, values: Array) -> tuple[int, ...]:
    """Return the words that carry ``values`` (the tensor's shape, int8 or int32, any integer dtype).

    Bytes without a value are 0. Raises SynergyError for another shape or values out of range.
    """
    tensor = layout.tensor
    if values.shape != tensor.shape:
        raise fail(
            "sample-shape",
            f"sample for {tensor.name!r} must have shape {describe_shape(tensor.shape)},"
            f" not {describe_shape(values.shape)}",
        )
    limit = 1 << (tensor.width_bits - 1)
    if values.size and not -limit <= values.min() <= values.max() < limit:
        raise fail(
            "sample-range",
            f"sample for {tensor.name!r} must be of {tensor.width_bits}-bit integers,"
            f" not {values.min()}..{values.max()}",
        )
    packed = values.astype(f"<i{tensor.width_bits // 8}")
    stream = pack_elements(np.asarray(layout.elements, dtype=np.int64), layout.words * 4, packed)
    return tuple(int(word) for word in np.frombuffer(stream, dtype="<u4"))


def pack_elements(elements: Array, size_bytes: int, values: Array) -> bytes:
    """Return a stream of ``size_bytes`` with value i of ``values`` (its dtype's bytes) at ``elements[i]``."""
    stream = np.zeros(size_bytes, dtype=np.uint8)
    width = values.dtype.itemsize
    flat = np.ascontiguousarray(values.reshape(-1)).view(np.uint8).reshape(-1, width)
    for byte in range(width):
        stream[elements + byte] = flat[:, byte]
    return stream.tobytes()


def unpack_tensor(layout: TensorLayout, stream: bytes) -> Array:
    """Return the tensor (int8 or int32, its own shape) in a stream of ``layout.words`` little-endian words.

    Raises SynergyError if the stream has another length.
    """
    if len(stream) != layout.words * 4:
        raise fail(
            "result-length",
            f"tensor {layout.tensor.name!r} must travel as {layout.words * 4} bytes, not {len(stream)}",
        )
    width = layout.tensor.width_bits // 8
    content = np.frombuffer(stream, dtype=np.uint8)
    positions = np.asarray(layout.elements, dtype=np.int64)
    flat = np.stack([content[positions + byte] for byte in range(width)], axis=1)
    return np.ascontiguousarray(flat).view(f"<i{width}").reshape(layout.tensor.shape)


def word_layout(tensor: Tensor) -> TensorLayout:
    """Return the layout of a 32-bit tensor that the CPU makes: its values in C order."""
    words = math.prod(tensor.shape)
    return TensorLayout(tensor, (Region(0, words),), tuple(range(0, 4 * words, 4)))


@dataclass(frozen=True)
class SampleFormat:
    """Where a driver puts values: that of channel c and pixel p is at byte ``place(c, p)`` of a sample.

    ``group`` channels lie side by side, ``group_bytes`` from one group to the next, ``pixel_bytes`` from one
    pixel to the next.
    """

    channels: int
    pixels: int
    group: int
    group_bytes: int
    pixel_bytes: int

    def place(self, channel: Array | int, pixel: Array | int) -> Array | int:
        """Return the byte of a value, or of arrays of them."""
        return channel // self.group * self.group_bytes + channel % self.group + pixel * self.pixel_bytes


_LANES = 4
"""Channels that share a word in the accelerator's interleaved layout; in its planar one each has its own."""


def sample_format(layout: TensorLayout) -> SampleFormat:
    """Return how a driver writes samples of ``layout``; raises SynergyError (``sensor-layout``)."""
    channels = layout.tensor.shape[0]
    places = np.asarray(layout.elements, dtype=np.int64).reshape(channels, -1)
    pixels = places.shape[1]
    pixel_bytes = int(places[0, 1] - places[0, 0]) if pixels > 1 else 0
    for group in (_LANES, 1):
        group_bytes = int(places[group, 0] - places[0, 0]) if channels > group else 0
        found = SampleFormat(channels, pixels, group, group_bytes, pixel_bytes)
        if np.array_equal(places, found.place(np.arange(channels)[:, None], np.arange(pixels)[None, :])):
            return found
    raise fail(
        "sensor-layout",
        f"the layout of input {layout.tensor.name!r} is not one that a sensor driver of your own can write",
        hint="driver: host or replay",
    )


def same_layout(made: TensorLayout, read: TensorLayout) -> bool:
    """Return whether words written in layout ``made`` can be read in layout ``read`` as they are."""
    return made.words == read.words and made.elements == read.elements
