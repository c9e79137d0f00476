"""A UART wire between two boards, with hooks for faults."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
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
            return replace(frame, levels=frame.levels ^ 1 << self._random.randrange(1, frame.bits - 1))
        return frame


@dataclass(frozen=True)
class Wire:
    """A full-duplex wire between UARTs, given as (board, UART), for transmitters of up to ``rate_bd``.

    ``faults`` may change frames: one hook for each direction, from a to b and from b to a.
    """

    a: tuple[str, str]
    b: tuple[str, str]
    rate_bd: float
    faults: tuple[Fault | None, Fault | None] = (None, None)

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


def carry(frame: Frame, fault: Fault | None, statistics: WireStatistics, deliver: Deliver) -> None:
    """Take a frame through a wire's fault hook to its receiver."""
    statistics.sent += 1
    arriving = frame if fault is None else fault(frame)
    if arriving is None:
        statistics.lost += 1
        return
    statistics.damaged += arriving.levels != frame.levels
    deliver(arriving)
