"""Timers: 32-bit, one-shot, continuous and compare modes, interrupts.

Source: MSDK tmr_regs.h, tmr_revb.c, and tmr_ai85.c for the clock sources. The counter is not stepped: its
value follows from the time at which it was started.
"""

from __future__ import annotations

from typing import ClassVar

from synergyc.emulate.peripherals.base import Peripheral
from synergyc.emulate.timeline import PS_PER_S, Event

_CNT, _CMP, _PWM, _INTFL, _CTRL0, _NOLCMP, _CTRL1, _WKFL = range(0, 0x20, 4)
_IRQ_A, _WRITE_DONE = 1 << 0, 1 << 8 | 1 << 24
_RESET, _CLOCK_ENABLE, _ENABLE, _HALF_B = 1 << 13, 1 << 14, 1 << 15, 0xFFFF << 16
_CLOCK_ON, _CLOCK_READY, _IRQ_ENABLE, _CASCADE = 1 << 2, 1 << 3, 1 << 8, 1 << 31
_ONE_SHOT, _CONTINUOUS, _COMPARE = 0, 1, 5
_MODES = {_ONE_SHOT, _CONTINUOUS, _COMPARE}
_HALF_B_CONTROL1 = 0x1F7F_0000
_WRAP = 1 << 32


class Timer(Peripheral):
    """A timer in its 32-bit form (CTRL1.CASCADE), or its 16-bit half A."""

    registers: ClassVar[dict[int, str]] = {
        _CNT: "CNT",
        _CMP: "CMP",
        _PWM: "PWM",
        _INTFL: "INTFL",
        _CTRL0: "CTRL0",
        _NOLCMP: "NOLCMP",
        _CTRL1: "CTRL1",
        _WKFL: "WKFL",
    }
    sources: tuple[str, ...] = ("pclk", "iso", "ibro", "ertco")
    """CTRL1.CLKSEL_A: tmr_ai85.c, MXC_TMR_Init."""

    def reset(self) -> None:
        """See :class:`Peripheral`."""
        self._values = dict.fromkeys((_CMP, _PWM, _CTRL0, _NOLCMP, _CTRL1), 0)
        self._flags = 0
        self._count = 0
        """Counter value at ``_since_ps``."""
        self._since_ps = self.services.timeline.now_ps
        event: Event | None = getattr(self, "_event", None)
        if event is not None:
            event.cancel()
        self._event: Event | None = None
        self._rate = (1, 1)
        self._update_irq()

    def read(self, offset: int) -> int:
        """See :class:`Peripheral`; writes to the counter are done at once."""
        if offset == _CNT:
            return self._current()
        if offset == _INTFL:
            return self._flags | _WRITE_DONE
        if offset == _WKFL:
            return 0
        if offset not in self._values:
            raise self.not_modelled(offset, 0, "register is not modelled")
        value = self._values[offset]
        if offset == _CTRL1:
            control = self._values[_CTRL0]
            ready = _CLOCK_READY if control & _CLOCK_ENABLE else 0
            return value | ready | (_CLOCK_ON if control & _ENABLE else 0)
        return value

    def write(self, offset: int, value: int) -> None:
        """See :class:`Peripheral`."""
        if offset == _INTFL:
            self._flags &= ~(value & _IRQ_A)
            self._update_irq()
            return
        if offset == _WKFL:
            return
        if offset != _CNT and offset not in self._values:
            raise self.not_modelled(offset, value, "register is not modelled")
        self._count = self._current()
        self._since_ps = self.services.timeline.now_ps
        if offset == _CNT:
            self._count = value & self._mask()
        elif offset == _CTRL0 and value & _RESET:
            self.reset()
            return
        else:
            self._values[offset] = value & ~(_CLOCK_ON | _CLOCK_READY) if offset == _CTRL1 else value
        self._check()
        self._restart()

    def clocks_changed(self) -> None:
        """See :class:`Peripheral`."""
        self._count = self._current()
        self._since_ps = self.services.timeline.now_ps
        self._restart()

    def _check(self) -> None:
        control = self._values[_CTRL0]
        if control & _HALF_B or self._values[_CTRL1] & _HALF_B_CONTROL1 & ~(1 << 24):
            raise self.not_modelled(_CTRL0, control, "the 16-bit half B is not modelled")
        if control & _ENABLE and control & 0xF not in _MODES:
            raise self.not_modelled(_CTRL0, control, f"mode {control & 0xF} is not modelled")

    def _mask(self) -> int:
        return 0xFFFF_FFFF if self._values[_CTRL1] & _CASCADE else 0xFFFF

    def _running(self) -> bool:
        control = self._values[_CTRL0]
        return bool(control & _ENABLE and control & _CLOCK_ENABLE)

    def _tick_rate(self) -> tuple[int, int]:
        """Return ticks per second as a fraction: source frequency and prescaler."""
        source = self.sources[self._values[_CTRL1] & 3]
        clocks = self.services.clocks
        source_hz = clocks.peripheral_hz if source == "pclk" else clocks.oscillators_hz[source]
        return source_hz, 1 << (self._values[_CTRL0] >> 4 & 0xF)

    def _current(self) -> int:
        """Return the counter; at the compare value it has not yet been set back by the event."""
        if self._event is None:
            return self._count
        source_hz, prescaler = self._rate
        ticks = (self.services.timeline.now_ps - self._since_ps) * source_hz // (PS_PER_S * prescaler)
        return (self._count + ticks) & self._mask()

    def _restart(self) -> None:
        """Schedule the tick at which the counter passes its compare value, or its end."""
        if self._event is not None:
            self._event.cancel()
            self._event = None
        if not self._running():
            return
        self._rate = self._tick_rate()
        self._schedule_match()

    def _schedule_match(self) -> None:
        source_hz, prescaler = self._rate
        span = self._mask() + 1
        target = self._values[_CMP] & self._mask()
        ticks = (target - self._count) % span
        if self._mode() != _COMPARE:
            ticks += 1  # the count stays at the compare value for one tick, then becomes 1
        elif ticks == 0:
            ticks = span
        self._event = self.services.timeline.schedule(
            self._since_ps - -ticks * PS_PER_S * prescaler // source_hz, self._on_match
        )

    def _on_match(self, at_ps: int) -> None:
        self._event = None
        self._flags |= _IRQ_A
        self._update_irq()
        self._since_ps = at_ps
        self._count = self._values[_CMP] & self._mask() if self._mode() == _COMPARE else 1
        if self._mode() == _ONE_SHOT:
            self._values[_CTRL0] &= ~_ENABLE
        else:
            self._schedule_match()

    def _mode(self) -> int:
        return self._values[_CTRL0] & 0xF

    def _update_irq(self) -> None:
        self.set_irq(bool(self._flags & _IRQ_A and self._values[_CTRL1] & _IRQ_ENABLE))


class LowPowerTimer(Timer):
    """TMR4 and TMR5: other clock sources (tmr_ai85.c, MXC_TMR_Init)."""

    sources = ("ibro", "ertco", "inro", "inro")
