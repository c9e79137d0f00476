"""Tensors as words of data memory: addresses, values, and which bits of a word carry values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from synergyc.ir.types import Array
from synergyc.synth.program import TensorLayout

Words = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Image:
    """Words by ascending address; bits outside of a word's mask are 0."""

    addresses: Words
    words: Words
    masks: Words

    def runs(self, *, same_mask: bool) -> Iterator[tuple[int, int]]:
        """Yield (first, end) of words at consecutive addresses; ``same_mask``: and of equal masks."""
        breaks = np.diff(self.addresses) != 4
        if same_mask:
            breaks |= np.diff(self.masks) != 0
        edges = [0, *(np.flatnonzero(breaks) + 1).tolist(), len(self.addresses)]
        yield from pairwise(edges)

    def only(self, chosen: npt.NDArray[np.bool_]) -> Image:
        """Return the words for which ``chosen`` is true."""
        return Image(self.addresses[chosen], self.words[chosen], self.masks[chosen])


def image_of(layouts: Sequence[TensorLayout], values: Mapping[str, Array]) -> Image:
    """Return the words that hold ``values`` (by tensor name, C order); tensors may share words."""
    addresses = np.concatenate([word_addresses(layout) for layout in layouts])
    parts = [_content(layout, values[layout.tensor.name]) for layout in layouts]
    words, masks = (np.concatenate([part[index] for part in parts]) for index in (0, 1))
    unique, places = np.unique(addresses, return_inverse=True)
    merged = np.zeros((2, len(unique)), dtype=np.int64)
    np.bitwise_or.at(merged[0], places, words)
    np.bitwise_or.at(merged[1], places, masks)
    return Image(unique, merged[0], merged[1])


def word_addresses(layout: TensorLayout) -> Words:
    """Return the address of every word of a layout, in the order in which they travel."""
    return np.concatenate([region.address + 4 * np.arange(region.words) for region in layout.regions])


def value_addresses(layout: TensorLayout) -> Words:
    """Return the byte address of every value, shape (channels, pixels)."""
    elements = np.asarray(layout.elements, dtype=np.int64)
    addresses: Words = word_addresses(layout)[elements // 4] + elements % 4
    return addresses.reshape(layout.tensor.shape[0], -1)


def _content(layout: TensorLayout, values: Array) -> tuple[Words, Words]:
    """Return words and masks of one tensor, in the order of its regions."""
    size = layout.tensor.width_bits // 8
    content = np.zeros(4 * layout.words, dtype=np.uint8)
    used = np.zeros_like(content)
    flat = np.ascontiguousarray(values, dtype=f"<i{size}").reshape(-1)
    places = np.asarray(layout.elements, dtype=np.int64)[:, np.newaxis] + np.arange(size)
    content[places] = flat.view(np.uint8).reshape(-1, size)
    used[places] = 0xFF
    return content.view("<u4").astype(np.int64), used.view("<u4").astype(np.int64)
