"""Radio modules on UARTs that share one half-duplex channel.

A module collects what its UART brings up to a delimiter, a packet; it waits until the channel is free and
sends the packet, which every other module then passes on through its own UART. Packets go on air one at a
time, the one that has waited longest first: there are no collisions, as listening before talking and
acknowledged access would have it; loss is up to a fault hook.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field

from synergyc.emulate.peripherals.uart import Frame
from synergyc.emulate.timeline import PS_PER_S
from synergyc.emulate.wire import PacketFaults, WireStatistics

_FRAME_BITS = 10
_DELIMITER = 0
_GROUP_BYTES = 4
"""A module hands packets on filled up with delimiters to multiples of this."""
_BUFFER_BYTES = 4096
"""Bytes that a module holds of packets that wait for the channel; more are lost."""


@dataclass(frozen=True)
class Channel:
    """A channel that the UARTs ``ends``, as (board, UART), share through modules.

    A packet of n bytes takes ``(n + overhead_bytes) * 8 / rate_bps`` seconds on air.
    """

    ends: tuple[tuple[str, str], ...]
    uart_bd: float
    rate_bps: float
    overhead_bytes: int = 0
    faults: PacketFaults | None = None
    delay_ps: int = 0

    def air_ps(self, size_bytes: int) -> int:
        """Return how long a packet occupies the channel."""
        return int((size_bytes + self.overhead_bytes) * 8 * PS_PER_S / self.rate_bps)

    @property
    def byte_ps(self) -> int:
        """Return how long a byte takes on the UART of a module."""
        return int(_FRAME_BITS * PS_PER_S / self.uart_bd)

    @property
    def lookahead_ps(self) -> int:
        """Time by which a packet arrives at the earliest after the first bit of its last byte."""
        return self.byte_ps + self.air_ps(1)


Deliver = Callable[[Frame], None]


@dataclass
class ChannelState:
    """A channel while it is in use; ``deliver`` brings a byte to a board, by the board's name."""

    channel: Channel
    deliver: dict[str, Deliver]
    statistics: WireStatistics = field(default_factory=WireStatistics)
    """Packets."""
    busy_ps: dict[str, int] = field(default_factory=dict)
    """Time on air, by sender."""
    air_log: list[tuple[str, int, int]] = field(default_factory=list)
    """(sender, begin, end) of each packet, for timelines, when ``keep_log`` is set."""
    keep_log: bool = False
    _collected: dict[str, bytearray] = field(default_factory=dict)
    _waiting: list[tuple[int, int, str, bytes]] = field(default_factory=list)
    """Heap of packets that wait for the channel: (ready, number, sender, bytes)."""
    _packets: int = 0
    _free_ps: int = 0
    _uart_free_ps: dict[str, int] = field(default_factory=dict)

    def take(self, sender: str, frame: Frame) -> None:
        """Take a byte from a board's UART; at a delimiter the packet waits for the channel."""
        packet = self._collected.setdefault(sender, bytearray())
        value = frame.levels >> 1 & 0xFF
        if value == _DELIMITER and not packet:
            return  # delimiters between packets say nothing
        if len(packet) < _BUFFER_BYTES:
            packet.append(value)
        if value == _DELIMITER:
            self._packets += 1
            heapq.heappush(self._waiting, (frame.end_ps, self._packets, sender, bytes(packet)))
            packet.clear()

    @property
    def waiting_ps(self) -> int | None:
        """When the first byte began that made a packet ready that still waits; None if there is none.

        What such a packet brings about is not earlier than that of a board that becomes active then.
        """
        return self._waiting[0][0] - self.channel.byte_ps if self._waiting else None

    def is_due(self, until_ps: int | None) -> bool:
        """Return whether a packet waits before which no other can become ready.

        All boards have come to ``until_ps``; None: no board will do anything more.
        """
        return self.waiting_ps is not None and (until_ps is None or self.waiting_ps <= until_ps)

    def grant(self, until_ps: int | None) -> None:
        """Send the packets that are due, the one first that has waited longest."""
        while self.is_due(until_ps):
            ready_ps, _, sender, packet = heapq.heappop(self._waiting)
            self._send(sender, packet, ready_ps)

    def _send(self, sender: str, packet: bytes, ready_ps: int) -> None:
        begin_ps = max(ready_ps, self._free_ps)
        self._free_ps = begin_ps + self.channel.air_ps(len(packet))
        self.busy_ps[sender] = self.busy_ps.get(sender, 0) + self._free_ps - begin_ps
        if self.keep_log:
            self.air_log.append((sender, begin_ps, self._free_ps))
        for receiver in self.deliver:
            if receiver != sender:
                self._arrive(receiver, packet, self._free_ps + self.channel.delay_ps)

    def _arrive(self, receiver: str, packet: bytes, at_ps: int) -> None:
        """Pass a packet on through the receiver's module; it is lost or damaged for each receiver alone."""
        byte_ps = self.channel.byte_ps
        at_ps = max(at_ps, self._uart_free_ps.get(receiver, 0))
        self.statistics.sent += 1
        lost = damaged = False
        for value in packet + bytes(-len(packet) % _GROUP_BYTES):
            frame = Frame(at_ps, byte_ps, value << 1 | 1 << _FRAME_BITS - 1, _FRAME_BITS)
            arriving = frame if self.channel.faults is None else self.channel.faults(frame)
            lost |= arriving is None
            if arriving is not None:
                damaged |= arriving.levels != frame.levels
                self.deliver[receiver](arriving)
                at_ps += byte_ps
        self.statistics.lost += lost
        self.statistics.damaged += damaged
        self._uart_free_ps[receiver] = at_ps
