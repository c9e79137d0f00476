"""The control register of a quadrant, and its byte gatherer (docs/accelerator.md, 5.1 and 5.8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from synergyc.emulate.accelerator.errors import BusError
from synergyc.emulate.accelerator.memory import Memories
from synergyc.emulate.accelerator.registers import RegisterFile, Word
from synergyc.targets import Cnn

MODE_BITS = 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 13 | 1 << 14 | 1 << 19 | 1 << 21 | 1 << 30
"""CTL bits that programs write alike to all quadrants (docs/accelerator.md, 5.6)."""


@dataclass(frozen=True)
class Control:
    """CTL of one quadrant."""

    RUN: ClassVar[int] = 1 << 0
    DONE: ClassVar[int] = 1 << 12

    value: int

    def _bit(self, bit: int) -> bool:
        return bool(self.value >> bit & 1)

    @property
    def run(self) -> bool:
        """State machine on."""
        return bool(self.value & self.RUN)

    @property
    def pipeline_off(self) -> bool:
        """Pipeline disabled."""
        return self._bit(5)

    @property
    def snoop(self) -> bool:
        """Snoop units watch the layers."""
        return self._bit(7)

    @property
    def one_shot(self) -> bool:
        """Stop after each layer."""
        return self._bit(8)

    @property
    def done(self) -> bool:
        """All layers are done."""
        return bool(self.value & self.DONE)

    @property
    def average_rounds(self) -> bool:
        """Average pooling rounds instead of truncating."""
        return self._bit(13)

    @property
    def streaming(self) -> bool:
        """The first layers stream."""
        return self._bit(14)

    @property
    def fifo(self) -> bool:
        """The first layer's input comes from the FIFOs."""
        return self._bit(15)

    @property
    def fast_fifo(self) -> bool:
        """The first layer's input comes from the fast FIFO."""
        return self._bit(22)

    @property
    def big_stream(self) -> bool:
        """The first layer streams with four pixels in a word."""
        return self._bit(6)

    @property
    def follows(self) -> bool:
        """Waits for its master, or for a FIFO."""
        return self._bit(11)

    @property
    def gather(self) -> bool:
        """Byte gatherer on."""
        return self._bit(16)

    @property
    def byte(self) -> int:
        """Byte lane for the gatherer."""
        return self.value >> 17 & 3

    @property
    def express(self) -> bool:
        """Express weight loading."""
        return self._bit(20)

    @property
    def binary(self) -> bool:
        """One-bit weights are +1 and -1."""
        return self._bit(30)

    def leads(self, quadrant: int) -> bool:
        """Whether this CTL, of ``quadrant``, is the master's; a follower only waits for its master."""
        return self.value >> 9 & 3 == quadrant

    def when_done(self, run_ends: bool) -> Control:
        """Return the same with the done bit set, and the run bit clear if ``run_ends``."""
        value = self.value | self.DONE
        return Control(value & ~self.RUN if run_ends else value)

    def require_master(self, word: Word) -> None:
        """Raise NotModelled for a start in a mode whose results are not known."""
        if self._bit(31):
            raise word.refuse("CTL[31]: a fast FIFO that feeds all quadrants is not modelled")
        if self._bit(22) != self._bit(23) or (self.fast_fifo and not self.fifo):
            raise word.refuse("CTL[22] and CTL[23] are set together, and for FIFO input only")
        if not self._bit(3):
            raise word.refuse("a start without clock")
        if self.follows != self.fifo:
            raise word.refuse("the master waits for a master, but only FIFO input needs that")
        if self._bit(19) != (self.fifo and self.streaming):
            raise word.refuse("CTL[19] is set for streaming from a FIFO only")

    def require_follower(self, word: Word, master: Control, quadrant: int) -> None:
        """Raise NotModelled if this CTL does not follow the master in ``quadrant`` in the same mode."""
        differ = (self.value ^ master.value) & MODE_BITS
        if differ:
            raise word.refuse(f"differs from the master's CTL in bits 0x{differ:08X}")
        if not self.follows or not self.leads(quadrant) or not self._bit(3):
            raise word.refuse(f"runs, but does not follow quadrant {quadrant}, or has no clock")


class Gatherer:
    """Reads one byte of each of four consecutive words as one word ("mlator")."""

    def __init__(self, cnn: Cnn, memories: Memories, file: RegisterFile, pointer_bits: int) -> None:
        self._cnn = cnn
        self._memories = memories
        self._file = file
        self._pointer_bits = pointer_bits
        self._lane = 0
        self._instance = 0
        self._word = 0
        self._primed = False
        self._on = False

    def start(self, lane: int) -> None:
        """Load the pointer from layer 0's WPTR; select byte ``lane``."""
        pointer, step = self._file.word("WPTR", 0), self._file.word("LCTL2", 0)
        per_quadrant = self._cnn.instances // self._cnn.quadrants
        self._word = pointer.field(0, self._pointer_bits)
        # The port reaches the quadrant's own instances; known programs leave the quadrant's bits zero.
        instance = pointer.field(self._pointer_bits, 4) % per_quadrant
        self._instance = self._file.quadrant * per_quadrant + instance
        if step.value:
            raise step.refuse("increments of the byte gatherer other than the next word are not known")
        self._lane = lane
        self._primed = False
        self._on = True

    def stop(self) -> None:
        """Switch off."""
        self._on = False

    def read(self, address: int) -> int:
        """Return four bytes, the first word's lowest; the first read after the start only primes."""
        if not self._on:
            raise BusError(address, "the byte gatherer is off")
        if not self._primed:
            self._primed = True
            return 0
        data = self._memories.data[self._instance, self._word : self._word + 4, self._lane]
        if len(data) < 4:
            raise BusError(address, "the byte gatherer reads beyond the instance")
        self._word += 4
        return int.from_bytes(data.tobytes(), "little")
