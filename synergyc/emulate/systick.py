"""The system timer: a 24-bit down counter in the core.

Source: ARMv7-M Architecture Reference Manual (ARM DDI 0403), B3.3.
"""

from __future__ import annotations

from collections.abc import Callable

from synergyc.emulate.accelerator.errors import NotModelled
from synergyc.emulate.clock import BlockClock
from synergyc.emulate.timeline import Event, Timeline

_ENABLE, _TICKINT, _CLKSOURCE, _COUNTFLAG = 1, 2, 4, 1 << 16
_MASK = 0xFF_FFFF
_NO_REFERENCE = 1 << 31
"""CALIB: no separate reference clock."""


class SysTick:
    """Counts CPU cycles from LOAD to 0, again and again; ``pend`` raises its exception."""

    def __init__(self, clock: BlockClock, timeline: Timeline, pend: Callable[[], None]) -> None:
        self._clock = clock
        self._timeline = timeline
        self._pend = pend
        self._event: Event | None = None
        self.reset()

    def reset(self) -> None:
        """Stop and clear."""
        self._control = 0
        self._load = 0
        self._count_flag = False
        self._zero_cycle = 0
        """Cycle at which the running counter reaches 0 next."""
        self._stopped_value = 0
        self._cancel()

    def read(self, offset: int) -> int:
        """Return CTRL, LOAD, VAL or CALIB; reading CTRL clears COUNTFLAG."""
        if offset == 0:
            self._catch_up()
            flag, self._count_flag = self._count_flag, False
            return self._control | (_COUNTFLAG if flag else 0)
        if offset == 4:
            return self._load
        if offset == 8:
            return self._value()
        return _NO_REFERENCE

    def write(self, offset: int, value: int) -> None:
        """Write CTRL, LOAD or VAL; any write to VAL clears the counter and COUNTFLAG."""
        if offset == 0:
            if value & _ENABLE and not value & _CLKSOURCE:
                raise NotModelled(
                    "SysTick CTRL", 0xE000_E010, value, "the external reference clock is not modelled"
                )
            counter = self._value()
            self._control = value & (_ENABLE | _TICKINT | _CLKSOURCE)
            self._run_from(counter)
        elif offset == 4:
            self._load = value & _MASK
            self._reschedule()
        elif offset == 8:
            self._count_flag = False
            self._run_from(0)

    def clocks_changed(self) -> None:
        """Schedule the next wrap anew: cycles now take another time."""
        self._reschedule()

    def _run_from(self, counter: int) -> None:
        """Continue from a counter value; from 0 the first cycle loads LOAD."""
        self._stopped_value = counter
        self._zero_cycle = self._clock.cycles + (counter or self._load + 1)
        self._reschedule()

    def _value(self) -> int:
        if not self._control & _ENABLE:
            return self._stopped_value
        self._catch_up()
        remaining = self._zero_cycle - self._clock.cycles
        return 0 if remaining > self._load else remaining

    def _catch_up(self) -> None:
        """Count the wraps up to now; the counter stops at 0 when LOAD is 0."""
        if not self._control & _ENABLE or self._clock.cycles < self._zero_cycle or not self._load:
            return
        period = self._load + 1
        wraps = (self._clock.cycles - self._zero_cycle) // period + 1
        self._zero_cycle += wraps * period
        self._count_flag = True

    def _reschedule(self) -> None:
        self._cancel()
        if self._control & _ENABLE and self._control & _TICKINT and self._load:
            ahead = max(0, self._zero_cycle - self._clock.cycles)
            self._event = self._timeline.schedule(self._timeline.after_cycles(ahead), self._on_zero)

    def _on_zero(self, _at_ps: int) -> None:
        self._event = None
        before = self._zero_cycle
        self._catch_up()
        if self._zero_cycle != before:
            self._pend()
        self._reschedule()

    def _cancel(self) -> None:
        if self._event is not None:
            self._event.cancel()
            self._event = None
