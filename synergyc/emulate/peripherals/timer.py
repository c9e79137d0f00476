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
_IRQ_ENABLE_B = 1 << 24
"""Set by the MSDK together with that of half A; without effect in the 32-bit form."""


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
        self._epoch_ps = 0
        """Time of tick 0 of the clock that runs now."""
        self._rate = (1, 1)
        """Ticks per second as a fraction: source frequency and prescaler."""
        self._count = 0
        self._tick = 0
        """The tick at which the counter was ``_count``."""
        event: Event | None = getattr(self, "_event", None)
        if event is not None:
            event.cancel()
        self._event: Event | None = None
        self._update_irq()

    def read(self, offset: int) -> int:
        """See :class:`Peripheral`; writes to the counter are done at once."""
        self._catch_up()
        if offset == _CNT:
            return self._count
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
        self._catch_up()
        if offset == _INTFL:
            self._flags &= ~(value & _IRQ_A)
        elif offset == _CNT:
            self._count = value & self._mask()
        elif offset == _CTRL0 and value & _RESET:
            self.reset()
            return
        elif offset in self._values:
            self._values[offset] = value & ~(_CLOCK_ON | _CLOCK_READY) if offset == _CTRL1 else value
        elif offset != _WKFL:
            raise self.not_modelled(offset, value, "register is not modelled")
        if offset in (_CTRL0, _CTRL1):
            self._check()
            self._restart_clock()
        self._update_irq()
        self._schedule()

    def clocks_changed(self) -> None:
        """See :class:`Peripheral`."""
        self._catch_up()
        self._restart_clock()
        self._schedule()

    def _check(self) -> None:
        control = self._values[_CTRL0]
        if control & _HALF_B or self._values[_CTRL1] & _HALF_B_CONTROL1 & ~_IRQ_ENABLE_B:
            raise self.not_modelled(_CTRL0, control, "the 16-bit half B is not modelled")
        if control & _ENABLE and control & 0xF not in _MODES:
            raise self.not_modelled(_CTRL0, control, f"mode {control & 0xF} is not modelled")

    def _mask(self) -> int:
        return 0xFFFF_FFFF if self._values[_CTRL1] & _CASCADE else 0xFFFF

    def _running(self) -> bool:
        control = self._values[_CTRL0]
        return bool(control & _ENABLE and control & _CLOCK_ENABLE)

    def _restart_clock(self) -> None:
        """Begin a tick now, at the rate that the registers say."""
        source = self.sources[self._values[_CTRL1] & 3]
        clocks = self.services.clocks
        source_hz = clocks.peripheral_hz if source == "pclk" else clocks.oscillators_hz[source]
        self._rate = (source_hz, 1 << (self._values[_CTRL0] >> 4 & 0xF))
        self._epoch_ps = self.services.timeline.now_ps
        self._tick = 0

    def _to_match(self) -> tuple[int, int]:
        """Return the ticks until the flag is set, and from then to the next time."""
        span = self._mask() + 1
        compare = self._values[_CMP] & self._mask()
        ahead = (compare - self._count) % span
        if self._values[_CTRL0] & 0xF == _COMPARE:
            return ahead or span, span
        # The count stays at the compare value for one tick, then becomes 1.
        return ahead + 1, compare or span

    def _catch_up(self) -> None:
        """Bring counter and flag to the present."""
        if not self._running():
            return
        source_hz, prescaler = self._rate
        now = (self.services.timeline.now_ps - self._epoch_ps) * source_hz // (PS_PER_S * prescaler)
        elapsed, self._tick = now - self._tick, now
        first, period = self._to_match()
        mode = self._values[_CTRL0] & 0xF
        if elapsed < first:
            self._count = (self._count + elapsed) & self._mask()
            return
        self._flags |= _IRQ_A
        if mode == _ONE_SHOT:
            self._count = 1
            self._values[_CTRL0] &= ~_ENABLE
        elif mode == _CONTINUOUS:
            self._count = 1 + (elapsed - first) % period
        else:
            self._count = (self._count + elapsed) & self._mask()

    def _schedule(self) -> None:
        """Let the next match interrupt; without an interrupt the flag is found when it is read."""
        if self._event is not None:
            self._event.cancel()
            self._event = None
        if self._running() and self._values[_CTRL1] & _IRQ_ENABLE:
            source_hz, prescaler = self._rate
            match = self._tick + self._to_match()[0]
            at_ps = self._epoch_ps - -match * PS_PER_S * prescaler // source_hz
            self._event = self.services.timeline.schedule(at_ps, self._on_match)

    def _on_match(self, _at_ps: int) -> None:
        self._event = None
        self._catch_up()
        self._update_irq()
        self._schedule()

    def _update_irq(self) -> None:
        self.set_irq(bool(self._flags & _IRQ_A and self._values[_CTRL1] & _IRQ_ENABLE))


class LowPowerTimer(Timer):
    """TMR4 and TMR5: other clock sources (tmr_ai85.c, MXC_TMR_Init)."""

    sources = ("ibro", "ertco", "inro", "inro")
