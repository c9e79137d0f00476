"""A UART wire between two boards, with hooks for faults."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from synergyc.emulate.peripherals.uart import Frame
from synergyc.emulate.timeline import PS_PER_S

_RATE_TOLERANCE = 1.03
"""A divided clock may miss its rate by this much; a UART that is faster breaks the wire's promise."""
_SHORTEST_FRAME_BITS = 7
"""Start bit, five data bits, stop bit."""


class Fault(Protocol):
    """Changes frames on a wire."""

    def __call__(self, frame: Frame) -> Frame | None:
        """Return the frame that arrives, or None when nothing does."""


@dataclass
class RandomFaults:
    """Loses or damages single frames (bytes) with given probabilities, the same ones for one seed."""

    seed: int
    loss: float = 0.0
    corrupt: float = 0.0
    _random: random.Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311 - repeatable on purpose

    def __call__(self, frame: Frame) -> Frame | None:
        """Return the frame, the frame with one data bit turned over, or None."""
        draw = self._random.random()
        if draw < self.loss:
            return None
        if draw < self.loss + self.corrupt:
            return frame._replace(levels=frame.levels ^ 1 << self._random.randrange(1, frame.bits - 1))
        return frame


@dataclass
class PacketFaults:
    """Loses or damages packets (bytes up to a delimiter) with given probabilities, the same for one seed.

    A lost packet does not arrive at all, a damaged one with one bit of one byte turned over.
    """

    seed: int
    loss: float = 0.0
    corrupt: float = 0.0
    delimiter: int = 0
    _random: random.Random = field(init=False, repr=False)
    _inside: bool = field(init=False, default=False, repr=False)
    _lost: bool = field(init=False, default=False, repr=False)
    _damage_in: int | None = field(init=False, default=None, repr=False)
    """Bytes of the packet before the one to damage; at its end, if the packet is shorter."""

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311 - repeatable on purpose

    def __call__(self, frame: Frame) -> Frame | None:
        """Return the byte as it arrives, or None."""
        last = frame.levels >> 1 & 0xFF == self.delimiter
        if not self._inside and not last:
            self._begin()
        self._inside = not last
        if self._lost:
            self._lost = self._inside
            return None
        if self._damage_in is None:
            return frame
        self._damage_in -= 1
        if self._damage_in >= 0 and self._inside:
            return frame
        self._damage_in = None
        return frame._replace(levels=frame.levels ^ 1 << self._random.randrange(1, frame.bits - 1))

    def _begin(self) -> None:
        draw = self._random.random()
        self._lost = draw < self.loss
        damaged = not self._lost and draw < self.loss + self.corrupt
        self._damage_in = int(self._random.expovariate(1 / _DAMAGE_MEAN_BYTES)) if damaged else None


_DAMAGE_MEAN_BYTES = 100
"""Mean position of damage in a packet."""


@dataclass(frozen=True)
class Wire:
    """A full-duplex wire between UARTs, given as (board, UART), for transmitters of up to ``rate_bd``.

    ``faults`` may change frames: one hook for each direction, from a to b and from b to a. ``delay_ps`` is
    what the wire adds to each frame's way.
    """

    a: tuple[str, str]
    b: tuple[str, str]
    rate_bd: float
    faults: tuple[Fault | None, Fault | None] = (None, None)
    delay_ps: int = 0

    @property
    def fastest_bd(self) -> float:
        """The rate at which a transmitter is refused."""
        return self.rate_bd * _RATE_TOLERANCE

    @property
    def lookahead_ps(self) -> int:
        """Time by which a byte arrives at the earliest after its first bit was sent."""
        return int(_SHORTEST_FRAME_BITS * PS_PER_S / self.fastest_bd)


@dataclass
class WireStatistics:
    """Frames on one direction of a wire."""

    sent: int = 0
    lost: int = 0
    damaged: int = 0


Deliver = Callable[[Frame], None]


def carry(
    frame: Frame, fault: Fault | None, statistics: WireStatistics, deliver: Deliver, delay_ps: int = 0
) -> None:
    """Take a frame through a wire's fault hook to its receiver."""
    statistics.sent += 1
    arriving = frame if fault is None else fault(frame)
    if arriving is None:
        statistics.lost += 1
        return
    statistics.damaged += arriving.levels != frame.levels
    deliver(arriving._replace(start_ps=arriving.start_ps + delay_ps) if delay_ps else arriving)
