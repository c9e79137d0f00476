"""When the output of a layer may lie over its input: reads must stay ahead of writes (section 8, pitfall 13).

The hardware reads pooled pixels row by row, each with all its passes and operands, and writes an output pixel
when the last pooled pixel under its kernel has been read. Here a word counts as free only some pixels later.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from synergyc.ir.network import Layer, LayerOp
from synergyc.synth.geometry import Geometry, geometry_of
from synergyc.synth.lowering import hardware_form
from synergyc.targets import Cnn

DISTANCE_PIXELS = 8
"""Pooled pixels between the last read of a word and the write over it. One is enough by the rule; the others
are kept for fetches and writes that are under way, of which no document tells the number."""

Numbers = npt.NDArray[np.int64]


def least_lead_words(
    layer: Layer, cnn: Cnn, *, read_words: int, write_words: int, written: int, big: bool
) -> int | None:
    """Return how many words the output must begin before the input at least; None: they must be apart.

    Negative: the output may begin behind the input by that many words. ``read_words`` and ``write_words``
    are the words from one pixel to the next, ``written`` those from a pixel's first to its last.
    """
    form = hardware_form(layer)
    geometry = geometry_of(layer, cnn)
    if form.layer is not layer or geometry.flatten or _passes_as_rows(geometry, cnn):
        return None
    unread = _words_left(geometry, read_words, big=big)
    ready = _ready(geometry)
    free = np.searchsorted(unread, ready - (DISTANCE_PIXELS - 1))  # words before the first still needed then
    last = np.arange(len(ready)) * write_words + written - 1
    bound = free < len(unread)
    if not bound.any():
        return None
    return int((last[bound] - free[bound]).max()) + 1


def _passes_as_rows(geometry: Geometry, cnn: Cnn) -> bool:
    """Whether the first generation runs the passes of a copy of several operands as rows (section 5.3)."""
    several = geometry.operands > 1 and geometry.in_passes.count > 1
    return cnn.generation == "ai85" and geometry.op is LayerOp.PASSTHROUGH and several


def _words_left(geometry: Geometry, read_words: int, *, big: bool) -> Numbers:
    """Return, for each input word, the latest time at which it or a word before it is read."""
    rows = _last_windows(geometry.rows, 0, geometry.pooled_rows, geometry)
    columns = _last_windows(geometry.columns, 1, geometry.pooled_columns, geometry)
    used = (rows[:, None] >= 0) & (columns >= 0)
    time = np.where(used, rows[:, None] * geometry.pooled_columns + columns, -1).reshape(-1)
    latest: Numbers = np.maximum.accumulate(time)
    if not big:
        return np.repeat(latest, read_words)
    last_pixels = np.minimum(np.arange(-(-len(latest) // 4)) * 4 + 3, len(latest) - 1)
    return latest[last_pixels]


def _last_windows(size: int, axis: int, count: int, geometry: Geometry) -> Numbers:
    """Return the number of the last pooling window that each pixel of an axis is in, -1: none."""
    last = np.full(size, -1, dtype=np.int64)
    starts = np.arange(count) * geometry.pool_stride
    for index in range(geometry.window[axis]):
        place = starts + index * geometry.pool_dilation[axis]
        last[place] = np.maximum(last[place], np.arange(count))
    return last


def _ready(geometry: Geometry) -> Numbers:
    """Return the number of the pooled pixel that completes each output pixel."""
    if geometry.op is LayerOp.PASSTHROUGH:
        return np.arange(geometry.out_pixels)
    transposed = geometry.op is LayerOp.CONV_TRANSPOSE2D
    pads = [2 - pad for pad in geometry.padding] if transposed else geometry.padding
    scale = 2 if transposed else 1
    axes = []
    for axis, (out, pooled) in enumerate(
        ((geometry.out_rows, geometry.pooled_rows), (geometry.out_columns, geometry.pooled_columns))
    ):
        reach = np.arange(out) + geometry.kernel[axis] - 1 - pads[axis]
        axes.append(np.clip(reach // scale, 0, pooled - 1))
    return (axes[0][:, None] * geometry.pooled_columns + axes[1]).reshape(-1)
