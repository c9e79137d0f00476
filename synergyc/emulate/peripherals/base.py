"""What every peripheral has, and what it may use of its chip."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from synergyc import targets
from synergyc.emulate.accelerator.errors import NotModelled
from synergyc.emulate.clocks import ClockTree
from synergyc.emulate.cpu import Cpu
from synergyc.emulate.timeline import Timeline


@dataclass(frozen=True)
class Services:
    """The chip as its peripherals see it."""

    target: targets.Chip
    timeline: Timeline
    clocks: ClockTree
    cpu: Cpu
    """Memory contents, for peripherals that read or write memory by themselves."""
    set_irq: Callable[[int, bool], None]
    """Sets the level of an interrupt line by its NVIC number."""
    reset_blocks: Callable[[str, int], None]
    """Resets the blocks whose bits are set in a reset register."""
    request_reset: Callable[[], None]
    """Resets the chip before its next instruction block."""


class Peripheral(ABC):
    """A block of 32-bit registers, by offset from the block's base address.

    ``read`` and ``write`` raise NotModelled for registers and modes that are not modelled.
    """

    registers: ClassVar[dict[int, str]] = {}
    """Names by offset, for messages; subclasses list all registers they know."""
    gated = True
    """Whether the block is out of reach while its clock is off."""

    def __init__(self, name: str, block: targets.Peripheral, services: Services) -> None:
        self.name = name
        self.block = block
        self.services = services
        self.reset()

    @abstractmethod
    def reset(self) -> None:
        """Return to the state after reset."""

    @abstractmethod
    def read(self, offset: int) -> int:
        """Return the register at ``offset``."""

    @abstractmethod
    def write(self, offset: int, value: int) -> None:
        """Write the register at ``offset``."""

    def clocks_changed(self) -> None:  # noqa: B027 - most peripherals have nothing to do
        """Adapt to changed clock frequencies."""

    def set_irq(self, level: bool, channel: int = 0) -> None:
        """Set the interrupt line, or that of a channel when each has its own."""
        if self.block.irq is not None:
            self.services.set_irq(self.block.irq + channel, level)

    def not_modelled(self, offset: int, value: int, reason: str) -> NotModelled:
        """Return the error for a register or mode that is not modelled."""
        register = f"{self.name} {self.registers.get(offset, f'register 0x{offset:X}')}"
        return NotModelled(register, self.block.base + offset, value, reason)


class Storage(Peripheral):
    """Registers that keep what is written and have no effect on programs: voltages, trims, caches.

    For the blocks that start-up code sets once and that matter only on silicon. ``fixed`` bits read as 1.
    """

    fixed: ClassVar[dict[int, int]] = {}

    def reset(self) -> None:
        """See :class:`Peripheral`."""
        self._values: dict[int, int] = {}

    def read(self, offset: int) -> int:
        """See :class:`Peripheral`."""
        return self._values.get(offset, 0) | self.fixed.get(offset, 0)

    def write(self, offset: int, value: int) -> None:
        """See :class:`Peripheral`."""
        self._values[offset] = value
