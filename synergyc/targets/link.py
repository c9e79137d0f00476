"""Kinds of links between devices, and what their frames cost."""

from __future__ import annotations

import math
from collections.abc import Sequence

from synergyc.targets.chip import Chip
from synergyc.targets.fields import TargetData


class LinkCycles(TargetData):
    """CPU cycles that the firmware spends on a link: framing, CRC, interrupts."""

    send_byte: float
    send_frame: float
    """With the peer's answer to it."""
    receive_byte: float
    receive_frame: float
    """With the answer to it."""
    decode_byte: float
    """The part of ``receive_byte`` that begins when the whole frame is there."""
    begin: float
    """Until a tensor's first frame is on the line."""
    begin_byte: float = 0.0
    """For each payload byte of that frame, where they cost more than copying."""
    finish: float
    """From a tensor's last frame until the tensor is in use, without decoding."""


class Seal(TargetData):
    """What a secured link adds to each frame: bytes, and CPU cycles at either end."""

    overhead_bytes: int
    """Counter and tag."""
    frame_cycles: float
    """For each frame, whatever its size."""
    byte_cycles: float
    """For each byte of payload."""


class Medium(TargetData):
    """A kind of link between devices."""

    name: str
    title: str
    peripheral: str
    """Kind of peripheral that drives it."""
    shared: bool
    """One channel for all devices, or a wire for each pair."""
    full_duplex: bool
    default_rate_kbps: float
    lowest_rate_kbps: float
    highest_rate_kbps: float | None = None
    """None: what the UARTs at both ends reach."""
    rate_tolerance: float | None = None
    """How far the rate of a UART at one end may be from the link's, relative to it; None: no such rate."""
    bits_per_byte: int
    mtu_bytes: int
    frame_overhead_bytes: int
    uart_kbps: float | None = None
    """Rate of the UART between chip and radio module; None: that of the medium itself."""
    air_overhead_bytes: int = 0
    """Part of the overhead that the radio adds on air: preamble, its own headers, waiting, as bytes."""
    answer_bytes: int
    """An acknowledgement on the line or on air."""
    answered_frames: int = 1
    """Frames that one acknowledgement answers."""
    ring_bytes: int
    """Of the buffer in front of the UART that drives it."""
    cpu: LinkCycles
    send_mw: float = 0.0
    """Power of the sending side's transceiver while it sends; 0 for a wire."""
    receive_mw: float = 0.0
    """The same of the receiving side."""
    listen_mw: float = 0.0
    """Power of a transceiver that waits, on every device that the link joins."""
    seal: Seal | None = None
    """What its frames are sealed with; part of the figures above."""

    def uart_rate_kbps(self, rate_kbps: float) -> float:
        """Return the rate of the UART that drives a link of ``rate_kbps``."""
        return rate_kbps if self.uart_kbps is None else self.uart_kbps

    def reached_by(self, chip: Chip, uart: str, rate_kbps: float) -> bool:
        """Return whether ``uart`` of ``chip`` can be one end of a link of ``rate_kbps``."""
        if self.rate_tolerance is None:
            return True
        wanted_bd = 1000.0 * self.uart_rate_kbps(rate_kbps)
        return abs(chip.uart_rate_bd(uart, wanted_bd) / wanted_bd - 1.0) <= self.rate_tolerance

    def secured(self, seal: Seal) -> Medium:
        """Return the medium with frames that are sealed: longer ones, which cost the CPUs more."""
        overhead_bytes = self.frame_overhead_bytes + seal.overhead_bytes
        answer_bytes = round(self.answer_bytes * overhead_bytes / self.frame_overhead_bytes)
        answer_share = self.answer_bytes / self.frame_overhead_bytes
        on_line_bytes = overhead_bytes - self.air_overhead_bytes
        frame = seal.frame_cycles - seal.byte_cycles * on_line_bytes  # bytes count all that is on the line
        both = frame + answer_share * seal.frame_cycles
        cpu = self.cpu.model_copy(
            update={
                "send_byte": self.cpu.send_byte + seal.byte_cycles,
                "send_frame": self.cpu.send_frame + both,
                "receive_byte": self.cpu.receive_byte + seal.byte_cycles,
                "receive_frame": self.cpu.receive_frame + both,
                "decode_byte": self.cpu.decode_byte + seal.byte_cycles,
                "begin": self.cpu.begin + seal.frame_cycles,
                "begin_byte": self.cpu.begin_byte + seal.byte_cycles,
                "finish": self.cpu.finish + frame,
            }
        )
        update = {
            "frame_overhead_bytes": overhead_bytes,
            "answer_bytes": answer_bytes,
            "cpu": cpu,
            "seal": seal,
        }
        return self.model_copy(update=update)


def assign_uarts(
    chip: Chip, uarts: Sequence[str], wires: Sequence[tuple[Medium, float]]
) -> tuple[str, ...] | None:
    """Return one of ``uarts`` for each of ``wires``, medium and rate in kbps; None if not all can have one.

    Of several ways that where earlier wires have earlier UARTs. Some of wires that can all have one can, too.
    """
    if not wires:
        return ()
    (medium, rate_kbps), *others = wires
    for uart in uarts:
        if medium.reached_by(chip, uart, rate_kbps):
            rest = assign_uarts(chip, [other for other in uarts if other != uart], others)
            if rest is not None:
                return (uart, *rest)
    return None


def transfer_us(size_bytes: int, rate_kbps: float, bits_per_byte: int) -> float:
    """Return the time on the wire of ``size_bytes`` in microseconds."""
    return size_bytes * bits_per_byte * 1000.0 / rate_kbps if rate_kbps > 0 else math.inf
