"""GCR: the global clock and reset controller.

Source: MSDK gcr_regs.h and max7800x.svd. Oscillators are ready as soon as they are on. Clock gates are all
closed after reset: what the boot ROM leaves open is not documented, and firmware must not rely on it.
"""

from __future__ import annotations

from typing import ClassVar

from synergyc.emulate.peripherals.base import Peripheral

_RST0, _CLKCTRL, _PM, _IPLL, _PCLKDIV, _PCLKDIS0 = 0x04, 0x08, 0x0C, 0x10, 0x18, 0x24
_MEMZ, _RST1, _PCLKDIS1, _SYSCTRL = 0x2C, 0x44, 0x48, 0x00
_SYSTEM_RESETS = 0b111 << 29
"""RST0: SYS, PERIPH, SOFT."""

# CLKCTRL.SYSCLK_SEL, and the enable and ready bits of each oscillator.
_SYSTEM_SOURCES = {0: "iso", 1: "ipll", 2: "ebo", 3: "inro", 4: "ipo", 5: "ibro", 6: "ertco"}
_ENABLE_BITS = {"ertco": 17, "iso": 18, "ipo": 19, "ibro": 20}
_READY_BITS = {"ertco": 25, "iso": 26, "ipo": 27, "ibro": 28}
_SYSCLK_READY, _INRO_READY = 1 << 13, 1 << 29
_CLKCTRL_READ_ONLY = 0x3F00_2000
_CLKCTRL_RESET = 1 << _ENABLE_BITS["iso"] | 1 << _ENABLE_BITS["ibro"]
# PCLKDIV.CNNCLKDIV and CNNCLKSEL.
_CNN_DIVIDERS = {0: 2, 1: 4, 2: 8, 3: 16, 4: 1}
_CNN_SOURCES = {1: "iso", 3: "ipll"}
_SLEEP = 1
"""PM.MODE: sleep, the same as WFI in active mode."""
_ICC_FLUSH = 1 << 6
_REVISION = 0xA1


class ClockController(Peripheral):
    """Selects clocks, gates and resets blocks."""

    registers: ClassVar[dict[int, str]] = {
        0x00: "SYSCTRL",
        0x04: "RST0",
        0x08: "CLKCTRL",
        0x0C: "PM",
        0x10: "IPLL_CTRL",
        0x18: "PCLKDIV",
        0x24: "PCLKDIS0",
        0x28: "MEMCTRL",
        0x2C: "MEMZ",
        0x40: "SYSST",
        0x44: "RST1",
        0x48: "PCLKDIS1",
        0x4C: "EVENTEN",
        0x50: "REVISION",
        0x54: "SYSIE",
        0x64: "ECCERR",
        0x68: "ECCCED",
        0x6C: "ECCIE",
        0x70: "ECCADDR",
        0x80: "GPR",
    }

    def reset(self) -> None:
        """See :class:`Peripheral`."""
        self._values = {_CLKCTRL: _CLKCTRL_RESET, 0x50: _REVISION}
        gates = self.services.clocks.gates
        gates["PCLKDIS0"] = gates["PCLKDIS1"] = 0xFFFF_FFFF
        self._update_system_clock()
        self._update_cnn_clock()

    def read(self, offset: int) -> int:
        """See :class:`Peripheral`; resets, flushes and memory clears are done at once."""
        self._check(offset, 0)
        if offset in (_RST0, _RST1, _MEMZ):
            return 0
        if offset == _PCLKDIS0:
            return self.services.clocks.gates["PCLKDIS0"]
        if offset == _PCLKDIS1:
            return self.services.clocks.gates["PCLKDIS1"]
        value = self._values.get(offset, 0)
        if offset == _CLKCTRL:
            ready = sum(1 << _READY_BITS[name] for name, bit in _ENABLE_BITS.items() if value >> bit & 1)
            return value | ready | _SYSCLK_READY | _INRO_READY
        if offset == _IPLL:
            return value | (value & 1) << 1
        return value

    def write(self, offset: int, value: int) -> None:
        """See :class:`Peripheral`."""
        self._check(offset, value)
        if offset == _RST0 and value & _SYSTEM_RESETS:
            self.services.request_reset()
        elif offset in (_RST0, _RST1):
            self.services.reset_blocks(self.registers[offset], value)
        elif offset in (_PCLKDIS0, _PCLKDIS1):
            self.services.clocks.gates[self.registers[offset]] = value
        elif offset == _CLKCTRL:
            self._values[offset] = value & ~_CLKCTRL_READ_ONLY
            self._update_system_clock()
            self._update_cnn_clock()
        elif offset in (_PCLKDIV, _IPLL):
            self._values[offset] = value
            self._update_cnn_clock()
        elif offset == _PM and value & 0xF not in (0, _SLEEP):
            raise self.not_modelled(offset, value, "low-power modes other than sleep are not modelled")
        elif offset == _MEMZ:
            if value:
                raise self.not_modelled(offset, value, "clearing memories is not modelled")
        else:
            self._values[offset] = value & ~_ICC_FLUSH if offset == _SYSCTRL else value

    def _check(self, offset: int, value: int) -> None:
        if offset not in self.registers or (offset == _IPLL and not self._has_ipll()):
            raise self.not_modelled(offset, value, "register is not modelled")

    def _has_ipll(self) -> bool:
        return "ipll" in self.services.clocks.oscillators_hz

    def _update_system_clock(self) -> None:
        value = self._values[_CLKCTRL]
        source = _SYSTEM_SOURCES.get(value >> 9 & 7)
        clocks = self.services.clocks
        enable = _ENABLE_BITS.get(source or "")
        if source not in clocks.oscillators_hz or (enable is None and source != "inro"):
            raise self.not_modelled(_CLKCTRL, value, f"system clock from {source or 'a pin'} is not modelled")
        if enable is not None and not value >> enable & 1:
            raise self.not_modelled(_CLKCTRL, value, f"system clock from {source}, which is off")
        clocks.set_system(clocks.oscillators_hz[source] >> (value >> 6 & 7))

    def _update_cnn_clock(self) -> None:
        value = self._values.get(_PCLKDIV, 0)
        clocks = self.services.clocks
        divider = _CNN_DIVIDERS.get(value >> 14 & 7)
        selected = value >> 17 & (3 if self._has_ipll() else 1)
        source = _CNN_SOURCES.get(selected)
        if divider is None or (selected and source not in clocks.oscillators_hz):
            raise self.not_modelled(_PCLKDIV, value, "accelerator clock is not modelled")
        if source == "ipll" and not self._values.get(_IPLL, 0) & 1:  # generated programs end like that
            clocks.set_cnn(0)
            return
        source_hz = clocks.oscillators_hz[source] if source else clocks.peripheral_hz
        clocks.set_cnn(source_hz // divider)
