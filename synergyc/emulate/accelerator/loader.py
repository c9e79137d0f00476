"""Writing the weight memories: express stream and plain mode (docs/accelerator.md, 4.2)."""

from __future__ import annotations

from synergyc.emulate.accelerator.errors import BusError
from synergyc.emulate.accelerator.memory import SLOT_BYTES, Memories
from synergyc.targets import Cnn

SLOT_WINDOW_BYTES = 16
"""A slot takes four 32-bit words in the address map."""


class WeightLoader:
    """Turns bus writes into weight slots."""

    def __init__(self, cnn: Cnn, memories: Memories) -> None:
        self._cnn = cnn
        self._memories = memories
        self._next: dict[int, int] = {}
        self._rest: dict[int, bytearray] = {}
        self._words: dict[tuple[int, int], list[int]] = {}
        self._stored: dict[tuple[int, int], bytes] = {}
        self.overwritten: list[tuple[int, int]] = []
        """(processor, slot) of slots that were stored again with another value, since power-up."""

    def set_address(self, processor: int, address: int, offset: int) -> None:
        """Start an express stream; ``offset`` in the processor's window is 4 * slot + 1."""
        slot = offset // 4
        if slot >= self._cnn.slots(processor):
            raise BusError(address, f"processor {processor} has no weight slot {slot}")
        self._next[processor] = slot
        self._rest[processor] = bytearray()

    def stream(self, processor: int, address: int, value: int) -> None:
        """Take four bytes of an express stream, most significant first; full slots are stored."""
        rest = self._rest.get(processor)
        if rest is None:
            raise BusError(address, "an express weight word without an address set before")
        rest += value.to_bytes(4, "big")
        if len(rest) >= SLOT_BYTES:
            slot = self._next[processor]
            if slot >= self._cnn.slots(processor):
                raise BusError(address, f"processor {processor} has no weight slot {slot}")
            self._store(processor, slot, bytes(rest[:SLOT_BYTES]))
            del rest[:SLOT_BYTES]
            self._next[processor] = slot + 1

    def write(self, processor: int, address: int, offset: int, value: int) -> None:
        """Take a word in plain mode; the fourth word of a slot stores it."""
        slot, part = divmod(offset, SLOT_WINDOW_BYTES)
        if slot >= self._cnn.slots(processor):
            raise BusError(address, f"processor {processor} has no weight slot {slot}")
        words = self._words.setdefault((processor, slot), [0, 0, 0, 0])
        words[part // 4] = value
        if part == SLOT_WINDOW_BYTES - 4:
            packed = b"".join(word.to_bytes(4, "big") for word in words[:3])
            self._store(processor, slot, packed[3:])
            del self._words[processor, slot]

    def _store(self, processor: int, slot: int, value: bytes) -> None:
        if self._stored.setdefault((processor, slot), value) != value:
            self.overwritten.append((processor, slot))
        self._memories.write_slot(processor, slot, value)

    def read(self, processor: int, address: int, offset: int) -> int:
        """Return a word of a slot as plain mode writes it."""
        slot, part = divmod(offset, SLOT_WINDOW_BYTES)
        if slot >= self._cnn.slots(processor):
            raise BusError(address, f"processor {processor} has no weight slot {slot}")
        packed = bytes(3) + self._memories.read_slot(processor, slot) + bytes(4)
        return int.from_bytes(packed[part : part + 4], "big")

    def forget(self, quadrant: int) -> None:
        """Forget what was begun in ``quadrant``: it had no power."""
        count = self._cnn.processors_per_quadrant
        for processor in range(quadrant * count, (quadrant + 1) * count):
            self._next.pop(processor, None)
            self._rest.pop(processor, None)
        self._words = {key: words for key, words in self._words.items() if key[0] // count != quadrant}
        self._stored = {key: value for key, value in self._stored.items() if key[0] // count != quadrant}
        self.overwritten = [key for key in self.overwritten if key[0] // count != quadrant]
