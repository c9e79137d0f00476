"""Clock cycles of a layer (docs/accelerator.md, 6: the vendor tool's ``latency.py`` and measurements)."""

from __future__ import annotations

from synergyc.emulate.accelerator.config import Kernel, LayerConfig
from synergyc.targets import CnnTiming

START_CYCLES = 1
"""Added once to the sum of all layers."""


def layer_cycles(config: LayerConfig, timing: CnnTiming, *, pipelined: bool) -> int:
    """Return the cycles of one layer.

    With the pipeline on (``pipelined``) the vendor's formula is too low; ``timing`` has what was measured
    in addition for each pixel that a convolution writes and for each pixel that is read.
    """
    cycles = vendor_cycles(config, kernel_offset_reads=timing.kernel_offset_reads)
    if config.streaming:
        cycles = (15 * cycles + 9) // 10
    if pipelined:
        read = config.pooled_rows * config.pooled_cols * config.input.passes * config.input.operands
        written = 0 if config.kernel is None else config.output_rows * config.output_cols
        cycles += round(
            timing.pipeline_cycles_per_output_pixel * written + timing.pipeline_cycles_per_input_pixel * read
        )
    return cycles


def vendor_cycles(config: LayerConfig, *, kernel_offset_reads: bool) -> int:
    """Return the cycles by the vendor's formula, without its factor for streaming.

    ``kernel_offset_reads``: layers that combine before pooling read the kernels in front of theirs, too.
    """
    passes, operands = config.input.passes, config.input.operands
    window = config.pool.rows * config.pool.cols
    output = config.output
    if config.kernel is not None and config.kernel.elements:
        return _flatten_cycles(config.kernel)
    if config.kernel is None and window > 1 and output.pixel_words > output.pass_words:
        passes = 2 * passes - 1
    if config.pool_first:
        pad_read, data_read, repeats = 2 * passes * operands, passes * operands * (window + 1), 1
    else:
        pad_read, data_read, repeats = 2 * passes, passes * (operands * window + 1), passes
    if config.kernel is None:
        return config.pooled_rows * config.pooled_cols * (data_read + passes * output.time_slots)
    cycles = _convolution_cycles(config, config.kernel, pad_read, data_read, repeats)
    if kernel_offset_reads and not config.pool_first:
        cycles += _offset_reads(config, config.kernel)
    return cycles


def _flatten_cycles(kernel: Kernel) -> int:
    """Return the cycles of a flattening layer: a 1x1 convolution over all its values.

    The rows of the map are not in the registers; the formula uses them for a single output only.
    """
    single = 1 if kernel.positions == 1 else 0
    return 1 + kernel.elements * (2 + kernel.positions) + single


def _map_size(config: LayerConfig, kernel: Kernel) -> tuple[int, int]:
    scale = 2 if kernel.transposed else 1
    return config.pooled_rows * scale, config.pooled_cols * scale


def _offset_reads(config: LayerConfig, kernel: Kernel) -> int:
    if config.input.passes * config.input.operands == 1:
        return 0
    rows, cols = _map_size(config, kernel)
    pad_rows, pad_cols = kernel.pad_rows, kernel.pad_cols
    border = (rows + 2 * pad_rows - kernel.cols + 1) * pad_cols
    border += (cols + 2 * pad_cols - kernel.rows + 1) * pad_rows - pad_rows * pad_cols
    return border * kernel.first_slot


def _convolution_cycles(
    config: LayerConfig, kernel: Kernel, pad_read: int, data_read: int, repeats: int
) -> int:
    """Return the cycles of a convolution: padded rows, rows before the first output, rows with output."""
    rows, cols = _map_size(config, kernel)
    pad_rows, pad_cols = kernel.pad_rows, kernel.pad_cols
    lead_rows, lead_cols = kernel.rows - 1 - pad_rows, kernel.cols - 1 - pad_cols
    out_cols, outputs, passes = config.output_cols, kernel.positions, config.input.passes
    padding = 2 * pad_cols * (pad_read + 1)
    sides = pad_cols * (pad_read + 1) + pad_read * pad_cols

    def row(read: int) -> int:
        return sides + repeats * (lead_cols * (read + 1) + (out_cols - pad_cols) * read)

    top = padding + repeats * cols * (pad_read + 1)
    first = padding + repeats * cols * (data_read + 1)
    written = passes * out_cols * outputs + (1 if outputs == 1 and passes == 1 else 0)
    cycles = pad_rows * top + lead_rows * first
    cycles += (row(data_read) + written) * (rows - lead_rows)
    return cycles + pad_rows * (row(pad_read) + written)
