"""Tensors as streams of words in the accelerator's layout, as they lie in flash and travel over links."""

from __future__ import annotations

import math

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


def same_layout(made: TensorLayout, read: TensorLayout) -> bool:
    """Return whether words written in layout ``made`` can be read in layout ``read`` as they are."""
    return made.words == read.words and made.elements == read.elements
