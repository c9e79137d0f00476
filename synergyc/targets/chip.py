"""Chips, and the boards that carry them."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator

from synergyc.targets.accelerator import Cnn
from synergyc.targets.fields import NamedBit, Names, TargetData, as_tuple


class Memory(TargetData):
    """A memory in the CPU's address space."""

    base: int
    size_bytes: int
    page_size_bytes: int = 0
    """Smallest erasable unit; 0 where it does not apply."""


class Peripheral(TargetData):
    """A register block. ``kind`` names its programming model; ``irq`` is the NVIC interrupt number."""

    kind: str
    base: int
    size_bytes: int = 0x400
    irq: int | None = None
    clock_bit: NamedBit | None = None
    """Register of the clock controller and bit that gates this block's clock (1 = off)."""
    reset_bit: NamedBit | None = None
    """Register of the clock controller and bit that resets this block."""
    pins: NamedBit | None = None
    """GPIO port, and mask of the pins that carry its signals as their alternate function."""
    pin_function: int = 1
    """Number of that alternate function."""
    dma_transmit: int | None = None
    """Request number by which a DMA channel feeds a UART's transmitter."""


class Clocks(TargetData):
    """Clock tree of the CPU, as the firmware sets it."""

    cpu_hz: int
    peripheral_hz: int
    uart_cycles_per_bit: int
    """The fewest cycles of a UART's clock for a bit."""
    oscillators_hz: dict[str, int]


class Chip(TargetData):
    """A microcontroller."""

    name: str
    part: str
    cpu: str
    interrupts: int
    interrupt_priority_bits: int = 3
    """Implemented bits of an interrupt priority (MSDK: __NVIC_PRIO_BITS)."""
    flash: Memory
    sram: Memory
    clocks: Clocks
    peripherals: dict[str, Peripheral]
    cnn: Cnn

    def uart_clock_hz(self, uart: str) -> int:
        """Return the clock that the divider of ``uart`` divides: low-power UARTs run from IBRO."""
        low_power = self.peripherals[uart].kind == "lpuart"
        return self.clocks.oscillators_hz["ibro"] if low_power else self.clocks.peripheral_hz

    def uart_rate_bd(self, uart: str, wanted_bd: float) -> float:
        """Return the rate of ``uart`` that is nearest to ``wanted_bd``: its divider is a whole number."""
        clock_hz = self.uart_clock_hz(uart)
        return clock_hz / max(round(clock_hz / wanted_bd), self.clocks.uart_cycles_per_bit)


class Board(TargetData):
    """A board: a chip and what its pins are wired to."""

    name: str
    title: str
    chip: str
    console_uart: str
    console_rate_bd: int
    link_uarts: Names
    sensors: Names
    actuators: Names
    power_monitor: Annotated[tuple[str, int, int], BeforeValidator(as_tuple)] | None = None
    """GPIO port and pins that tell the board's power monitor: the system works, the accelerator works."""
