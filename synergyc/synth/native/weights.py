"""Writes of weights in express mode, and of biases (sections 4.2 and 4.5)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from synergyc.synth.biases import bias_columns
from synergyc.synth.kernels import SLOT_BYTES
from synergyc.synth.native.control import ControlOptions
from synergyc.synth.native.view import LayerView
from synergyc.synth.program import Write
from synergyc.targets import Cnn

_SET_ADDRESS = 0x01
"""Byte that makes the following words go to consecutive slots."""


def weight_writes(views: Sequence[LayerView], cnn: Cnn, control: ControlOptions) -> tuple[Write, ...]:
    """Return the writes of all weights, in order of processor and slot; neighbouring slots share a chunk.

    In express mode the words are a stream of bytes; else each slot takes four words, of which the last one
    commits it.
    """
    writes: list[Write] = []
    express = control.express
    for processor in range(cnn.processors):
        content, used = _memory(views, processor, cnn)
        if control.fill_gaps:
            used = np.logical_or.accumulate(used) & np.logical_or.accumulate(used[::-1])[::-1]
        elif control.clear_memories:
            used &= content.any(axis=1)  # the others are 0 already
        for first, end in _runs(used):
            if not express:
                address = cnn.weight_address(processor) + 16 * first
                writes.append(Write(address, _plain_words(content[first:end]), f"processor {processor}"))
                continue
            address = cnn.weight_address(processor) + 4 * first
            words = _big_endian_words(content[first:end].tobytes())
            writes.append(Write(address | 1, (_SET_ADDRESS,), f"processor {processor}, slot {first}", 1))
            writes.append(Write(address, words, f"{end - first} slots"))
    return tuple(writes)


def bias_writes(views: Sequence[LayerView], cnn: Cnn) -> tuple[Write, ...]:
    """Return the writes of all biases: one byte in each word, from the first byte that is used."""
    memory: dict[int, dict[int, int]] = {}
    for view in views:
        for quadrant, position, value in _bias_bytes(view, cnn):
            memory.setdefault(quadrant, {})[position] = value
    writes = []
    for quadrant in sorted(memory):
        image = memory[quadrant]
        first = min(image)
        words = tuple(image.get(position, 0) for position in range(first, max(image) + 1))
        writes.append(Write(cnn.bias_address(quadrant) + 4 * first, words, f"quadrant {quadrant}"))
    return tuple(writes)


def _memory(
    views: Sequence[LayerView], processor: int, cnn: Cnn
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    """Return content (slots, 9) and use (slots,) of one processor's weight memory."""
    content = np.zeros((cnn.slots(processor), SLOT_BYTES), dtype=np.uint8)
    used = np.zeros(cnn.slots(processor), dtype=np.bool_)
    for view in views:
        if view.kernels is None or not view.placed.processors >> processor & 1:
            continue
        rank = (view.placed.processors & ((1 << processor) - 1)).bit_count()
        slots = view.kernels.slots + view.first_slot
        content[slots] = view.kernels.content[rank]
        used[slots] = True
    return content, used


def _runs(used: npt.NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """Yield (first, end) of the runs of used slots."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], used, [False])).astype(np.int8)))
    yield from ((int(first), int(end)) for first, end in edges.reshape(-1, 2))


def _plain_words(content: npt.NDArray[np.uint8]) -> tuple[int, ...]:
    """Return four words for each slot: its first byte, two words of four, and 0."""
    padded = np.zeros((len(content), 16), dtype=np.uint8)
    padded[:, 3:12] = content
    return _big_endian_words(padded.tobytes())


def _big_endian_words(content: bytes) -> tuple[int, ...]:
    padded = content + bytes(-len(content) % 4)
    return tuple(int(word) for word in np.frombuffer(padded, dtype=">u4"))


def _bias_bytes(view: LayerView, cnn: Cnn) -> Iterator[tuple[int, int, int]]:
    """Yield (quadrant, byte, value) of a layer's biases."""
    if not view.placed.bias:
        return
    columns = bias_columns(view.placed, cnn)
    for place in view.placed.bias:
        column = columns[place.quadrant if view.geometry.depthwise else 0]
        yield from ((place.quadrant, place.start + index, value or 0) for index, value in enumerate(column))
