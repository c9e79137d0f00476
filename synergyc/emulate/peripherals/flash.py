"""FLC: the flash controller; page erase, mass erase, writes of 32 and 128 bits.

Source: MSDK flc_regs.h, flc_reva.c. Operations are done at once; their time is not modelled. Addresses may
be given as the CPU sees them or counted from the start of flash, as the MSDK does.
"""

from __future__ import annotations

from typing import ClassVar

from synergyc.emulate.peripherals.base import Peripheral

_ADDR, _CLKDIV, _CTRL, _INTR = 0x00, 0x04, 0x08, 0x24
_DATA = (0x30, 0x34, 0x38, 0x3C)
_WRITE, _MASS_ERASE, _PAGE_ERASE, _WIDTH_32 = 1 << 0, 1 << 1, 1 << 2, 1 << 4
_COMMANDS = _WRITE | _MASS_ERASE | _PAGE_ERASE
_ERASE_PAGE, _ERASE_ALL, _UNLOCKED = 0x55, 0xAA, 2
_DONE, _ACCESS_FAIL, _DONE_ENABLE, _FAIL_ENABLE = 1 << 0, 1 << 1, 1 << 8, 1 << 9


class FlashController(Peripheral):
    """Changes the contents of flash when it is unlocked; otherwise it reports a failed access."""

    registers: ClassVar[dict[int, str]] = {
        _ADDR: "ADDR",
        _CLKDIV: "CLKDIV",
        _CTRL: "CTRL",
        _INTR: "INTR",
        **{offset: f"DATA{index}" for index, offset in enumerate(_DATA)},
        0x2C: "ECCDATA",
        0x40: "ACTRL",
    }

    def reset(self) -> None:
        """See :class:`Peripheral`."""
        self._values = {_CLKDIV: 100}
        self._update_irq()

    def read(self, offset: int) -> int:
        """See :class:`Peripheral`."""
        if offset not in self.registers:
            raise self.not_modelled(offset, 0, "register is not modelled")
        return self._values.get(offset, 0)

    def write(self, offset: int, value: int) -> None:
        """See :class:`Peripheral`."""
        if offset not in self.registers or offset in (0x2C, 0x40):
            raise self.not_modelled(offset, value, "register is not modelled")
        if offset == _CTRL:
            self._values[_CTRL] = value & ~_COMMANDS
            if value & _COMMANDS:
                done = value >> 28 == _UNLOCKED and self._execute(value)
                self._values[_INTR] = self._values.get(_INTR, 0) | (_DONE if done else _DONE | _ACCESS_FAIL)
        elif offset == _INTR:
            # Flags are cleared by writing 0, and cannot be set.
            flags = self._values.get(_INTR, 0) & (_DONE | _ACCESS_FAIL) & value
            self._values[_INTR] = flags | value & (_DONE_ENABLE | _FAIL_ENABLE)
        else:
            self._values[offset] = value
        self._update_irq()

    def _execute(self, control: int) -> bool:
        """Carry out a command; return False for a wrong erase code or address."""
        flash, cpu = self.services.target.flash, self.services.cpu
        code = control >> 8 & 0xFF
        address = self._values.get(_ADDR, 0)
        offset = address - flash.base if address >= flash.base else address
        if control & _MASS_ERASE:
            if code != _ERASE_ALL:
                return False
            cpu.write_memory(flash.base, b"\xff" * flash.size_bytes)
        elif not 0 <= offset < flash.size_bytes:
            return False
        elif control & _PAGE_ERASE:
            if code != _ERASE_PAGE:
                return False
            page = flash.base + offset // flash.page_size_bytes * flash.page_size_bytes
            cpu.write_memory(page, b"\xff" * flash.page_size_bytes)
        else:
            words = 1 if control & _WIDTH_32 else 4
            start = flash.base + offset // (4 * words) * 4 * words
            # Programming can only turn ones into zeros.
            old = cpu.read_words(start, words)
            data = tuple(before & self._values.get(_DATA[index], 0) for index, before in enumerate(old))
            cpu.write_words(start, data)
        cpu.forget_code()
        return True

    def _update_irq(self) -> None:
        value = self._values.get(_INTR, 0)
        self.set_irq(bool(value & 3 & value >> 8))
