"""A UART of the firmware as the schedule plays it: a ring buffer that DMA empties piece by piece."""

from __future__ import annotations

from collections.abc import Callable

from synergyc.plan.clock import Clock


class Uart:
    """Bytes leave in the order in which they were written, one in ``byte_us``.

    The DMA channel is given what is in the ring when it becomes free, up to the ring's end; the room of a
    piece is free again, and ``on_sent`` is called, when all of it was sent
    (``templates/firmware/port_uart.c.j2``).
    """

    def __init__(self, clock: Clock, ring_bytes: int, byte_us: float, on_sent: Callable[[], None]) -> None:
        self.byte_us = byte_us
        self._clock, self._ring_bytes, self._on_sent = clock, ring_bytes, on_sent
        self._head = self._tail = self._piece = 0
        self._free_us = 0.0

    @property
    def room(self) -> int:
        """Free bytes of the ring."""
        return self._ring_bytes - (self._head - self._tail)

    def write(self, count: int) -> float:
        """Put bytes into the ring; return when the first one is on the line. There must be room."""
        self._head += count
        begin_us = max(self._clock.now_us, self._free_us)
        self._free_us = begin_us + count * self.byte_us
        if not self._piece:
            self._send()
        return begin_us

    def _send(self) -> None:
        end = min(self._head, self._tail - self._tail % self._ring_bytes + self._ring_bytes)
        self._piece = end - self._tail
        if self._piece:
            self._clock.at(self._clock.now_us + self._piece * self.byte_us, self._sent)

    def _sent(self) -> None:
        self._tail += self._piece
        self._send()
        self._on_sent()
