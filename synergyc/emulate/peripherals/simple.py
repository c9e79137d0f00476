"""Small blocks: cache controller, regulator, random numbers, low-power clock control."""

from __future__ import annotations

import random
from typing import ClassVar

from synergyc import targets
from synergyc.emulate.peripherals.base import Peripheral, Services, Storage


class CacheController(Storage):
    """ICC: the cache is always ready; its effect is in the CPU's timing (MSDK icc_regs.h)."""

    registers: ClassVar[dict[int, str]] = {0x000: "INFO", 0x004: "SZ", 0x100: "CTRL", 0x700: "INVALIDATE"}
    fixed: ClassVar[dict[int, int]] = {0x004: 0x0008_0008, 0x100: 1 << 16}


class Regulator(Storage):
    """SIMO: all outputs are always ready (MSDK simo_regs.h, BUCK_OUT_READY)."""

    fixed: ClassVar[dict[int, int]] = {0x040: 0xF}


class Semaphores(Peripheral):
    """SEMA: eight semaphores, taken by reading (MSDK sema_regs.h); the second core is not modelled."""

    registers: ClassVar[dict[int, str]] = {
        **{4 * index: f"SEMAPHORES{index}" for index in range(8)},
        0x100: "STATUS",
    }

    def reset(self) -> None:
        """See :class:`Peripheral`."""
        self._taken = 0

    def read(self, offset: int) -> int:
        """See :class:`Peripheral`."""
        if offset == 0x100:
            return self._taken
        if offset >= 0x20:
            raise self.not_modelled(offset, 0, "messages to the second core are not modelled")
        bit = 1 << offset // 4
        was = bool(self._taken & bit)
        self._taken |= bit
        return int(was)

    def write(self, offset: int, value: int) -> None:
        """See :class:`Peripheral`."""
        if offset >= 0x20:
            raise self.not_modelled(offset, value, "messages to the second core are not modelled")
        self._taken &= ~(1 << offset // 4)


class RandomGenerator(Peripheral):
    """TRNG: a number is always ready (MSDK trng_regs.h).

    The sequence is the same in each run, but goes on over resets, and each board has its own.
    """

    registers: ClassVar[dict[int, str]] = {0x0: "CTRL", 0x4: "STATUS", 0x8: "DATA"}

    def __init__(self, name: str, block: targets.Peripheral, services: Services) -> None:
        self.seed(name)
        super().__init__(name, block, services)

    def seed(self, seed: str) -> None:
        """Begin another sequence."""
        self._random = random.Random(seed)  # noqa: S311 - wanted: the same in each run

    def reset(self) -> None:
        """See :class:`Peripheral`."""
        self._control = 0
        self._update_irq()

    def read(self, offset: int) -> int:
        """See :class:`Peripheral`."""
        if offset == 0x8:
            return self._random.getrandbits(32)
        return 1 if offset == 0x4 else self._control

    def write(self, offset: int, value: int) -> None:
        """See :class:`Peripheral`."""
        if offset == 0x0:
            if value & ~0x3:
                raise self.not_modelled(offset, value, "generating and wiping keys is not modelled")
            self._control = value
            self._update_irq()

    def _update_irq(self) -> None:
        self.set_irq(bool(self._control & 2))


class LowPowerClocks(Peripheral):
    """LPGCR: resets and clock gates of the low-power blocks (MSDK lpgcr_regs.h)."""

    registers: ClassVar[dict[int, str]] = {0x8: "RST", 0xC: "PCLKDIS"}

    def reset(self) -> None:
        """See :class:`Peripheral`."""
        self.services.clocks.gates["LPPCLKDIS"] = 0xFFFF_FFFF

    def read(self, offset: int) -> int:
        """See :class:`Peripheral`; resets are done at once."""
        if offset == 0xC:
            return self.services.clocks.gates["LPPCLKDIS"]
        if offset == 0x8:
            return 0
        raise self.not_modelled(offset, 0, "register is not modelled")

    def write(self, offset: int, value: int) -> None:
        """See :class:`Peripheral`."""
        if offset == 0xC:
            self.services.clocks.gates["LPPCLKDIS"] = value
        elif offset == 0x8:
            self.services.reset_blocks("LPRST", value)
        else:
            raise self.not_modelled(offset, value, "register is not modelled")


class Unmodelled(Peripheral):
    """A block that exists on the chip and not here: each access says so."""

    gated = False

    def reset(self) -> None:
        """See :class:`Peripheral`."""

    def read(self, offset: int) -> int:
        """See :class:`Peripheral`."""
        raise self.not_modelled(offset, 0, "peripheral is not modelled")

    def write(self, offset: int, value: int) -> None:
        """See :class:`Peripheral`."""
        raise self.not_modelled(offset, value, "peripheral is not modelled")
