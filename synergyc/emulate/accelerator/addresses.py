"""The address map: which block a bus address belongs to (docs/accelerator.md, 1: base addresses)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from synergyc.targets import Cnn

PAGE_BITS = 12
PAGE_BYTES = 1 << PAGE_BITS
FAST_FIFO_BYTES = 0x18
"""CR, SR, IE, IS, DR, DMA (docs/accelerator.md, 5.1)."""


class Block(Enum):
    """What is at an address."""

    FIFO = "FIFO block"
    AON = "AON control"
    FAST_FIFO = "fast FIFO"
    REGISTERS = "registers"
    BIAS = "bias memory"
    TRAM = "line buffer"
    WEIGHTS = "weight memory"
    DATA = "data memory"


@dataclass(frozen=True)
class Window:
    """Addresses of one block; ``quadrant`` and ``unit`` (processor or data instance) say whose it is."""

    block: Block
    base: int
    size_bytes: int
    quadrant: int = -1
    unit: int = -1


class AddressMap:
    """Finds the window of an address."""

    def __init__(self, cnn: Cnn) -> None:
        addresses = cnn.addresses
        first, stride = addresses.quadrant.offset, addresses.quadrant.stride
        self.ranges: tuple[tuple[int, int], ...] = (
            (addresses.fifo, PAGE_BYTES),
            (addresses.aon, PAGE_BYTES),
            (addresses.fast_fifo, FAST_FIFO_BYTES),
            (first, cnn.quadrants * stride),
        )
        self._pages: dict[int, Window] = {}
        for window in _windows(cnn):
            last = window.base + window.size_bytes - 1
            for page in range(window.base >> PAGE_BITS, (last >> PAGE_BITS) + 1):
                self._pages[page] = window

    def find(self, address: int) -> Window | None:
        """Return the window that ``address`` is in, None where nothing answers."""
        window = self._pages.get(address >> PAGE_BITS)
        if window is None or not window.base <= address < window.base + window.size_bytes:
            return None
        return window


def _windows(cnn: Cnn) -> Iterator[Window]:
    addresses = cnn.addresses
    yield Window(Block.FIFO, addresses.fifo, PAGE_BYTES)
    yield Window(Block.AON, addresses.aon, PAGE_BYTES)
    yield Window(Block.FAST_FIFO, addresses.fast_fifo, FAST_FIFO_BYTES)
    for quadrant in range(cnn.quadrants):
        base = cnn.quadrant_base(quadrant)
        yield Window(Block.REGISTERS, base, addresses.bias, quadrant)
        yield Window(Block.BIAS, base + addresses.bias, cnn.bias_bytes * 4, quadrant)
        for index in range(cnn.processors_per_quadrant):
            unit = quadrant * cnn.processors_per_quadrant + index
            tram = base + addresses.tram.offset + index * addresses.tram.stride
            yield Window(Block.TRAM, tram, cnn.tram_words * 4, quadrant, unit)
            yield Window(Block.WEIGHTS, cnn.weight_address(unit), addresses.weights.stride, quadrant, unit)
    per_quadrant = cnn.instances // cnn.quadrants
    for instance in range(cnn.instances):
        address = cnn.data_address(instance)
        yield Window(Block.DATA, address, cnn.instance_bytes, instance // per_quadrant, instance)
