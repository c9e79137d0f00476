"""Allocation of weight slots by the vendor tool's rules (section 4.4)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from synergyc.diagnostics import SynergyError, fail
from synergyc.synth.geometry import round_up, set_bits
from synergyc.synth.kernels import FOURFOLD, KernelImage
from synergyc.targets import Cnn

SLOT_STEP = 4
"""Weights of a layer start at a multiple of this many slots (section 4.4)."""


WHOLE_MEMORIES = 4
"""Physical memories of equal size that make up a processor's weight memory (section 1)."""


@dataclass(frozen=True, eq=False)
class WeightRequest:
    """A layer that needs weight memory in all ``processors``.

    ``behind_plain``: the layer computes four outputs at a time, the one before it does not. The tool puts it
    four times as far from the start as it found room: its slots are spread over four memories.
    """

    name: str
    processors: int
    image: KernelImage
    depthwise: bool = False
    behind_plain: bool = False


@dataclass
class WeightMemory:
    """Which slots are taken, as (processors, slots) booleans."""

    cnn: Cnn
    taken: npt.NDArray[np.bool_] = field(init=False)

    def __post_init__(self) -> None:
        size = self.cnn.large_weight_slots
        self.taken = np.zeros((self.cnn.processors, size), dtype=np.bool_)
        for processor in range(self.cnn.processors):
            self.taken[processor, self.cnn.slots(processor) :] = True

    def take(self, processors: int, slots: npt.NDArray[np.int64]) -> None:
        """Mark slots as taken in all ``processors``."""
        self.taken[np.ix_(np.array(set_bits(processors)), slots)] = True

    def find(self, request: WeightRequest, start: int, *, large_from_end: bool = True) -> int | None:
        """Return the first slot for ``request``: the end of the large memories first, else first fit."""
        used = list(set_bits(request.processors))
        busy: npt.NDArray[np.bool_] = np.logical_or.reduce(self.taken[used], axis=0)
        blocks = _Blocks(self.cnn) if request.depthwise else None
        length = request.image.length
        from_end = large_from_end and not request.behind_plain and self._large_only(used)
        if from_end and (blocks is None or length <= blocks.small):
            slot = _find_from_end(busy, self.taken[used[0]], length, blocks)
            if slot is not None:
                return slot
        limit = min(self.cnn.slots(processor) for processor in used)
        slot = _first_fit(busy, length, round_up(start, SLOT_STEP), limit, blocks)
        if slot is None or not request.behind_plain:
            return slot
        return slot * FOURFOLD if slot * FOURFOLD + length <= limit else None

    def _large_only(self, used: Sequence[int]) -> bool:
        large = self.cnn.large_weight_slots > self.cnn.weight_slots
        return large and all(processor in self.cnn.large_processors for processor in used)


class _Blocks:
    """The physical memories that make up one processor's weight memory (section 1).

    Kernels of a depthwise layer must not straddle two of them. The comparisons are the tool's, one slot off.
    """

    def __init__(self, cnn: Cnn) -> None:
        self.border = cnn.weight_slots
        self.large = cnn.weight_slots // WHOLE_MEMORIES
        self.small = max(1, (cnn.large_weight_slots - cnn.weight_slots) // WHOLE_MEMORIES)

    def size(self, slot: int) -> int:
        """Return the size of the memory that ``slot`` belongs to."""
        return self.small if slot >= self.border else self.large

    def ascend(self, slot: int, length: int) -> int:
        """Return ``slot``, or the start of the next memory if ``length`` slots do not fit the rest."""
        size = self.size(slot + 1)
        return slot if (slot + 1) // size == (slot + length) // size else (slot // size + 1) * size

    def descend(self, top: int, length: int) -> int:
        """Return the highest slot to use, ``top`` or below a border."""
        size = self.size(top)
        return top if (top - 1) // size == (top - length) // size else top // size * size


def _find_from_end(
    busy: npt.NDArray[np.bool_], first: npt.NDArray[np.bool_], length: int, blocks: _Blocks | None
) -> int | None:
    """Return the highest place; the search steps by the lowest processor's ``first`` free slots."""
    top = len(busy) - 1
    while top >= 0 and first[top]:
        top -= SLOT_STEP
    while top - length + 1 >= 0:
        if blocks is not None:
            top = blocks.descend(top, length)
        conflicts = np.flatnonzero(busy[top - length + 1 : top + 1])
        if not len(conflicts):
            return (top - length + 1) // SLOT_STEP * SLOT_STEP
        top = (top - length + int(conflicts[-1])) // SLOT_STEP * SLOT_STEP
    return None


def _first_fit(
    busy: npt.NDArray[np.bool_], length: int, start: int, limit: int, blocks: _Blocks | None
) -> int | None:
    """Return the first multiple of 4 from ``start`` with ``length`` free slots below ``limit``."""
    slot = start
    while slot + length <= limit:
        if blocks is not None:
            slot = blocks.ascend(slot, length)
        conflicts = np.flatnonzero(busy[slot : slot + length])
        if not len(conflicts):
            return slot if slot + length <= limit else None
        slot = round_up(slot + int(conflicts[-1]) + 1, SLOT_STEP)
    return None


def allocate_weights(
    requests: Sequence[WeightRequest],
    cnn: Cnn,
    *,
    start: int = 0,
    memory: WeightMemory | None = None,
    large_from_end: bool = True,
    share: bool = True,
) -> tuple[int, ...]:
    """Return the first slot of each request, in their order.

    Layers that use all processors go first. ``large_from_end``: try the end of the large memories first.
    ``share``: equal images for the same processors are stored once. Raises SynergyError when a layer does not
    fit.
    """
    memory = memory or WeightMemory(cnn)
    everything = (1 << cnn.processors) - 1
    slots: dict[int, int] = {}
    shared: dict[tuple[int, bytes, bytes], int] = {}
    order = sorted(range(len(requests)), key=lambda index: requests[index].processors != everything)
    for index in order:
        request = requests[index]
        key = (request.processors, request.image.slots.tobytes(), request.image.content.tobytes())
        if key not in shared or not share:
            slot = memory.find(request, start, large_from_end=large_from_end)
            if slot is None:
                raise _weights_full(request, cnn, memory)
            memory.take(request.processors, request.image.slots + slot)
            shared[key] = slot
        slots[index] = shared[key]
    return tuple(slots[index] for index in range(len(requests)))


def _weights_full(request: WeightRequest, cnn: Cnn, memory: WeightMemory) -> SynergyError:
    used = list(set_bits(request.processors))
    free = min(int((~memory.taken[processor]).sum()) for processor in used)
    limit = min(cnn.slots(processor) for processor in used)
    return fail(
        "weight-memory",
        f"weights do not fit the weight memory of processors {request.processors:#018x}",
        layer=request.name,
        need=f"{request.image.length} consecutive slots",
        have=f"{free} of {limit} slots free in the fullest processor",
        hint="quantize to fewer weight bits, or cut the network into more segments",
    )


def used_quadrants(maps: Iterable[int], cnn: Cnn) -> tuple[int, ...]:
    """Return the quadrants that have any bit in ``maps``."""
    union = 0
    for bits in maps:
        union |= bits
    size = cnn.processors_per_quadrant
    return tuple(q for q in range(cnn.quadrants) if union >> q * size & ((1 << size) - 1))
