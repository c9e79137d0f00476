"""GPIO: outputs that can be observed, inputs that can be driven, interrupts.

Source: MSDK gpio_regs.h. Alternate functions are kept as settings; peripherals do not look at them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from synergyc.emulate.peripherals.base import Peripheral

_OUTEN, _OUT, _IN, _INTMODE, _INTPOL, _INTEN, _INTFL, _DUALEDGE = (
    0x0C,
    0x18,
    0x24,
    0x28,
    0x2C,
    0x34,
    0x40,
    0x5C,
)
_INTFL_CLEAR = 0x48
# A register, and those that set and clear single bits of it.
_SET_CLEAR = {
    0x04: (0x00, True),
    0x08: (0x00, False),
    0x10: (_OUTEN, True),
    0x14: (_OUTEN, False),
    0x1C: (_OUT, True),
    0x20: (_OUT, False),
    0x38: (_INTEN, True),
    0x3C: (_INTEN, False),
    0x50: (0x4C, True),
    0x54: (0x4C, False),
    0x6C: (0x68, True),
    0x70: (0x68, False),
    0x78: (0x74, True),
    0x7C: (0x74, False),
    0x84: (0x80, True),
    0x88: (0x80, False),
}
_PULL_UP_ENABLE, _PULL_SELECT = 0x60, 0xB8


class Gpio(Peripheral):
    """A port of up to 32 pins; ``on_output(at_ps, levels)`` is called when output levels change."""

    registers: ClassVar[dict[int, str]] = {
        0x00: "EN0",
        0x0C: "OUTEN",
        0x18: "OUT",
        0x24: "IN",
        0x28: "INTMODE",
        0x2C: "INTPOL",
        0x30: "INEN",
        0x34: "INTEN",
        0x40: "INTFL",
        0x4C: "WKEN",
        0x5C: "DUALEDGE",
        0x60: "PADCTRL0",
        0x64: "PADCTRL1",
        0x68: "EN1",
        0x74: "EN2",
        0x80: "EN3",
        0xA8: "HYSEN",
        0xAC: "SRSEL",
        0xB0: "DS0",
        0xB4: "DS1",
        0xB8: "PS",
        0xC0: "VSSEL",
        **{offset: f"set or clear at 0x{offset:X}" for offset in _SET_CLEAR},
        _INTFL_CLEAR: "INTFL_CLR",
    }
    on_output: Callable[[int, int], None] | None = None

    def reset(self) -> None:
        """See :class:`Peripheral`; pins are inputs in GPIO mode."""
        self._values = {0x00: 0xFFFF_FFFF}
        self._outputs_before = getattr(self, "_outputs_before", 0)
        self._driven: dict[int, bool] = getattr(self, "_driven", {})
        self._flags = 0
        self._input_before = self._input()
        self._update_irq()
        self._output_changed()

    @property
    def outputs(self) -> int:
        """Levels of the pins that are driven as outputs; others read 0."""
        return self._values.get(_OUT, 0) & self._values.get(_OUTEN, 0)

    def drive(self, pin: int, level: bool | None) -> None:
        """Set the level at an input pin from outside; None leaves it to the pad's pull resistor."""
        if level is None:
            self._driven.pop(pin, None)
        else:
            self._driven[pin] = level
        self._input_changed()

    def read(self, offset: int) -> int:
        """See :class:`Peripheral`."""
        self._check(offset, 0)
        if offset == _IN:
            return self._input()
        if offset == _INTFL:
            return self._flags
        base = _SET_CLEAR.get(offset, (offset, True))[0]
        return self._values.get(base, 0)

    def write(self, offset: int, value: int) -> None:
        """See :class:`Peripheral`."""
        self._check(offset, value)
        if offset == _INTFL_CLEAR:
            self._flags &= ~value
        elif offset in _SET_CLEAR:
            base, sets = _SET_CLEAR[offset]
            before = self._values.get(base, 0)
            self._values[base] = before | value if sets else before & ~value
        elif offset not in (_IN, _INTFL):
            self._values[offset] = value
        self._input_changed()
        self._output_changed()

    def _check(self, offset: int, value: int) -> None:
        if offset not in self.registers:
            raise self.not_modelled(offset, value, "register is not modelled")

    def _input(self) -> int:
        output_enable = self._values.get(_OUTEN, 0)
        # A pull resistor that is on pulls to the level selected by PS.
        levels = self._values.get(_PULL_UP_ENABLE, 0) & self._values.get(_PULL_SELECT, 0)
        for pin, level in self._driven.items():
            levels = levels | 1 << pin if level else levels & ~(1 << pin)
        return levels & ~output_enable | self.outputs

    def _output_changed(self) -> None:
        if self.outputs != self._outputs_before:
            self._outputs_before = self.outputs
            if self.on_output is not None:
                self.on_output(self.services.timeline.now_ps, self.outputs)

    def _input_changed(self) -> None:
        """Set interrupt flags: on edges, or while the level lasts."""
        before, now = self._input_before, self._input()
        self._input_before = now
        polarity, edge_mode = self._values.get(_INTPOL, 0), self._values.get(_INTMODE, 0)
        changed = before ^ now
        edges = changed & (self._values.get(_DUALEDGE, 0) | ~(now ^ polarity))
        levels = ~(now ^ polarity)
        active = (edges & edge_mode | levels & ~edge_mode) & 0xFFFF_FFFF
        self._flags |= active & self._values.get(_INTEN, 0)
        self._update_irq()

    def _update_irq(self) -> None:
        self.set_irq(bool(self._flags & self._values.get(_INTEN, 0)))
