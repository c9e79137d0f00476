"""Check of layers that write over their own input: each byte must have been read for the last time before.

The hardware goes through the pooled map row by row. At each pooled pixel it reads the pixels under the
pooling window, all passes and operands; at the pooled pixel in the lower right corner of a kernel's window
(clipped to the map, where there is padding) it writes the output pixel. A write counts as safe if it happens
at a later pooled pixel than the last read of the same byte. Flattening layers and layers that run in another
form read in an order of their own: they must not overlap at all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from synergyc.ir.network import Layer, LayerOp
from synergyc.synth.placed import PlacedLayer

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Places:
    """Bytes of data memory: ``bytes`` (channels, pixels, bytes of a value) counts them through all instances.

    ``lowest`` and ``highest`` are the first and the last one inside an instance, ``instances`` those in use.
    """

    bytes: Numbers
    lowest: int
    highest: int
    instances: frozenset[int]

    def apart(self, other: Places) -> bool:
        """Tell whether no byte can be common to both: other instances, or other bytes of them."""
        return (
            self.instances.isdisjoint(other.instances)
            or self.highest < other.lowest
            or other.highest < self.lowest
        )


_NEVER = -1


def overwrites_input(placed: PlacedLayer, reads: Places, writes: Places, stray: Places, size: int) -> bool:
    """Tell whether a layer may write a byte that it still has to read.

    ``stray`` is all that is written, also outside of the output ``writes``; ``size`` is the bytes of the
    memory.
    """
    if reads.apart(stray) and reads.apart(writes):
        return False
    touched = np.zeros(size, dtype=np.bool_)
    touched[reads.bytes] = True
    if not touched[stray.bytes].any() and not touched[writes.bytes].any():
        return False
    layer = placed.layer
    in_order = not layer.flatten and placed.form.layer is layer and not _passes_come_last(placed)
    if not in_order or not np.array_equal(writes.bytes, stray.bytes):
        return True
    last_read = np.full(size, _NEVER, dtype=np.int64)
    times = np.broadcast_to(_read_times(layer)[np.newaxis, :, np.newaxis], reads.bytes.shape)
    np.maximum.at(last_read, reads.bytes, times)
    written = np.broadcast_to(_write_times(layer)[np.newaxis, :, np.newaxis], writes.bytes.shape)
    # A word is written as a whole in its lanes; a byte beside a channel's own may be read by a neighbour.
    return bool((last_read[writes.bytes] >= written).any())


def _passes_come_last(placed: PlacedLayer) -> bool:
    """Whether the passes may be run as further rows: copies of several operands in several passes."""
    return (
        placed.passthrough
        and placed.operands > 1
        and placed.layer.in_shape[0] > placed.processors.bit_count()
    )


def _plane(shape: tuple[int, ...]) -> tuple[int, int]:
    rows, columns = (*shape[1:], 1, 1)[:2]
    return rows, columns


def _read_times(layer: Layer) -> Numbers:
    """Return, for each input pixel, the number of the last pooled pixel whose window it is in."""
    rows, columns = _plane(layer.in_shape)
    down, across = _plane(layer.pooled_shape)
    times = np.full((rows, columns), _NEVER, dtype=np.int64)
    window, step, stride = (1, 1), (1, 1), 1
    if layer.pool is not None:
        window, step, stride = layer.pool.window, layer.pool.dilation, layer.pool.stride
    if len(layer.in_shape) < 3:
        window, step = (window[0], 1), (step[0], 1)
    number = np.arange(down * across).reshape(down, across)
    for row in range(window[0]):
        for column in range(window[1]):
            y, x = row * step[0], column * step[1]
            part = times[y : y + (down - 1) * stride + 1 : stride, x : x + (across - 1) * stride + 1 : stride]
            np.maximum(part, number, out=part)
    return times.reshape(-1)


def _write_times(layer: Layer) -> Numbers:
    """Return, for each output pixel, the number of the pooled pixel at which it is written."""
    down, across = _plane(layer.pooled_shape)
    rows, columns = _plane(layer.output.shape)
    if layer.op is LayerOp.PASSTHROUGH:
        return np.arange(rows * columns)
    kernel = (*layer.kernel, 1)[:2]
    padding = (*layer.padding, 0)[:2]
    stretch = 1
    if layer.op is LayerOp.CONV_TRANSPOSE2D:  # a zero row and column after each pixel, then a plain kernel
        padding, stretch = (2 - padding[0], 2 - padding[1]), 2
    lowest = (np.arange(rows) + kernel[0] - 1 - padding[0]) // stretch
    rightmost = (np.arange(columns) + kernel[1] - 1 - padding[1]) // stretch
    row = np.clip(lowest, 0, down - 1)[:, np.newaxis]
    column = np.clip(rightmost, 0, across - 1)[np.newaxis, :]
    return (row * across + column).reshape(-1)
