"""Clock cycles of accelerator layers: the vendor's formula, exact to the cycle against its own totals.

Source: the cycle model of the vendor's tool (ai8x-synthesis ab4f4c0, izer/latency.py and the totals of
izer/test/test_cycles.py), restated in docs/cost-model.md; corrections for fast clocks from AN7664.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from synergyc.ir.network import Layer, LayerOp, Network
from synergyc.ir.types import Shape
from synergyc.plan.layout import channel_passes
from synergyc.targets import Chip, Cnn

START_CYCLES = 1
"""Once for each run of a network."""

_ZERO_STUFFED_TAPS = 9
"""A dilated 1-D kernel up to this length is filled up with zeros; a longer one runs on 2-D hardware."""

_SHORT_FLATTEN = 16
"""Values of each processor up to which flattening needs no extra cycle (width of a counter: TPTR, POST)."""

SLOT_BITS = 72
_SLOT_STEP = 4
"""Layers begin at multiples of this slot (vendor's tool, izer/kernels.py)."""


@dataclass(frozen=True)
class Walk:
    """How the accelerator walks through one layer: all that its time depends on.

    ``rows`` and ``columns`` are those after pooling, of the map that the hardware sees: twice as many for a
    transposed convolution. ``passes`` counts input passes, ``outputs`` the kernels of each pass for one
    output pixel, ``time_slots`` the words that a pass-through layer writes for each pixel and pass.
    """

    rows: int
    columns: int
    out_rows: int
    out_columns: int
    passes: int
    outputs: int
    kernel: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    pool_pixels: int = 1
    operands: int = 1
    eltwise_first: bool = False
    time_slots: int = 1
    passthrough: bool = False
    flatten: bool = False
    long_flatten: bool = False


def network_cycles(network: Network, chip: Chip) -> int:
    """Return the clock cycles of one run of ``network`` on ``chip``, from start to interrupt."""
    offsets = _kernel_offsets(network, chip.cnn)
    return START_CYCLES + sum(
        layer_cycles(layer, chip, offset) for layer, offset in zip(network.layers, offsets, strict=True)
    )


def offset_matters(layer: Layer, chip: Chip) -> bool:
    """Return whether the cycles of ``layer`` depend on where its kernels lie."""
    return chip.cnn.timing.kernel_offset_reads and _offset_reads(walk_of(layer, chip.cnn)) > 0


def layer_cycles(layer: Layer, chip: Chip, kernel_offset: int = 0) -> int:
    """Return the clock cycles of ``layer`` on ``chip``.

    ``kernel_offset`` is the first weight slot of the layer; it matters only on chips that read up to it
    anew (``timing.kernel_offset_reads``).
    """
    walk = walk_of(layer, chip.cnn)
    cycles = walk_cycles(walk, kernel_offset if chip.cnn.timing.kernel_offset_reads else 0)
    return cycles + round(pipeline_cycles(walk, chip.cnn))


def pipeline_cycles(walk: Walk, cnn: Cnn) -> float:
    """Return the cycles that a fast clock adds, 0 on chips without the pipeline.

    Fitted to measurements at 200 MHz: mean error 0.8 %, largest 3.8 % (AN7664 table 4, figures 10 and 11).
    """
    timing = cnn.timing
    if not timing.pipeline:
        return 0.0
    written = 0 if walk.passthrough else walk.out_rows * walk.out_columns
    read = walk.rows * walk.columns * walk.passes * walk.operands
    return timing.pipeline_cycles_per_output_pixel * written + timing.pipeline_cycles_per_input_pixel * read


def walk_cycles(walk: Walk, kernel_offset: int = 0) -> int:
    """Return the cycles of one layer by the vendor's formula (docs/cost-model.md, "Accelerator")."""
    if walk.eltwise_first:
        pad_read = 2 * walk.passes
        data_read = walk.passes * (walk.operands * walk.pool_pixels + 1)
    else:
        pad_read = 2 * walk.passes * walk.operands
        data_read = walk.passes * walk.operands * (walk.pool_pixels + 1)
    if walk.passthrough:
        return walk.rows * walk.columns * (data_read + walk.passes * walk.time_slots)
    return _convolution_cycles(walk, pad_read, data_read) + _offset_reads(walk) * kernel_offset


def _convolution_cycles(walk: Walk, pad_read: int, data_read: int) -> int:
    """Return the cycles of a layer with weights: lead-in rows, then rows that give output, then padding.

    A pixel costs ``pad_read`` or ``data_read`` cycles, one more where it only fills the line buffer.
    """
    kernel_rows, kernel_columns = walk.kernel
    pad_rows, pad_columns = walk.padding
    repeat = walk.passes if walk.eltwise_first else 1
    side_padding = 2 * pad_columns * (pad_read + 1)
    padding_row = side_padding + repeat * walk.columns * (pad_read + 1)
    lead_in_row = side_padding + repeat * walk.columns * (data_read + 1)

    def output_row(read: int) -> int:
        lead_in = pad_columns * (pad_read + 1) + repeat * (kernel_columns - 1 - pad_columns) * (read + 1)
        return lead_in + repeat * (walk.out_columns - pad_columns) * read + pad_columns * pad_read

    writes = walk.passes * walk.out_columns * walk.outputs
    if walk.outputs == 1 and walk.passes == 1:
        writes += 1
    lead_in_rows = kernel_rows - 1 - pad_rows
    return (
        int(walk.long_flatten)
        + pad_rows * padding_row
        + lead_in_rows * lead_in_row
        + (walk.rows - lead_in_rows) * (output_row(data_read) + writes)
        + pad_rows * (output_row(pad_read) + writes)
    )


def _offset_reads(walk: Walk) -> int:
    """Return how often the kernels before the layer's first are read over: once for each padded pixel."""
    if not walk.eltwise_first or (walk.passes == 1 and walk.operands == 1):
        return 0
    (kernel_rows, kernel_columns), (pad_rows, pad_columns) = walk.kernel, walk.padding
    down = walk.rows + 2 * pad_rows - kernel_columns + 1
    across = walk.columns + 2 * pad_columns - kernel_rows + 1
    return down * pad_columns + across * pad_rows - pad_rows * pad_columns


def walk_of(layer: Layer, cnn: Cnn) -> Walk:
    """Return how ``cnn`` walks through ``layer``, with maps that start at an instance's first processor."""
    rows, columns = _plane(layer.pooled_shape)
    out_rows, out_columns = _plane(layer.output.shape)
    passes, processors = channel_passes(layer.in_shape[0], cnn)
    out_passes, out_processors = channel_passes(layer.output.shape[0], cnn)
    passthrough = layer.op is LayerOp.PASSTHROUGH
    pool_pixels = _pool_pixels(layer)
    if passthrough and pool_pixels > 1 and out_passes > 1:
        passes = 2 * passes - 1
    walk = Walk(
        rows=rows,
        columns=columns,
        out_rows=out_rows,
        out_columns=out_columns,
        passes=passes,
        outputs=1 if layer.groups > 1 else out_passes * out_processors,
        kernel=(layer.kernel[0], layer.kernel[-1]),
        padding=(layer.padding[0], layer.padding[-1]),
        pool_pixels=pool_pixels,
        operands=len(layer.inputs) if layer.eltwise is not None else 1,
        eltwise_first=layer.eltwise is not None and not layer.pool_first,
        time_slots=-(-min(processors, cnn.processors_per_quadrant) // cnn.processors_per_instance),
        passthrough=passthrough,
    )
    return _hardware_view(layer, walk)


def _hardware_view(layer: Layer, walk: Walk) -> Walk:
    """Return ``walk`` as the hardware sees operators that it runs as something else."""
    if layer.op is LayerOp.CONV_TRANSPOSE2D:  # a zero after each pixel, then an ordinary convolution
        padding = (2 - walk.padding[0], 2 - walk.padding[1])
        return replace(walk, rows=2 * walk.rows, columns=2 * walk.columns, padding=padding)
    if layer.op is LayerOp.CONV1D:
        return _one_dimensional(layer, walk)
    if layer.flatten and walk.rows * walk.columns > 1:  # one kernel for each pixel
        long = walk.passes * walk.rows * walk.columns > _SHORT_FLATTEN
        return replace(walk, out_rows=walk.rows, out_columns=walk.columns, flatten=True, long_flatten=long)
    return walk


def _one_dimensional(layer: Layer, walk: Walk) -> Walk:
    dilation = layer.dilation[0]
    taps = (layer.kernel[0] - 1) * dilation + 1
    if dilation == 1 or taps <= _ZERO_STUFFED_TAPS:
        return replace(walk, kernel=(taps, 1), padding=(layer.padding[0], 0))
    rows = -(-walk.rows // dilation)
    return replace(
        walk,
        rows=rows,
        columns=dilation,
        out_rows=rows,
        out_columns=dilation,
        kernel=(3, 3),
        padding=(1, 1),
    )


def _pool_pixels(layer: Layer) -> int:
    if layer.pool is None:
        return 1
    rows, columns = layer.pool.window
    return rows * columns if len(layer.in_shape) > 2 else rows


def _kernel_offsets(network: Network, cnn: Cnn) -> Iterator[int]:
    """Yield the first weight slot of each layer as the placement rule gives it.

    Layers on all processors come first, then the others, each at a multiple of 4. Assumed: maps that all
    begin at processor 0; maps that keep apart leave lower offsets.
    """
    walks = [walk_of(layer, cnn) for layer in network.layers]
    full = [channel_passes(layer.in_shape[0], cnn)[1] == cnn.processors for layer in network.layers]
    offsets = [0] * len(walks)
    free = 0
    for i in sorted(range(len(walks)), key=lambda i: not full[i]):
        offsets[i] = free
        slots = weight_slots(network.layers[i], walks[i])
        free += -(-slots // _SLOT_STEP) * _SLOT_STEP
    yield from offsets


def weight_slots(layer: Layer, walk: Walk) -> int:
    """Return the 9-byte weight slots that ``layer`` takes in each of its processors."""
    if layer.weight is None:
        return 0
    pixels = walk.rows * walk.columns if walk.flatten else 1
    kernels = walk.outputs * walk.passes * pixels
    taps = walk.kernel[0] * walk.kernel[1]
    per_byte = 8 // layer.weight_bits
    padding_bits = kernels % per_byte * taps * (per_byte - 1)
    return -(-(kernels * taps * layer.weight_bits + padding_bits) // SLOT_BITS)


def _plane(shape: Shape) -> tuple[int, int]:
    """Return the spatial part of a shape as (rows, columns); axes that it does not have count 1."""
    rows, columns = (*shape[1:], 1, 1)[:2]
    return rows, columns
