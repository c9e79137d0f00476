"""GCFR: power, memory power, isolation and reset of the accelerator's quadrants.

Source: MSDK gcfr_regs.h; the order in which software uses it is that of the generated cnn_enable().
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from synergyc import targets
from synergyc.emulate.peripherals.base import Peripheral, Services

_POWER, _MEMORY, _ISOLATION, _RESET = 0x0, 0x4, 0x8, 0xC


class AcceleratorPower(Peripheral):
    """Tells the accelerator which quadrants work: powered, with memory, not isolated and not in reset."""

    registers: ClassVar[dict[int, str]] = {
        _POWER: "REG0",
        _MEMORY: "REG1",
        _ISOLATION: "REG2",
        _RESET: "REG3",
    }

    def __init__(
        self, name: str, block: targets.Peripheral, services: Services, set_power: Callable[[int], None]
    ) -> None:
        self._set_power = set_power
        self._all = (1 << services.target.cnn.quadrants) - 1
        super().__init__(name, block, services)

    def reset(self) -> None:
        """See :class:`Peripheral`."""
        self._values = {_POWER: 0, _MEMORY: 0, _ISOLATION: self._all, _RESET: self._all}
        self._working = 0
        self._set_power(0)

    def read(self, offset: int) -> int:
        """See :class:`Peripheral`."""
        if offset not in self._values:
            raise self.not_modelled(offset, 0, "register is not modelled")
        return self._values[offset]

    def write(self, offset: int, value: int) -> None:
        """See :class:`Peripheral`."""
        if offset not in self._values:
            raise self.not_modelled(offset, value, "register is not modelled")
        self._values[offset] = value
        values = self._values
        working = values[_POWER] & values[_MEMORY] & ~values[_ISOLATION] & ~values[_RESET] & self._all
        if working != self._working:
            self._working = working
            self._set_power(working)
