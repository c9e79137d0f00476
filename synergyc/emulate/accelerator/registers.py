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


class RegisterFile:
    """The 32-bit registers of one quadrant, by their offset in the quadrant's window.

    Reset value zero is an assumption (docs/accelerator.md, 9).
    """

    def __init__(self, cnn: Cnn, quadrant: int) -> None:
        self.quadrant = quadrant
        self._base = cnn.quadrant_base(quadrant)
        self._values: dict[int, int] = {}
        self._names: dict[int, str] = {}
        self._offsets: dict[tuple[str, int], int] = {}
        self._layer_names = (
            *cnn.addresses.layer_registers.numbers,
            *cnn.addresses.stream_registers.numbers,
        )
        for name in self._layer_names:
            streams = name in cnn.addresses.stream_registers.numbers
            for layer in range(STREAM_LAYERS if streams else cnn.limits.layers):
                self._add(cnn.layer_register_address(quadrant, name, layer) - self._base, name, layer)
        for name, offset in cnn.addresses.quadrant_registers.items():
            self._add(offset, name, -1)

    def _add(self, offset: int, name: str, layer: int) -> None:
        where = f"{name} of layer {layer}" if layer >= 0 else name
        self._names[offset] = f"{where} in quadrant {self.quadrant}"
        self._offsets[name, layer] = offset

    def name(self, offset: int) -> str:
        """Return what the register at ``offset`` is called."""
        return self._names.get(offset, f"register at offset 0x{offset:X} in quadrant {self.quadrant}")

    def read(self, offset: int) -> int:
        """Return the value last written at ``offset``."""
        return self._values.get(offset, 0)

    def write(self, offset: int, value: int) -> None:
        """Store ``value`` at ``offset``."""
        self._values[offset] = value

    def word(self, name: str, layer: int = -1) -> Word:
        """Return register ``name``; of ``layer`` if it is a register per layer."""
        offset = self._offsets.get((name, layer))
        if offset is None:  # a streaming register of a layer that cannot stream
            return Word(f"{name} of layer {layer}", self._base, 0)
        return Word(self._names[offset], self._base + offset, self.read(offset))

    def get(self, name: str) -> int:
        """Return the quadrant register ``name``."""
        return self._values.get(self._offsets[name, -1], 0)

    def put(self, name: str, value: int) -> None:
        """Store the quadrant register ``name``."""
        self._values[self._offsets[name, -1]] = value

    def layer(self, layer: int) -> LayerWords:
        """Return the registers of hardware layer ``layer``."""
        words = {name: self.word(name, layer) for name in self._layer_names}
        return LayerWords(words, self.quadrant, layer)

    def clear_layers(self) -> None:
        """Zero everything but the registers of the quadrant itself."""
        keep = {offset for (_, layer), offset in self._offsets.items() if layer < 0}
        self._values = {offset: value for offset, value in self._values.items() if offset in keep}

    def clear(self) -> None:
        """Zero all registers."""
        self._values.clear()

    def require_known(self) -> None:
        """Raise NotModelled if a register that has no description holds anything."""
        for offset, value in sorted(self._values.items()):
            if value and offset not in self._names:
                address = self._base + offset
                raise NotModelled(self.name(offset), address, value, "what this register does is not known")
