"""How the accelerator is operated, beside what the network needs."""

from __future__ import annotations

from dataclasses import dataclass

SNOOP_REGISTERS = tuple(
    f"SNP{unit}_{name}"
    for unit in (1, 2)
    for name in ("A1", "A2", "D1", "D2", "X1", "X2", "C1", "C2", "ACC", "HIT", "MAX", "AM")
)
"""Registers of the two units that watch the bus and choose the next layer (section 5.1)."""


@dataclass(frozen=True)
class ControlOptions:
    """Switches of the control registers (section 5.1); the defaults are the vendor tool's.

    Attributes:
        write_zero_registers: write registers whose value is 0 as well, for chips that keep what an earlier
            network wrote (section 8, pitfall 3).
        express: load weights as a stream of bytes, else each slot in four words (section 4.2).
        pipeline: use the pipeline where the chip has one; needed above 50 MHz.
        average_rounding: average pooling rounds instead of truncating.
        one_bit_xor: 1-bit weights are combined by XOR instead of multiplication.
        external_ready: wait for the external ready signal.
        one_shot: stop after each layer.
        fifo_go: start before the first word is in the FIFO.
        power_down_unused: switch off quadrants that are not in use.
        clear_memories: clear all memories by the built-in self test.
        link_layers: state the next layer of every layer, where the chip has registers for it.
        stream_start, stream_column, stream_row, stream_buffer: values for the first layer's streaming
            registers instead of the computed start, distances of columns and rows, and length of the buffer.
        stream_lag: words by which streaming layers lag further behind their predecessor than they must.
        more_column, more_row: words that are added to the distances of columns and rows of later layers.
        repeat: how often the layers are configured, one copy behind the other.
        fill_gaps: weights of a processor are one run, with zeros between those of different layers; the large
            memories are filled from their start.
        clear_line_buffers: write zeros to the line buffers.
        clear_unused: write zeros to the registers of the layers behind the last one.
        snoop_loop: the first snoop unit starts the network again when its last output was written.
        ready_select, ready_select_fifo, ready_select_aon: memory wait states.
    """

    write_zero_registers: bool = False
    express: bool = True
    pipeline: bool = True
    average_rounding: bool = False
    one_bit_xor: bool = False
    external_ready: bool = False
    one_shot: bool = False
    fifo_go: bool = False
    power_down_unused: bool = False
    clear_memories: bool = False
    link_layers: bool = False
    stream_start: int | None = None
    stream_column: int | None = None
    stream_row: int | None = None
    stream_buffer: int | None = None
    stream_lag: int = 2
    more_column: int = 0
    more_row: int = 0
    repeat: int = 1
    fill_gaps: bool = False
    clear_line_buffers: bool = False
    clear_unused: bool = False
    snoop_loop: bool = False
    ready_select: int = 0
    ready_select_fifo: int = 0
    ready_select_aon: int = 0


VENDOR_DEFAULTS = ControlOptions()
"""What the vendor tool does when it is not told otherwise."""
