"""Register storage, and register values that are read field by field.

Bits of a register that no one reads are bits the model knows nothing about; they must be zero.
"""

from __future__ import annotations

from collections.abc import Iterator

from synergyc.emulate.accelerator.errors import NotModelled
from synergyc.targets import Cnn

STREAM_LAYERS = 8
"""Only the first layers can stream (docs/accelerator.md, 1: streaming layers)."""


class Word:
    """A register value; remembers which of its bits were looked at."""

    def __init__(self, register: str, address: int, value: int) -> None:
        self.register = register
        self.address = address
        self.value = value
        self._left = value

    def field(self, low: int, width: int) -> int:
        """Return ``width`` bits from bit ``low`` upward."""
        mask = ((1 << width) - 1) << low
        self._left &= ~mask
        return (self.value & mask) >> low

    def flag(self, bit: int) -> bool:
        """Return one bit."""
        return bool(self.field(bit, 1))

    def refuse(self, reason: str) -> NotModelled:
        """Return the exception that names this register."""
        return NotModelled(self.register, self.address, self.value, reason)

    def require_known(self) -> None:
        """Raise NotModelled if a bit is set that nobody read."""
        if self._left:
            raise self.refuse(f"the model does not know what bits 0x{self._left:08X} do")


class LayerWords:
    """All registers of one hardware layer in one quadrant."""

    def __init__(self, words: dict[str, Word], quadrant: int, layer: int) -> None:
        self._words = words
        self.quadrant = quadrant
        self.layer = layer

    def __getitem__(self, name: str) -> Word:
        return self._words[name]

    def items(self) -> Iterator[tuple[str, Word]]:
        """Return all registers by name."""
        return iter(self._words.items())

    def require_known(self) -> None:
        """Raise NotModelled if a register has a bit set that nobody read."""
        for word in self._words.values():
            word.require_known()


class RegisterMap:
    """Names and offsets of all registers of a quadrant; layer -1 means the quadrant's own."""

    def __init__(self, cnn: Cnn) -> None:
        addresses = cnn.addresses
        self.layer_names = (*addresses.layer_registers.numbers, *addresses.stream_registers.numbers)
        self.offsets: dict[tuple[str, int], int] = {
            (name, -1): offset for name, offset in addresses.quadrant_registers.items()
        }
        for family, count in (
            (addresses.layer_registers, cnn.limits.layers),
            (addresses.stream_registers, STREAM_LAYERS),
        ):
            for name in family.numbers:
                for layer in range(count):
                    self.offsets[name, layer] = family.address(name, layer)
        self.known = {offset: key for key, offset in self.offsets.items()}
        self.layer_offsets = tuple(
            tuple(self.offsets[name, layer] for name in self.layer_names if (name, layer) in self.offsets)
            for layer in range(cnn.limits.layers)
        )
        """Of the registers that each layer has."""

    def describe(self, offset: int, quadrant: int) -> str:
        """Return what the register at ``offset`` is called."""
        name, layer = self.known.get(offset, (f"register at offset 0x{offset:X}", -1))
        return (
            f"{name} of layer {layer} in quadrant {quadrant}"
            if layer >= 0
            else f"{name} in quadrant {quadrant}"
        )


class RegisterFile:
    """The 32-bit registers of one quadrant, by their offset in the quadrant's window.

    Reset value zero is an assumption (docs/accelerator.md, 9).
    """

    def __init__(self, registers: RegisterMap, quadrant: int, base: int) -> None:
        self.quadrant = quadrant
        self._map = registers
        self._base = base
        self._values: dict[int, int] = {}

    def name(self, offset: int) -> str:
        """Return what the register at ``offset`` is called."""
        return self._map.describe(offset, self.quadrant)

    def read(self, offset: int) -> int:
        """Return the value last written at ``offset``."""
        return self._values.get(offset, 0)

    def write(self, offset: int, value: int) -> None:
        """Store ``value`` at ``offset``."""
        self._values[offset] = value

    def word(self, name: str, layer: int = -1) -> Word:
        """Return register ``name``; of ``layer`` if it is a register per layer."""
        offset = self._map.offsets.get((name, layer))
        if offset is None:  # a streaming register of a layer that cannot stream
            return Word(f"{name} of layer {layer}", self._base, 0)
        return Word(self.name(offset), self._base + offset, self.read(offset))

    def get(self, name: str) -> int:
        """Return the quadrant register ``name``."""
        return self._values.get(self._map.offsets[name, -1], 0)

    def put(self, name: str, value: int) -> None:
        """Store the quadrant register ``name``."""
        self._values[self._map.offsets[name, -1]] = value

    def layer_values(self, layer: int) -> tuple[int, ...]:
        """Return the values of all registers of hardware layer ``layer``: equal ones mean the same layer."""
        return tuple([self._values.get(offset, 0) for offset in self._map.layer_offsets[layer]])

    def layer(self, layer: int) -> LayerWords:
        """Return the registers of hardware layer ``layer``."""
        words = {name: self.word(name, layer) for name in self._map.layer_names}
        return LayerWords(words, self.quadrant, layer)

    def clear_layers(self) -> None:
        """Zero everything but the registers of the quadrant itself."""
        own = {offset for (_, layer), offset in self._map.offsets.items() if layer < 0}
        self._values = {offset: value for offset, value in self._values.items() if offset in own}

    def clear(self) -> None:
        """Zero all registers."""
        self._values.clear()

    def require_known(self) -> None:
        """Raise NotModelled if a register that has no description holds anything."""
        for offset, value in sorted(self._values.items()):
            if value and offset not in self._map.known:
                address = self._base + offset
                raise NotModelled(self.name(offset), address, value, "what this register does is not known")
