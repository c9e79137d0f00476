"""A program's register writes and weights as short tables: what repeats is said once.

The quadrants of an accelerator have the same registers a constant distance apart, and mostly get the same
values; the processors have weight memories that mostly hold weights of the same layers at the same places.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from synergyc.synth.program import Step, WaitBits, Write
from synergyc.targets import Cnn

_WORD_BYTES = 4
_MOST_QUADRANTS = 4
"""That a row of ``cnn_write_t`` can name: it has two bits for those behind the first one."""


@dataclass(frozen=True)
class WriteRow:
    """``value`` goes to ``address``, and to the same register of ``more`` quadrants that follow."""

    address: int
    value: int
    more: int
    comment: str


@dataclass(frozen=True)
class WeightRow:
    """``count`` words for each of ``processors`` from ``processor`` on, to ``word`` and up of its memory.

    ``begin``: the byte that is stored behind the first word's address before, 0: none. ``first``: where the
    words of the first processor are in the table, those of the others follow.
    """

    processor: int
    processors: int
    begin: int
    word: int
    count: int
    first: int


@dataclass(frozen=True)
class Weights:
    """Rows and the table of the words that they store."""

    rows: tuple[WeightRow, ...]
    words: tuple[int, ...]


def single_writes(phase: str, steps: Iterable[Step]) -> Iterator[Write]:
    """Yield the writes of ``phase``, of one word each; raises ValueError if a step waits or stores bytes."""
    for step in steps:
        if isinstance(step, WaitBits):
            raise ValueError(f"steps of phase {phase} must store, not wait")
        if step.width_bytes != _WORD_BYTES:
            raise ValueError(
                f"steps must store whole words, not {step.width_bytes} bytes at {step.address:#x}"
            )
        for index, word in enumerate(step.words):
            yield Write(step.address + _WORD_BYTES * index, (word,), step.comment)


def write_rows(writes: Sequence[Write], cnn: Cnn) -> tuple[WriteRow, ...]:
    """Return rows that store what ``writes``, of one word each, store.

    Writes to different addresses may change their order. Where one address is written twice none does.
    """
    values = {write.address: write.words[0] for write in writes}
    in_order = len(values) < len(writes)
    rows = []
    for write in writes:
        if in_order:
            rows.append(WriteRow(write.address, write.words[0], 0, write.comment))
        elif write.address in values:
            more = _more_quadrants(write, values, cnn)
            rows.append(WriteRow(write.address, write.words[0], more, write.comment))
            for quadrant in range(more + 1):
                del values[write.address + quadrant * cnn.addresses.quadrant.stride]
    return tuple(rows)


def _more_quadrants(write: Write, values: dict[int, int], cnn: Cnn) -> int:
    """Return how many quadrants behind that of ``write`` get the same value, without a gap."""
    for more in range(1, min(cnn.quadrants, _MOST_QUADRANTS)):
        if values.get(write.address + more * cnn.addresses.quadrant.stride) != write.words[0]:
            return more - 1
    return min(cnn.quadrants, _MOST_QUADRANTS) - 1


def weight_rows(writes: Sequence[Write], cnn: Cnn) -> Weights:
    """Return the table of weights that ``writes`` store; each processor gets its own in their order.

    Raises ValueError: a single byte that does not begin the words behind it, a place outside the weight
    memories, words of a processor that are not in the order of their addresses.
    """
    users: dict[tuple[int, int, int], dict[int, tuple[int, ...]]] = {}
    last: dict[int, int] = {}
    for write, begin in _with_begins(writes):
        processor, word = _weight_place(write.address, cnn)
        if word <= last.get(processor, -1):
            raise ValueError(f"weights of processor {processor} must come in order of their addresses")
        last[processor] = word
        users.setdefault((word, len(write.words), begin), {})[processor] = write.words
    rows = []
    words: list[int] = []
    for (word, count, begin), values in sorted(users.items()):
        for first, processors in _runs(sorted(values)):
            rows.append(WeightRow(first, processors, begin, word, count, len(words)))
            words += [value for number in range(first, first + processors) for value in values[number]]
    return Weights(tuple(rows), tuple(words))


def _with_begins(writes: Iterable[Write]) -> Iterator[tuple[Write, int]]:
    """Yield writes of words, each with the byte that begins them or 0."""
    begin: Write | None = None
    for write in writes:
        if write.width_bytes == 1:
            begin = write
            continue
        if begin and (begin.address, len(begin.words)) != (write.address + 1, 1):
            raise ValueError(f"a byte at {begin.address:#x} must begin the words at {write.address:#x}")
        yield write, begin.words[0] if begin else 0
        begin = None


def _weight_place(address: int, cnn: Cnn) -> tuple[int, int]:
    """Return the processor whose weight memory holds ``address``, and the word in it."""
    for processor in range(cnn.processors):
        offset = address - cnn.weight_address(processor)
        if 0 <= offset < cnn.addresses.weights.stride:
            return processor, offset // _WORD_BYTES
    raise ValueError(f"weights must go to a processor's weight memory, not to {address:#x}")


def _runs(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield the first of each run of successive numbers, and its length."""
    first = 0
    for index, number in enumerate(numbers):
        if index + 1 == len(numbers) or numbers[index + 1] != number + 1:
            yield numbers[first], index + 1 - first
            first = index + 1
