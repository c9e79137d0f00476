"""What brings bytes from one device to another in the schedule: wires, and channels of radio modules."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import simpy

from synergyc.plan.clock import Clock
from synergyc.plan.problem import PlanLink
from synergyc.plan.types import Span
from synergyc.plan.uart import Uart


@dataclass(frozen=True)
class Frame:
    """A frame of the link protocol; ``who`` is the run that it is of, ``content`` for whom it is."""

    source: str
    target: str
    count: int
    """Bytes between chip and line."""
    task: str
    who: tuple[str, int]
    content: Any


@dataclass
class _Arrival:
    begin_us: float
    byte_us: float
    frame: Frame
    read: int = 0
    end_us: float = field(init=False)

    def __post_init__(self) -> None:
        self.end_us = self.begin_us + self.frame.count * self.byte_us

    def come(self, now_us: float) -> int:
        """Return the bytes that have come, in the groups of four that interrupts collect."""
        if now_us >= self.end_us:
            return self.frame.count
        return max(0, int((now_us - self.begin_us) / self.byte_us)) & ~3


class Reception:
    """Bytes that come to a UART, until the main loop reads them."""

    def __init__(self, clock: Clock, on_frame: Callable[[Frame], None]) -> None:
        self.clock, self._on_frame = clock, on_frame
        self.is_open = False
        """Before its device has opened the UART, what comes is lost."""
        self._arrivals: deque[_Arrival] = deque()

    def arrive(self, frame: Frame, begin_us: float, byte_us: float) -> None:
        """Let a frame arrive from ``begin_us`` on; ``on_frame`` is called when its last byte is here."""
        if not self.is_open:
            return
        arrival = _Arrival(begin_us, byte_us, frame)
        self._arrivals.append(arrival)
        self.clock.at(arrival.end_us, lambda: self._on_frame(frame))

    def came(self, begin_us: float, end_us: float) -> float:
        """Return how many bytes of frames that are not read yet came within a time."""
        total = 0.0
        for item in self._arrivals:
            within_us = min(end_us, item.end_us) - max(begin_us, item.begin_us)
            total += max(0.0, within_us) / item.byte_us
        return total

    def read(self, most: int) -> tuple[int, list[Frame]]:
        """Take up to ``most`` bytes; return their number and the frames that they complete."""
        taken, frames = 0, []
        while self._arrivals and taken < most:
            first = self._arrivals[0]
            count = min(first.come(self.clock.now_us) - first.read, most - taken)
            first.read += count
            taken += count
            if first.read < first.frame.count:
                break
            frames.append(self._arrivals.popleft().frame)
        return taken, frames

    @property
    def unread(self) -> bool:
        """Whether a frame is here to its end, or as many bytes as are read at once."""
        if not self._arrivals:
            return False
        first, now_us = self._arrivals[0], self.clock.now_us
        return now_us >= first.end_us or first.come(now_us) - first.read >= READ_BYTES


READ_BYTES = 128
"""Bytes that the main loop takes from a UART at once: templates/firmware/link.c, ``poll_received``."""


class Wire:
    """A full-duplex wire between two UARTs."""

    def __init__(self, link: PlanLink, note: Callable[[Span], None]) -> None:
        self._link, self._note = link, note
        self.ends: dict[str, Reception] = {}

    def join(self, name: str, reception: Reception) -> None:
        """Let a device hear what is sent to it."""
        reception.clock.watches_all = True  # frames come without delay, from devices that others wake
        self.ends[name] = reception

    def send(self, frame: Frame, uart: Uart) -> None:
        """Take a frame that has room in the sender's ring."""
        begin_us = uart.write(frame.count)
        end_us = begin_us + frame.count * uart.byte_us
        self._note(Span(f"{frame.source}.{self._link.name}", *frame.who, frame.task, begin_us, end_us))
        self.ends[frame.target].arrive(frame, begin_us, uart.byte_us)


class Channel:
    """Radio modules on one channel, which goes to the one that has waited longest.

    Each takes a whole packet from its UART, and passes on what the others send, whoever it is for.
    """

    def __init__(self, env: simpy.Environment, link: PlanLink, note: Callable[[Span], None]) -> None:
        self._link, self._note = link, note
        self._air = Clock(env)
        self._free_us = 0.0
        self._passed_us: dict[str, float] = {}
        self.ends: dict[str, Reception] = {}

    def join(self, name: str, reception: Reception) -> None:
        """Let a device hear what others send."""
        reception.clock.watch(self._air)
        self.ends[name] = reception

    def send(self, frame: Frame, uart: Uart) -> None:
        """Take a frame that has room in the sender's ring."""
        ready_us = uart.write(frame.count) + frame.count * uart.byte_us
        self._air.at(ready_us, lambda: self._on_air(frame, uart.byte_us))

    def _on_air(self, frame: Frame, byte_us: float) -> None:
        medium = self._link.medium
        begin_us = max(self._air.now_us, self._free_us)
        air_bytes = frame.count + medium.air_overhead_bytes
        self._free_us = begin_us + air_bytes * medium.bits_per_byte * 1000.0 / self._link.rate_kbps
        self._note(Span(f"{self._link.name}.channel", *frame.who, frame.task, begin_us, self._free_us))
        for name, reception in self.ends.items():
            if name != frame.source:
                arrives_us = max(self._free_us, self._passed_us.get(name, 0.0))
                self._passed_us[name] = arrives_us + frame.count * byte_us
                reception.arrive(frame, arrives_us, byte_us)


Line = Wire | Channel
