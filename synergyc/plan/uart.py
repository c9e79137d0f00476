"""A UART of the firmware as the schedule plays it: a ring buffer that DMA empties piece by piece."""

from __future__ import annotations

from collections.abc import Callable

from synergyc.plan.clock import Clock
from synergyc.targets import Runtime


class Uart:
    """Bytes leave in the order in which they were written, one in ``byte_us``.

    The DMA channel is given what is in the ring when it becomes free, up to the ring's end; the room of a
    piece is free again, and ``on_sent`` is called, when all of it is in the UART's FIFO
    (``templates/firmware/port_uart.c.j2``).
    """

    def __init__(
        self, clock: Clock, ring_bytes: int, byte_us: float, on_sent: Callable[[], None], runtime: Runtime
    ) -> None:
        self.byte_us = byte_us
        self._clock, self._ring_bytes, self._on_sent = clock, ring_bytes, on_sent
        self._put_bytes, self._ahead_us = runtime.text_bytes, (runtime.uart_fifo_bytes + 1) * byte_us
        self._head = self._tail = self._piece = 0
        self._free_us = 0.0
        """When all bytes that were written are sent."""
        self._line_us = 0.0
        """When all bytes that DMA was given are sent."""
        self._coming = 0
        """Bytes of a text that is being written."""
        self._began_us = self._lasting_us = 0.0

    @property
    def room(self) -> int:
        """Free bytes of the ring."""
        return self._ring_bytes - (self._head - self._tail) - self._coming

    def write(self, count: int) -> float:
        """Put bytes into the ring; return when the first one is on the line. There must be room."""
        self._head += count
        begin_us = max(self._clock.now_us, self._free_us)
        self._free_us = begin_us + count * self.byte_us
        self._send_more()
        return begin_us

    def begin_text(self, count: int, lasting_us: float) -> float:
        """Write bytes one after the other for so long; return when the first one is on the line."""
        self._coming, self._lasting_us, self._began_us = count - 1, lasting_us, self._clock.now_us
        begin_us = self.write(1)
        self._free_us += self._coming * self.byte_us
        return begin_us

    def end_text(self) -> None:
        """Note that all bytes of the text are in the ring."""
        self._head += self._coming
        self._coming = 0
        self._send_more()

    def _here(self) -> int:
        """Return up to which byte the ring is filled."""
        if not self._coming:
            return self._head
        share = (self._clock.now_us - self._began_us) / self._lasting_us
        return self._head + min(self._coming, int(share * self._coming))

    def _send(self) -> None:
        end = min(self._here(), self._tail - self._tail % self._ring_bytes + self._ring_bytes)
        self._piece = end - self._tail
        if self._piece:
            now_us = self._clock.now_us
            self._line_us = max(now_us, self._line_us) + self._piece * self.byte_us
            self._clock.at(max(now_us, self._line_us - self._ahead_us), self._sent)
        elif self._coming:
            next_us = self._put_bytes * self._lasting_us / self._coming
            self._clock.at(self._clock.now_us + next_us, self._send_more)

    def _send_more(self) -> None:
        if not self._piece:
            self._send()

    def _sent(self) -> None:
        self._tail += self._piece
        self._send()
        self._on_sent()
