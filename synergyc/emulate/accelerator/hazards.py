"""Memory that is written while someone still needs what was there.

The order of reads and writes inside a layer decides the result then, or the timing of the program does. The
model computes a layer at once, so it refuses such layers instead of giving one of the possible results.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from synergyc.emulate.accelerator import layers
from synergyc.emulate.accelerator.config import LayerConfig
from synergyc.emulate.accelerator.layers import OutOfReach
from synergyc.targets import Cnn

Words = npt.NDArray[np.int64]


def read_words(cnn: Cnn, config: LayerConfig) -> dict[int, range]:
    """Return instance -> words a layer reads (from its first to its last)."""
    first = config.input.word
    words = range(first, first + layers.input_words(config))
    return {processor // cnn.processors_per_instance: words for processor in config.processors}


def written_words(cnn: Cnn, config: LayerConfig) -> dict[int, range]:
    """Return instance -> words a layer writes (from its first to its last)."""
    pixels = config.output_rows * config.output_cols
    length = (pixels - 1) * config.output.pixel_words + (4 if config.output.wide else 1)
    found: dict[int, range] = {}
    for instance, _, word in layers.places(cnn, config):
        known = found.get(instance, range(word, word + length))
        found[instance] = range(min(known.start, word), max(known.stop, word + length))
    return found


def overlap(one: range, other: range) -> bool:
    """Return whether two ranges share a word."""
    return max(one.start, other.start) < min(one.stop, other.stop)


def check_layer(cnn: Cnn, config: LayerConfig) -> None:
    """Raise OutOfReach if a layer writes words that it reads later.

    An output pixel is written as soon as the last pixel under its kernel is read; pooled pixels are read row
    by row, each with all its passes and operands.
    """
    if config.kernel is not None and config.kernel.elements:
        return  # flattening reads everything before it writes
    reads, writes = read_words(cnn, config), written_words(cnn, config)
    shared = [i for i in sorted(reads) if i in writes and overlap(reads[i], writes[i])]
    if not shared:
        return
    last_read = _last_reads(config)
    ready = _ready_times(config)
    pixels = np.arange(len(ready)) * config.output.pixel_words
    for instance, lane, word in layers.places(cnn, config):
        if instance not in shared:
            continue
        if not config.output.wide and not _reads_lane(cnn, config, instance, lane):
            continue
        target = word + pixels + (lane if config.output.wide else 0) - config.input.word
        inside = (target >= 0) & (target < len(last_read))
        late = last_read[target[inside]] > ready[inside]
        if late.any():
            at = int(target[inside][np.argmax(late)]) + config.input.word
            raise OutOfReach("WPTR", f"overwrites word {at} of instance {instance} before it is read")


def _reads_lane(cnn: Cnn, config: LayerConfig, instance: int, lane: int) -> bool:
    if config.input.bytewise:
        return True
    return instance * cnn.processors_per_instance + lane in config.processors


def _last_reads(config: LayerConfig) -> Words:
    """Return, for each input word from the first, the number of the last pooled pixel that reads it."""
    source, pool = config.input, config.pool
    rows = _last_windows(source.rows, pool.rows, pool.row_dilation, pool.stride, config.pooled_rows)
    cols = _last_windows(source.cols, pool.cols, pool.col_dilation, pool.stride, config.pooled_cols)
    time = np.where((rows[:, None] >= 0) & (cols >= 0), rows[:, None] * config.pooled_cols + cols, -1)
    pixel = np.arange(source.rows)[:, None] * source.row_pixels + np.arange(source.cols)
    found = np.full(layers.input_words(config), -1, np.int64)
    if source.bytewise:
        np.maximum.at(found, pixel // 4, time)
    else:
        for fetch in range(source.passes * source.operands):
            found[pixel * source.pixel_words + fetch] = time
    return found


def _last_windows(size: int, window: int, dilation: int, stride: int, count: int) -> Words:
    """Return, for each pixel of an axis, the last pooling window it is in, -1 if none."""
    last = np.full(size, -1, np.int64)
    starts = np.arange(count)
    for i in range(window):
        touched = starts * stride + i * dilation
        last[touched] = np.maximum(last[touched], starts)
    return last


def _ready_times(config: LayerConfig) -> Words:
    """Return, for each output pixel, the number of the last pooled pixel under its kernel."""
    kernel = config.kernel
    if kernel is None:
        return np.arange(config.output_rows * config.output_cols)
    scale = 2 if kernel.transposed else 1
    rows = np.arange(config.output_rows) + kernel.rows - 1 - kernel.pad_rows
    cols = np.arange(config.output_cols) + kernel.cols - 1 - kernel.pad_cols
    row = np.clip(rows // scale, 0, config.pooled_rows - 1)
    col = np.clip(cols // scale, 0, config.pooled_cols - 1)
    return (row[:, None] * config.pooled_cols + col).reshape(-1)


def check_rings(cnn: Cnn, configs: Sequence[LayerConfig]) -> None:
    """Raise OutOfReach if circular buffers of streaming layers, or their output, share words."""
    streams = [config for config in configs if config.ring_words]
    if not streams:
        return
    taken = list(written_words(cnn, streams[-1]).items())
    for config in streams:
        source = config.input
        ring = range(source.word, source.word + config.ring_words)
        window = ((config.pool.row_span - 1) * source.row_pixels + config.pool.col_span) * source.pixel_words
        if not source.bytewise and config.ring_words < window:
            raise OutOfReach("FMAX", f"the circular buffer is shorter than a pooling window, {window} words")
        mine = [(instance, ring) for instance in read_words(cnn, config)]
        if any(i == j and overlap(a, b) for i, a in mine for j, b in taken):
            raise OutOfReach("FMAX", f"layer {config.number} shares words of its circular buffer")
        taken += mine


def touched(cnn: Cnn, configs: Sequence[LayerConfig]) -> Iterator[tuple[int, range]]:
    """Yield (instance, words) that the layers read or write."""
    for config in configs:
        yield from read_words(cnn, config).items()
        yield from written_words(cnn, config).items()
