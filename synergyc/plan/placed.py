"""What firmware writes and copies for a run of a segment: exact once its program is placed, else about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from synergyc.targets import Chip, Cnn, LoopCycles

_AT_ONCE = 4
"""Words that a copy moves in one turn of its loop (templates/firmware/cnn.c)."""


@dataclass(frozen=True)
class Writes:
    """Registers that a table writes: each of its rows one word, or the same one in several quadrants."""

    rows: int
    words: int

    def cycles(self, chip: Chip, loop: LoopCycles) -> float:
        """Return the cycles of the CPU that they take."""
        return self.rows * loop.write_row + self.words * (_word_cycles(chip) + loop.write_register)


@dataclass(frozen=True)
class Moves:
    """Words that are copied between a queue and data memory, in pieces of words at equal distances."""

    pieces: int
    words: int
    rest: int
    """Of the words, those that are not copied in fours."""
    merged: int = 0
    """Of the words, those that hold bytes of another tensor too, which they keep."""

    @classmethod
    def of(cls, pieces: Sequence[int], merged: Sequence[int] = ()) -> Moves:
        """Return the moves of pieces of so many words, and of such as are merged."""
        rest = sum(words % _AT_ONCE for words in pieces)
        return cls(len(pieces) + len(merged), sum(pieces) + sum(merged), rest, sum(merged))

    def load_cycles(self, chip: Chip, loop: LoopCycles) -> float:
        """Return the cycles of the CPU to copy them into data memory.

        ``word_ns`` is the time of a loop that takes one word a turn.
        """
        copied = (self.words - self.merged) * (_word_cycles(chip) - loop.word_saving)
        merged = self.merged * (_word_cycles(chip) + loop.merge_word)
        return self.pieces * loop.piece + self.rest * loop.rest_word + copied + merged

    def unload_cycles(self, chip: Chip, loop: LoopCycles) -> float:
        """Return the cycles of the CPU to copy them out of data memory, masked."""
        return self.load_cycles(chip, loop) + self.words * loop.mask_word


@dataclass(frozen=True)
class Placed:
    """A segment on its accelerator: the words of its input and result, its registers, its weights and biases.

    ``switch`` is written for a run after one of another segment, ``start`` for each run.
    """

    load: Moves
    unload: Moves
    switch: Writes
    start: Writes
    weight_words: int


def switch_writes(layers: int, cnn: Cnn) -> Writes:
    """Return about what a switch to a resident network of so many layers writes.

    Chips that can start at any layer keep the layers' registers (``synth.switch``): control registers only.
    Of others half the layers' registers are taken to differ. Quadrants have the same values mostly.
    """
    own = "start_layer" in cnn.features
    rows = 2 + (0 if own else layers * len(cnn.addresses.layer_registers.numbers) // 2)
    return Writes(rows, rows * cnn.quadrants)


def _word_cycles(chip: Chip) -> float:
    return chip.cnn.timing.word_ns * chip.clocks.cpu_hz / 1e9
