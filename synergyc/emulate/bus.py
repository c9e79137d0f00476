"""Address decoding: which peripheral answers to an address."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from synergyc.emulate.accelerator.errors import BusError, NotModelled
from synergyc.emulate.cpu import Bus
from synergyc.emulate.peripherals.base import Peripheral, Services

PAGE_BYTES = 0x1000
"""Granularity of mappings in the engine."""
_GRANULE_BITS = 9
"""The smallest register block of the family is 512 bytes (MAX78000: GPIO2 and GPIO3)."""
_APB_CYCLES = 2
"""A transfer of AMBA APB takes a setup and an access cycle of the peripheral clock."""


@dataclass(frozen=True)
class _Slot:
    """What answers in a granule: a peripheral, or another bus (``gates`` is None)."""

    name: str
    base: int
    read: Callable[..., int]
    write: Callable[..., None]
    gates: tuple[str, int] | None


class PeripheralBus:
    """The region with peripherals; a block without clock reads as 0 and ignores writes, with a warning."""

    def __init__(self, services: Services, warn: Callable[[str], None]) -> None:
        clocks = services.target.clocks
        self._clock = services.cpu.clock
        self._gates = services.clocks.gates
        self._wait_cycles = _APB_CYCLES * clocks.cpu_hz // clocks.peripheral_hz
        self._warn = warn
        self._slots: dict[int, _Slot] = {}

    def attach(self, peripheral: Peripheral) -> None:
        """Let a peripheral answer to its block's addresses."""
        register, bit = (peripheral.block.clock_bit if peripheral.gated else None) or ("", 0)
        block = peripheral.block
        slot = _Slot(peripheral.name, block.base, peripheral.read, peripheral.write, (register, 1 << bit))
        for granule in _granules(block.base, block.size_bytes):
            self._slots[granule] = slot

    def attach_bus(self, base: int, size_bytes: int, bus: Bus) -> None:
        """Let another bus answer to a range."""
        for granule in _granules(base, size_bytes):
            self._slots[granule] = _Slot("", 0, bus.read, bus.write, None)

    def pages(self) -> list[tuple[int, int]]:
        """Return (base, size in bytes) of the page-aligned ranges in which something answers."""
        return page_ranges((granule << _GRANULE_BITS, 1 << _GRANULE_BITS) for granule in self._slots)

    def read(self, address: int, size_bytes: int) -> int:
        """Return the register at ``address``, or the bytes of it that are asked for."""
        slot = self._slots.get(address >> _GRANULE_BITS)
        if slot is None:
            raise BusError(address, "no peripheral there")
        if slot.gates is None:
            return slot.read(address, size_bytes)
        self._clock.cycles += self._wait_cycles
        if self._gates.get(slot.gates[0], 0) & slot.gates[1]:
            self._warn(f"access to {slot.name} while its clock is off")
            return 0
        word = slot.read((address & ~3) - slot.base)
        return word if size_bytes == 4 else word >> 8 * (address & 3) & ((1 << 8 * size_bytes) - 1)

    def write(self, address: int, size_bytes: int, value: int) -> None:
        """Write the register at ``address``; only whole words can be written."""
        slot = self._slots.get(address >> _GRANULE_BITS)
        if slot is None:
            raise BusError(address, "no peripheral there")
        if slot.gates is None:
            slot.write(address, size_bytes, value)
            return
        self._clock.cycles += self._wait_cycles
        if self._gates.get(slot.gates[0], 0) & slot.gates[1]:
            self._warn(f"access to {slot.name} while its clock is off")
            return
        if size_bytes != 4 or address & 3:
            raise NotModelled(slot.name, address, value, f"write of {size_bytes} bytes to a 32-bit register")
        slot.write(address - slot.base, value)


def page_ranges(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the union of (base, size) ranges, widened to pages, as few ranges in order of address."""
    pages = sorted(
        {
            page
            for base, size in ranges
            for page in range(base // PAGE_BYTES, (base + size - 1) // PAGE_BYTES + 1)
        }
    )
    merged: list[tuple[int, int]] = []
    for page in pages:
        base = page * PAGE_BYTES
        if merged and sum(merged[-1]) == base:
            merged[-1] = (merged[-1][0], merged[-1][1] + PAGE_BYTES)
        else:
            merged.append((base, PAGE_BYTES))
    return merged


def _granules(base: int, size_bytes: int) -> range:
    return range(base >> _GRANULE_BITS, (base + size_bytes - 1 >> _GRANULE_BITS) + 1)
