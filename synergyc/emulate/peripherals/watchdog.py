"""Watchdog: late interrupt and late reset.

Source: MSDK wdt_regs.h. The windowed (early) limits are not modelled.
"""

from __future__ import annotations

from typing import ClassVar

from synergyc.emulate.peripherals.base import Peripheral
from synergyc.emulate.timeline import PS_PER_S, Event

_CTRL, _RST, _CLKSEL, _CNT = 0x0, 0x4, 0x8, 0xC
_ENABLE, _INT_LATE, _INT_ENABLE, _RESET_ENABLE = 1 << 8, 1 << 9, 1 << 10, 1 << 11
_CLOCK_READY, _WINDOW, _RESET_LATE = 1 << 28, 1 << 29, 1 << 31
_FEED = (0xA5, 0x5A)
_LONGEST_LOG2 = 31
"""INT_LATE_VAL and RST_LATE_VAL: 0 means 2^31 ticks, 15 means 2^16."""


class Watchdog(Peripheral):
    """Counts PCLK unless it is fed."""

    registers: ClassVar[dict[int, str]] = {_CTRL: "CTRL", _RST: "RST", _CLKSEL: "CLKSEL", _CNT: "CNT"}

    def reset(self) -> None:
        """See :class:`Peripheral`; the cause of a reset stays readable."""
        expired = getattr(self, "_expired", False)
        self._control = _RESET_LATE if expired else 0
        self._expired = False
        self._last_fed = 0
        self._since_ps = 0
        self._events: list[Event] = getattr(self, "_events", [])
        self._cancel()
        self.set_irq(False)

    def read(self, offset: int) -> int:
        """See :class:`Peripheral`."""
        if offset == _CTRL:
            return self._control | _CLOCK_READY
        if offset == _CNT:
            elapsed_ps = self.services.timeline.now_ps - self._since_ps
            return elapsed_ps * self._source_hz() // PS_PER_S if self._control & _ENABLE else 0
        return 0

    def write(self, offset: int, value: int) -> None:
        """See :class:`Peripheral`; feeding is writing 0xA5, then 0x5A, to RST."""
        if offset == _CTRL:
            if value & _WINDOW:
                raise self.not_modelled(offset, value, "the window mode is not modelled")
            started = value & _ENABLE and not self._control & _ENABLE
            self._control = value & ~_CLOCK_READY
            if started:
                self._since_ps = self.services.timeline.now_ps
            self._restart()
            self._update_irq()
        elif offset == _RST:
            if (self._last_fed, value & 0xFF) == _FEED:
                self._since_ps = self.services.timeline.now_ps
                self._restart()
            self._last_fed = value & 0xFF
        elif offset == _CLKSEL and value:
            raise self.not_modelled(offset, value, "only PCLK as the source is modelled")

    def clocks_changed(self) -> None:
        """See :class:`Peripheral`; the time already passed counts at the new rate."""
        self._restart()

    def _source_hz(self) -> int:
        return self.services.clocks.peripheral_hz

    def _ticks_ps(self, field: int) -> int:
        return (1 << _LONGEST_LOG2 - (self._control >> field & 0xF)) * PS_PER_S // self._source_hz()

    def _cancel(self) -> None:
        for event in self._events:
            event.cancel()
        self._events = []

    def _restart(self) -> None:
        self._cancel()
        if not self._control & _ENABLE:
            return
        timeline = self.services.timeline
        if self._control & _INT_ENABLE:
            self._events.append(timeline.schedule(self._since_ps + self._ticks_ps(0), self._on_interrupt))
        if self._control & _RESET_ENABLE:
            self._events.append(timeline.schedule(self._since_ps + self._ticks_ps(4), self._on_reset))

    def _on_interrupt(self, _at_ps: int) -> None:
        self._control |= _INT_LATE
        self._update_irq()

    def _on_reset(self, _at_ps: int) -> None:
        self._expired = True
        self.services.request_reset()

    def _update_irq(self) -> None:
        self.set_irq(bool(self._control & _INT_LATE and self._control & _INT_ENABLE))
