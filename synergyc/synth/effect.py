"""What writes to the accelerator leave behind, to compare the programs of two engines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from synergyc.synth.kernels import SLOT_BYTES
from synergyc.synth.program import Program, Step, Write
from synergyc.targets import Cnn

_PLAIN_SLOT_WORDS = 4
_PLAIN_SLOT_BYTES = slice(3, 3 + SLOT_BYTES)
"""Bytes of a slot in its four words, outside of express mode (section 4.2)."""
_NO_WEIGHTS = bytes(SLOT_BYTES).hex()


def program_differences(theirs: Program, ours: Program, cnn: Cnn) -> Iterator[str]:
    """Yield where two programs leave different registers, biases or weights before the start, and in it.

    Slots that ``theirs`` fills with zeros and ``ours`` leaves alone do not count: no layer reads them. (The
    vendor's tool pads some layers with narrow weights beyond what they use.)
    """
    for name, one, other in (
        ("register", _words(theirs.init, theirs.configure), _words(ours.init, ours.configure)),
        ("start", _words(theirs.start), _words(ours.start)),
        ("bias", _words(theirs.bias), _words(ours.bias)),
        ("weights", _slots(theirs, cnn), _slots(ours, cnn)),
    ):
        for place in sorted(one.keys() | other.keys()):
            left, right = one.get(place), other.get(place)
            if left != right and not (name == "weights" and right is None and left == _NO_WEIGHTS):
                yield f"{name} {place}: {left or 'nothing'} and {right or 'nothing'}"


def _words(*phases: Iterable[Step]) -> dict[str, str]:
    words = last_words(step for phase in phases for step in phase)
    return {f"{address:#010x}": f"{word:#010x}" for address, word in words.items()}


def _slots(program: Program, cnn: Cnn) -> dict[str, str]:
    slots = weight_slots(program.weights, cnn)
    return {f"of processor {place[0]}, slot {place[1]}": content.hex() for place, content in slots.items()}


def last_words(steps: Iterable[Step]) -> dict[int, int]:
    """Return the last word written to each address."""
    words: dict[int, int] = {}
    for step in steps:
        if isinstance(step, Write):
            words.update((step.address + 4 * index, word) for index, word in enumerate(step.words))
    return words


def weight_slots(writes: Iterable[Write], cnn: Cnn) -> dict[tuple[int, int], bytes]:
    """Return the content of weight slots by (processor, slot), after express or plain writes."""
    slots: dict[tuple[int, int], bytes] = {}
    windows = {cnn.weight_address(processor): processor for processor in range(cnn.processors)}
    first: int | None = None
    for write in writes:
        base = next(start for start in windows if 0 <= write.address - start < cnn.addresses.weights.stride)
        offset = write.address - base
        if write.width_bytes == 1:  # express mode: the words that follow are a stream of slots from here on
            first = offset // 4
            continue
        content = b"".join(word.to_bytes(4, "big") for word in write.words)
        if first is not None:
            size, part, slot = SLOT_BYTES, slice(None), first
        else:
            size, part, slot = 4 * _PLAIN_SLOT_WORDS, _PLAIN_SLOT_BYTES, offset // (4 * _PLAIN_SLOT_WORDS)
        for index in range(len(content) // size):
            slots[windows[base], slot + index] = content[index * size : (index + 1) * size][part]
        first = None
    return slots
