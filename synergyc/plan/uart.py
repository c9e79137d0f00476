"""A UART of the firmware as the schedule plays it: a ring buffer that DMA empties piece by piece."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from typing import Any

import simpy


class Uart:
    """Bytes leave in the order in which they were written, one in ``byte_us``.

    The DMA channel is given what is in the ring when it becomes free, up to the ring's end; the room of a
    piece is free again when all of it was sent (``templates/firmware/port_uart.c.j2``).
    """

    def __init__(self, env: simpy.Environment, ring_bytes: int, byte_us: float) -> None:
        self.byte_us = byte_us
        self._env, self._ring_bytes = env, ring_bytes
        self._head = self._tail = 0
        self._marks: deque[tuple[int, simpy.Event]] = deque()
        self._waiting: deque[tuple[int, simpy.Event]] = deque()
        self._sending = False

    def room(self, count: int) -> simpy.Event:
        """Wait until ``count`` bytes are free; they are not reserved."""
        event = self._env.event()
        self._waiting.append((count, event))
        self._wake()
        return event

    def begin(self) -> simpy.Event:
        """Return what happens when all that was written so far has left."""
        event = self._env.event()
        if self._head == self._tail:
            event.succeed()
        else:
            self._marks.append((self._head, event))
        return event

    def write(self, count: int) -> simpy.Event:
        """Put bytes into the ring; return what happens when the last one has left."""
        self._head += count
        left = self.begin()
        if not self._sending:
            self._sending = True
            self._env.process(self._send())
        return left

    def _send(self) -> Generator[simpy.Event, Any, None]:
        while self._head != self._tail:
            end = min(self._head, self._tail - self._tail % self._ring_bytes + self._ring_bytes)
            at = self._tail
            while self._marks and self._marks[0][0] <= end:
                position, event = self._marks.popleft()
                yield self._env.timeout((position - at) * self.byte_us)
                at = position
                event.succeed()
            yield self._env.timeout((end - at) * self.byte_us)
            self._tail = end
            self._wake()
        self._sending = False

    def _wake(self) -> None:
        while self._waiting and self._waiting[0][0] <= self._ring_bytes - (self._head - self._tail):
            self._waiting.popleft()[1].succeed()
