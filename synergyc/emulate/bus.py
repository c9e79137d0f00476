"""Address decoding: which peripheral answers to an address."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from synergyc.emulate.accelerator.errors import BusError, NotModelled
from synergyc.emulate.cpu import Bus
from synergyc.emulate.peripherals.base import Peripheral, Services

PAGE_BYTES = 0x1000
"""Granularity of mappings in the engine."""
_GRANULE_BITS = 9
"""The smallest register block of the family is 512 bytes (MAX78000: GPIO2 and GPIO3)."""
_APB_CYCLES = 2
"""A transfer of AMBA APB takes a setup and an access cycle of the peripheral clock."""


class PeripheralBus:
    """The region with peripherals; a block whose clock is off reads as 0 and ignores writes, with a warning."""

    def __init__(self, services: Services, warn: Callable[[str], None]) -> None:
        self._services = services
        self._warn = warn
        self._blocks: dict[int, Peripheral | Bus] = {}

    def attach(self, peripheral: Peripheral) -> None:
        """Let a peripheral answer to its block's addresses."""
        for granule in _granules(peripheral.block.base, peripheral.block.size_bytes):
            self._blocks[granule] = peripheral

    def attach_bus(self, base: int, size_bytes: int, bus: Bus) -> None:
        """Let another bus answer to a range."""
        for granule in _granules(base, size_bytes):
            self._blocks[granule] = bus

    def pages(self) -> list[tuple[int, int]]:
        """Return (base, size in bytes) of the page-aligned ranges in which something answers."""
        return page_ranges((granule << _GRANULE_BITS, 1 << _GRANULE_BITS) for granule in self._blocks)

    def read(self, address: int, size_bytes: int) -> int:
        """Return the register at ``address``, or the bytes of it that are asked for."""
        block = self._find(address)
        if not isinstance(block, Peripheral):
            return block.read(address, size_bytes)
        self._wait()
        if self._is_off(block):
            return 0
        word = block.read((address & ~3) - block.block.base)
        return word >> 8 * (address & 3) & ((1 << 8 * size_bytes) - 1)

    def write(self, address: int, size_bytes: int, value: int) -> None:
        """Write the register at ``address``; only whole words can be written."""
        block = self._find(address)
        if not isinstance(block, Peripheral):
            block.write(address, size_bytes, value)
            return
        self._wait()
        if self._is_off(block):
            return
        if size_bytes != 4 or address & 3:
            raise NotModelled(block.name, address, value, f"write of {size_bytes} bytes to a 32-bit register")
        block.write(address - block.block.base, value)

    def _find(self, address: int) -> Peripheral | Bus:
        block = self._blocks.get(address >> _GRANULE_BITS)
        if block is None:
            raise BusError(address, "no peripheral there")
        return block

    def _is_off(self, peripheral: Peripheral) -> bool:
        off = peripheral.gated and self._services.clocks.is_gated(peripheral.block.clock_bit)
        if off:
            self._warn(f"access to {peripheral.name} while its clock is off")
        return off

    def _wait(self) -> None:
        clocks = self._services.clocks
        self._services.timeline.stall(_APB_CYCLES * clocks.system_hz // clocks.peripheral_hz)


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
