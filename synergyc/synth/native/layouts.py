"""Where the values of a placed tensor lie, as regions of words and byte positions (section 3)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from synergyc.synth.geometry import passes_of, set_bits
from synergyc.synth.placed import PlacedTensor
from synergyc.synth.program import Region, TensorLayout
from synergyc.targets import Cnn

Addresses = npt.NDArray[np.int64]


def layout_of(placed: PlacedTensor, cnn: Cnn) -> TensorLayout:
    """Return the regions of a tensor and the position of each of its values in them."""
    addresses = value_addresses(placed, cnn).reshape(-1)
    words = tensor_words(placed, cnn)
    index = np.searchsorted(words, addresses // 4)
    lanes = np.zeros(len(words), dtype=np.int64)
    if placed.tensor.width_bits == 8:
        np.bitwise_or.at(lanes, index, np.left_shift(0xFF, 8 * (addresses % 4)))
    else:
        lanes[index] = 0xFFFFFFFF
    return TensorLayout(
        tensor=placed.tensor,
        regions=_regions(words, lanes),
        elements=tuple((4 * index + addresses % 4).tolist()),
    )


def value_addresses(placed: PlacedTensor, cnn: Cnn) -> Addresses:
    """Return the byte address of every value (32-bit: of its lowest byte), shape (channels, pixels)."""
    channels = placed.tensor.shape[0]
    pixel = np.arange(_pixels(placed), dtype=np.int64)
    processors = set_bits(placed.processors)
    shared = cnn.processors_per_instance
    width = passes_of(channels, cnn).width
    result = np.empty((channels, len(pixel)), dtype=np.int64)
    for channel in range(channels):
        index, rank = divmod(channel, width)
        instance, lane = divmod(processors[rank], shared)
        base = cnn.data_address(instance) + placed.offset_bytes
        word = pixel * placed.pixel_words + index * placed.pass_words
        if placed.big:
            result[channel] = base + pixel
        elif placed.tensor.width_bits == 8:
            result[channel] = base + 4 * word + lane
        else:
            result[channel] = base + 4 * (word + lane)
    return result


def tensor_words(placed: PlacedTensor, cnn: Cnn) -> Addresses:
    """Return the word addresses (byte address / 4) of the tensor, ascending; passes are always whole."""
    shared = cnn.processors_per_instance
    instances = sorted({processor // shared for processor in set_bits(placed.processors)})
    bases = np.array([cnn.data_address(instance) + placed.offset_bytes for instance in instances]) // 4
    if placed.big:
        inner = np.arange(-(-_pixels(placed) // 4))
    else:
        passes = passes_of(placed.tensor.shape[0], cnn).count
        inner = (
            np.arange(_pixels(placed))[:, np.newaxis] * placed.pixel_words
            + np.arange(passes)[np.newaxis] * placed.pass_words
        ).reshape(-1)
    if placed.tensor.width_bits > 8:
        inner = (inner[:, np.newaxis] + np.arange(shared)).reshape(-1)
    return np.unique((bases[:, np.newaxis] + inner).reshape(-1)).astype(np.int64)


def _pixels(placed: PlacedTensor) -> int:
    return int(np.prod(placed.tensor.shape[1:], dtype=np.int64))


def _regions(words: Addresses, lanes: Addresses) -> tuple[Region, ...]:
    """Merge ascending word addresses into regions; a region's mask is the union over its words."""
    starts = np.flatnonzero(np.diff(words, prepend=words[0] - 2) != 1)
    ends = np.append(starts[1:], len(words))
    return tuple(
        Region(4 * int(words[first]), int(end - first), int(np.bitwise_or.reduce(lanes[first:end])))
        for first, end in zip(starts, ends, strict=True)
    )
