"""The FIFOs that feed the first layer while the accelerator runs (docs/accelerator.md, 1, 3.5 and 5.1)."""

from __future__ import annotations

from synergyc.emulate.accelerator.errors import NotModelled

CONTROL, STATUS, DATA = 0, 4, 8
"""Offsets in the FIFO block; data of FIFO i at DATA + 4 * i."""
ENABLE_BIT = 12
"""Control bit of FIFO 0."""
FAST_CONTROL, FAST_STATUS, FAST_INTERRUPTS, FAST_FLAGS, FAST_DATA, FAST_DMA = range(0, 24, 4)
"""Offsets in the fast FIFO's block."""
FAST_QUADRANT = 0
"""Quadrant that the fast FIFO feeds."""


class Fifos:
    """One FIFO for each quadrant.

    Words are taken as fast as they come, so that none is ever full; how long the hardware holds words back
    when the first layers are slower than the source is not modelled.
    """

    def __init__(self, base: int, count: int) -> None:
        self._base = base
        self._count = count
        self.control = 0
        self.size_bytes = DATA + 4 * count
        self._frames: dict[int, list[int]] = {}
        self._frame_words = 0

    def open(self, quadrants: tuple[int, ...], frame_words: int) -> None:
        """Start to accept a frame of ``frame_words`` in the FIFO of each of ``quadrants``."""
        self._frames = {quadrant: [] for quadrant in quadrants}
        self._frame_words = frame_words

    def close(self) -> dict[int, list[int]]:
        """Return the frame by quadrant, and accept no more."""
        frames, self._frames = self._frames, {}
        return frames

    @property
    def enabled(self) -> tuple[int, ...]:
        """Quadrants whose FIFO is on."""
        return tuple(i for i in range(self._count) if self.control >> (ENABLE_BIT + i) & 1)

    @property
    def waiting(self) -> bool:
        """Whether a frame is expected and not complete."""
        return bool(self.missing)

    @property
    def missing(self) -> dict[int, tuple[int, int]]:
        """Words that came and words of a frame, by FIFO, where the frame is not complete."""
        wanted = self._frame_words
        return {i: (len(frame), wanted) for i, frame in self._frames.items() if len(frame) < wanted}

    def read(self, offset: int) -> int:
        """Return a register; no FIFO is ever full."""
        return self.control if offset == CONTROL else 0

    def write(self, offset: int, value: int) -> None:
        """Write the control register or push a word."""
        if offset == CONTROL:
            self.control = value
        elif offset >= DATA:
            self.push((offset - DATA) // 4, value)

    def push(self, index: int, value: int) -> None:
        """Push a word into FIFO ``index``; raises NotModelled if no layer waits for it."""
        frame = self._frames.get(index)
        if frame is None or len(frame) >= self._frame_words:
            reason = "a word is pushed while no running layer waits for it; the FIFO's depth is not known"
            raise NotModelled(f"FIFO {index}", self._base + DATA + 4 * index, value, reason)
        frame.append(value)

    def clear(self) -> None:
        """Forget everything: power was off."""
        self.control = 0
        self._frames = {}


class FastFifo:
    """The FIFO beside the main core's bus, which takes the place of the FIFO of quadrant 0.

    Its threshold, interrupts and DMA are not modelled; it is never full either.
    """

    def __init__(self, base: int, fifos: Fifos) -> None:
        self._base = base
        self._fifos = fifos
        self._control = 0

    def read(self, offset: int) -> int:
        """Return a register: never full, no flags."""
        return self._control if offset == FAST_CONTROL else 0

    def write(self, offset: int, value: int) -> None:
        """Write the control register or push a word; raises NotModelled for what else is asked for."""
        if offset == FAST_DATA:
            self._fifos.push(FAST_QUADRANT, value)
        elif offset == FAST_CONTROL:
            self._control = value
        elif value:
            reason = "interrupts, flags and DMA of the fast FIFO are not modelled"
            raise NotModelled("fast FIFO", self._base + offset, value, reason)

    def clear(self) -> None:
        """Forget everything: power was off."""
        self._control = 0
