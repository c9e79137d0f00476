"""What a hand-off takes of the link and of the CPUs at its ends.

A tensor travels in frames of at most the medium's MTU. While one frame is on the wire the next is encoded,
and the one before it is checked and answered. The frames of one tensor follow those of the one before
without a gap. All functions take numbers or arrays of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from synergyc.plan.problem import PlanLink
    from synergyc.targets import Chip

Values = npt.NDArray[np.float64]


_UART_BITS = 10
"""Of a byte between chip and radio module: start bit, eight data bits, stop bit."""


@dataclass(frozen=True)
class TransferCost:
    """Times of one hand-off in microseconds; numbers, or arrays of one shape.

    ``send_us`` and ``receive_us`` are CPU time for all frames, ``wire_us`` the frames' time on the line,
    ``answers_us`` that of the acknowledgements in the other direction. ``begin_us`` passes until the first
    frame is on the line, ``decode_us`` from the last one until the tensor is there. A radio module takes a
    whole frame from its UART before it sends, and gives one on when it is complete: ``hop_us`` for the first
    frame in and the last one out. ``sender_uj`` and ``receiver_uj`` are what the transceivers of both ends
    take for frames and acknowledgements.
    """

    frames: Values
    wire_us: Values
    send_us: Values
    receive_us: Values
    answers_us: Values
    begin_us: Values
    decode_us: Values
    hop_us: Values
    sender_uj: Values
    receiver_uj: Values

    @property
    def flow_us(self) -> Values:
        """Time of all frames through the slowest of sender, wire and receiver: what the link is taken for."""
        return np.maximum(np.maximum(self.wire_us, self.send_us), self.receive_us)

    @property
    def latency_us(self) -> Values:
        """Time from a tensor that is ready to be sent to one that is ready to be used."""
        return self.begin_us + self.hop_us + self.flow_us + self.decode_us


def transfer_cost(size_bytes: float | Values, link: PlanLink, source: Chip, target: Chip) -> TransferCost:
    """Return what a hand-off of ``size_bytes`` of payload takes on ``link``."""
    medium, cpu = link.medium, link.medium.cpu
    size = np.asarray(size_bytes, dtype=np.float64)
    frames = np.maximum(np.ceil(size / medium.mtu_bytes), 1.0)
    byte_us = medium.bits_per_byte * 1000.0 / link.rate_kbps
    wire_bytes = size + frames * medium.frame_overhead_bytes
    first_bytes = np.minimum(size, medium.mtu_bytes)
    last_bytes = size - (frames - 1) * medium.mtu_bytes + medium.frame_overhead_bytes
    hop_us = np.zeros_like(size)
    if medium.uart_kbps is not None:
        on_uart = first_bytes + medium.frame_overhead_bytes + last_bytes - 2 * medium.air_overhead_bytes
        hop_us = on_uart * _UART_BITS * 1000.0 / medium.uart_kbps
    wire_us = wire_bytes * byte_us
    answers_us = np.ceil(frames / medium.answered_frames) * medium.answer_bytes * byte_us
    source_mhz, target_mhz = source.clocks.cpu_hz / 1e6, target.clocks.cpu_hz / 1e6
    return TransferCost(
        frames=frames,
        wire_us=wire_us,
        send_us=(wire_bytes * cpu.send_byte + frames * cpu.send_frame) / source_mhz,
        receive_us=(wire_bytes * cpu.receive_byte + frames * cpu.receive_frame) / target_mhz,
        answers_us=answers_us,
        begin_us=(first_bytes * cpu.begin_byte + cpu.begin) / source_mhz,
        hop_us=hop_us,
        decode_us=(last_bytes * cpu.decode_byte + cpu.finish) / target_mhz,
        sender_uj=(wire_us * medium.send_mw + answers_us * medium.receive_mw) / 1000,
        receiver_uj=(wire_us * medium.receive_mw + answers_us * medium.send_mw) / 1000,
    )
