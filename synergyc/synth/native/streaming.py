"""Streaming and FIFO registers (section 5.3): when a layer starts, how far it lags, how long its buffer is.

All values count words. Padding is the hardware's.
"""

from __future__ import annotations

from dataclasses import dataclass

from synergyc.synth.geometry import Geometry, round_up

_CHW_BUFFER_WORDS = 12
"""Buffer of a CHW input on the first generation (section 5.3)."""


@dataclass(frozen=True)
class StreamRegisters:
    """Values of STRM1, STRM2 and FMAX; ``buffer`` is None where the layer has no circular buffer."""

    start: int = 0
    deltas: int = 0
    buffer: int | None = None


@dataclass(frozen=True)
class StreamLayer:
    """One layer in a streaming or FIFO network.

    ``passes_before`` is the sum of input passes of all earlier layers.
    """

    geometry: Geometry
    padding: tuple[int, int]
    streaming: bool
    big: bool
    first: bool
    last_streaming: bool
    passes_before: int
    read_ahead: bool = False


@dataclass(frozen=True)
class StreamLag:
    """Words that are added to a layer's start, and to its distances of columns and of rows."""

    start: int = 0
    column: int = 0
    row: int = 0


def ai85_stream(
    layer: StreamLayer, previous: StreamLayer | None, *, fifo: bool, lag: StreamLag
) -> StreamRegisters:
    """Return the registers of the first generation."""
    geometry = layer.geometry
    rows, columns = geometry.window
    stride, operands = geometry.pool_stride, geometry.operands
    if layer.first:
        if not fifo:
            return StreamRegisters()
        if not layer.streaming:
            words = geometry.pixels
            return StreamRegisters((-(-words // 4) if layer.big else words) * rows)
        start = ((rows - 1) * geometry.columns + columns) * rows
        deltas = (rows - 1) * geometry.columns * operands << 16 | (stride - 1) * operands << 4
    elif layer.streaming and previous is not None:
        width = previous.geometry.pooled_columns + 2 * previous.padding[1]
        kernel = previous.geometry.kernel
        start = width * (kernel[0] - 1 + rows - 1) + kernel[1] - 1 + columns + lag.start
        behind = (stride - 1) * width + columns * operands + lag.row
        deltas = behind << 16 | (stride * operands + lag.column) << 4 | layer.passes_before
    else:
        return StreamRegisters()
    buffer = start + (rows - 1) * geometry.columns + max(stride, columns)
    buffer = _CHW_BUFFER_WORDS if layer.big else round_up(buffer, geometry.in_passes.count)
    return StreamRegisters(start, deltas, buffer if fifo else None)


def ai87_stream(
    layer: StreamLayer, *, fifo: bool, pipeline: bool, lag: StreamLag, column: int | None = None
) -> StreamRegisters:
    """Return the registers of the second generation; ``column``: the first layer's distance of columns."""
    if layer.first:
        return _ai87_first(layer, fifo=fifo, pipeline=pipeline, column=column)
    if not layer.streaming:
        return StreamRegisters()
    geometry, pad = layer.geometry, layer.padding[1]
    stride, operands, passes = geometry.pool_stride, geometry.operands, geometry.in_passes.count
    row_step, column_step = _steps(geometry)
    whole = geometry.columns // column_step
    if whole * stride + geometry.window[1] > geometry.columns:
        whole -= 1
    rest = 0 if column_step == 1 else geometry.columns - whole * column_step
    padded = geometry.columns + 2 * pad
    start = (pad or stride) * padded + (row_step * padded + pad + 2 * column_step) * operands
    start += rest * stride if layer.last_streaming else 0
    start += stride if layer.read_ahead else 0
    delta = stride * operands + lag.column
    behind = (delta + rest if stride == 1 else (stride - 1) * geometry.columns + rest) + lag.row
    buffer = start + (passes - 1) * (row_step * geometry.columns + pad + column_step) + column_step
    deltas = behind << 16 | delta << 4 | layer.passes_before
    return StreamRegisters(start, deltas, round_up(buffer, passes) if fifo else None)


def _ai87_first(layer: StreamLayer, *, fifo: bool, pipeline: bool, column: int | None) -> StreamRegisters:
    geometry, pad = layer.geometry, layer.padding[1]
    stride, operands = geometry.pool_stride, geometry.operands
    pack = 4 if layer.big else 1
    if not layer.streaming:
        return StreamRegisters(-(-geometry.pixels // pack) if fifo else 0)
    row_step, column_step = _steps(geometry)
    simple = stride == 1 and geometry.window[0] == 1
    padded = geometry.columns + 2 * pad
    start = column_step if simple else (row_step * padded + pad + 2 * column_step) * operands
    start += stride if layer.read_ahead and not simple else 0
    whole = geometry.columns // stride
    if whole * stride + geometry.window[1] - 1 > geometry.columns:
        whole -= 1
    skipped = max(0, geometry.columns - whole * stride)
    delta = -(-(stride * operands - simple) // pack) if column is None else column
    behind = delta + skipped
    if stride > 1:
        behind = (stride - 1) * geometry.columns + skipped + geometry.window[1] - 1
    behind = -(-behind // pack)
    behind += pipeline and behind > 0
    buffer = start + column_step + (stride - 1) * padded
    buffer *= stride * 4 if layer.big else 1
    if not fifo:
        return StreamRegisters(0, behind << 16 | delta << 4)
    return StreamRegisters(-(-start // pack), behind << 16 | delta << 4, buffer)


def _steps(geometry: Geometry) -> tuple[int, int]:
    """Return how many rows and columns one window advances at least."""
    rows, columns = (
        max(size * step, geometry.pool_stride)
        for size, step in zip(geometry.window, geometry.pool_dilation, strict=True)
    )
    return rows, columns
