"""Choice of processors and offsets for buffers: several greedy strategies, the first that fits wins."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial

import numpy as np
import numpy.typing as npt

from synergyc.diagnostics import Diagnostic
from synergyc.synth.buffers import Buffer, Overlay
from synergyc.synth.geometry import round_up
from synergyc.synth.memories import SLOT_STEP
from synergyc.targets import Cnn

Group = tuple[tuple[int, int], ...]
"""Buffers that ties hold together, each with its distance in processors from the group's first."""


@dataclass(frozen=True)
class Demand:
    """Weight slots that a layer needs in some processors, given relative to the first one of ``buffer``.

    ``whole``: the slots must not straddle two physical memories (section 4.4, depthwise layers). ``same_as``:
    an earlier demand for equal weights in the same processors; both use the same slots.
    """

    buffer: int
    processors: tuple[int, ...]
    slots: int
    whole: bool = False
    same_as: int | None = None


@dataclass(frozen=True)
class Tie:
    """Buffer ``other`` must start ``delta`` processors behind buffer ``buffer``; ``level``: at its offset."""

    buffer: int
    other: int
    delta: int
    level: bool = False


@dataclass(frozen=True)
class Copy:
    """A layer without weights that reads ``processors``, relative to the first one of ``buffer``.

    Each of its ``pixels`` (of all passes) takes a cycle for every four channels of the fullest quadrant.
    """

    buffer: int
    processors: tuple[int, ...]
    pixels: int


@dataclass(frozen=True)
class Taken:
    """Weight slots from ``first`` to before ``end`` of a processor that other networks use."""

    processor: int
    first: int
    end: int


@dataclass(frozen=True)
class Arrangement:
    """First processor and offset in bytes of each buffer; ``slots``: first slot of each demand, if chosen."""

    bases: tuple[int, ...]
    offsets_bytes: tuple[int, ...]
    slots: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Problem:
    """What is to be arranged.

    ``networks`` lists the buffers of each network: one of them must touch quadrant 0. ``overlays`` are
    buffers that may lie over each other. Weights start at slot ``weight_start`` or later.
    """

    buffers: tuple[Buffer, ...]
    demands: tuple[Demand, ...]
    ties: tuple[Tie, ...]
    cnn: Cnn
    networks: tuple[tuple[int, ...], ...]
    overlays: tuple[Overlay, ...] = ()
    taken: tuple[Taken, ...] = ()
    copies: tuple[Copy, ...] = ()
    weight_start: int = 0

    @cached_property
    def levels(self) -> tuple[tuple[int, ...], ...]:
        """Buffers that must have equal offsets, in order; most are alone."""
        level = list(range(len(self.buffers)))
        for tie in self.ties:
            if tie.level:
                one, two = sorted((level[tie.buffer], level[tie.other]))
                level = [one if number == two else number for number in level]
        return tuple(
            tuple(index for index, number in enumerate(level) if number == first)
            for first in sorted({*level})
        )

    @cached_property
    def slot_limits(self) -> npt.NDArray[np.int64]:
        """Weight slots of each processor, rounded up to the step of placement: layers may end unaligned."""
        slots = [round_up(self.cnn.slots(processor), SLOT_STEP) for processor in range(self.cnn.processors)]
        return np.array(slots, dtype=np.int64)

    @cached_property
    def filled_by_others(self) -> npt.NDArray[np.int64]:
        """Weight slots by processor that are not free at the beginning."""
        fill = np.zeros(self.cnn.processors, dtype=np.int64)
        for item in self.taken:
            fill[item.processor] += item.end - item.first
        filled: npt.NDArray[np.int64] = np.maximum(fill, self.weight_start)
        return filled

    def slots_by_processor(self, group: Group) -> npt.NDArray[np.int64]:
        """Return the weight slots that readers of a group need, from its first processor on."""
        if group not in self._slots_of_groups:
            self._slots_of_groups[group] = self._slots_by_processor(group)
        return self._slots_of_groups[group]

    @cached_property
    def _slots_of_groups(self) -> dict[Group, npt.NDArray[np.int64]]:
        return {}

    def _slots_by_processor(self, group: Group) -> npt.NDArray[np.int64]:
        deltas = dict(group)
        found = np.zeros(self.cnn.processors, dtype=np.int64)
        for demand in self.demands:
            if demand.buffer in deltas and demand.same_as is None:
                processors = np.array(demand.processors) + deltas[demand.buffer]
                found[processors] += round_up(demand.slots, SLOT_STEP)
        return np.trim_zeros(found, "b")

    def slots_of(self, group: Group) -> int:
        """Return the weight slots that readers of a group of tied buffers need."""
        members = {buffer for buffer, _ in group}
        own = (demand for demand in self.demands if demand.same_as is None)
        return sum(demand.slots for demand in own if demand.buffer in members)

    def cycles_of(self, group: Group, base: int) -> int:
        """Return the cycles of writing that depend on ``base``: those of copies that read the group."""
        deltas, size = dict(group), self.cnn.processors_per_quadrant
        cycles = 0
        for copy in self.copies:
            if copy.buffer in deltas:
                first = base + deltas[copy.buffer]
                quadrants = [(first + processor) // size for processor in copy.processors]
                most = max(quadrants.count(quadrant) for quadrant in set(quadrants))
                cycles += copy.pixels * -(-most // self.cnn.processors_per_instance)
        return cycles

    def bytes_of(self, group: Group) -> int:
        """Return the largest buffer of a group."""
        return max(self.buffers[buffer].size_bytes for buffer, _ in group)

    def width_of(self, group: Group) -> int:
        """Return the processors from the first to the last of a group."""
        return max(delta + self.buffers[buffer].width for buffer, delta in group)

    def bases_of(self, group: Group) -> range:
        """Return the first processors that a group may have."""
        if any(self.buffers[buffer].fifo for buffer, _ in group):
            return range(1)
        lanes = self.cnn.processors_per_instance
        return range(0, self.cnn.processors - self.width_of(group) + 1, lanes)


@dataclass
class _State:
    problem: Problem
    fill: npt.NDArray[np.int64]
    bases: dict[int, int] = field(default_factory=dict)
    offsets: dict[int, int] = field(default_factory=dict)


Order = Callable[[Problem, Group], tuple[int, ...]]


@dataclass(frozen=True)
class _Taste:
    """Which place of a group is best: the smallest ``key`` of cycles, first processor, fullest one's slots.

    ``low``: before that, the one whose highest byte is lowest, for which all places must be known.
    """

    key: Callable[[int, int, int], tuple[int, ...]]
    low: bool = False


_ORDERS: tuple[Order, ...] = (
    lambda problem, group: (min(problem.buffers[buffer].first for buffer, _ in group),),
    lambda problem, group: (-problem.slots_of(group), -problem.bytes_of(group)),
    lambda problem, group: (-problem.bytes_of(group), -problem.slots_of(group)),
)
_TASTES: tuple[_Taste, ...] = (
    _Taste(lambda cycles, base, fill: (cycles, base, fill)),
    _Taste(lambda cycles, base, fill: (cycles, fill, base)),
    _Taste(lambda _cycles, base, fill: (base, fill)),
    _Taste(lambda _cycles, base, fill: (fill, base)),
    _Taste(lambda _cycles, base, fill: (fill, base), low=True),
)


def arrangements(problem: Problem) -> Iterator[Arrangement | Diagnostic]:
    """Yield what the strategies find, one after the other: a new arrangement, or what stopped it."""
    groups = tied(problem)
    found: list[Arrangement] = []
    for taste in _TASTES:
        for order in _ORDERS:
            result = _arrange(problem, sorted(groups, key=partial(order, problem)), taste)
            if isinstance(result, Diagnostic):
                yield result
            elif result not in found:
                found.append(result)
                yield result


def _arrange(problem: Problem, groups: Sequence[Group], taste: _Taste) -> Arrangement | Diagnostic:
    state = _State(problem, problem.filled_by_others)
    for group in groups:
        places = _places(state, group, taste)
        best = min(places, key=lambda place: place.top, default=None) if taste.low else next(places, None)
        if best is None:
            return _stopped(state, group)
        state.fill = best.fill
        state.offsets.update(best.offsets)
        state.bases.update({buffer: best.base + delta for buffer, delta in group})
    order = range(len(problem.buffers))
    return Arrangement(
        tuple(state.bases[index] for index in order), tuple(state.offsets[index] for index in order)
    )


@dataclass(frozen=True)
class _Place:
    """A place of a group that fits: first processor, highest byte, slots by processor, offsets of buffers."""

    base: int
    top: int
    fill: npt.NDArray[np.int64]
    offsets: Mapping[int, int]


def _places(state: _State, group: Group, taste: _Taste) -> Iterator[_Place]:
    """Yield the places of ``group`` that fit, the best by the key of ``taste`` first."""
    problem = state.problem
    slots = problem.slots_by_processor(group)
    fills = ((base, _filled(state, slots, base)) for base in problem.bases_of(group))
    room = [
        (taste.key(problem.cycles_of(group, base), base, int(fill.max())), base, fill)
        for base, fill in fills
        if fill is not None
    ]
    for _, base, fill in sorted(room, key=lambda item: item[0]):
        offsets = _offsets(state, group, base)
        if offsets is not None:
            top = max(offset + problem.buffers[buffer].size_bytes for buffer, offset in offsets.items())
            yield _Place(base, top, fill, offsets)


def _filled(state: _State, slots: npt.NDArray[np.int64], base: int) -> npt.NDArray[np.int64] | None:
    """Return the weight slots by processor with a group's ``slots`` from ``base`` on; None without room."""
    end = base + len(slots)
    part = state.fill[base:end] + slots
    if (part > state.problem.slot_limits[base:end]).any():
        return None
    return np.concatenate([state.fill[:base], part, state.fill[end:]])


def _offsets(state: _State, group: Group, base: int) -> dict[int, int] | None:
    """Return the lowest offsets for the buffers of ``group``; None if they do not fit."""
    offsets: dict[int, int] = {}
    bases = {**state.bases, **{buffer: base + delta for buffer, delta in group}}
    for level in state.problem.levels:
        if level[0] not in state.bases and any(buffer in level for buffer, _ in group):
            offset = _lowest_offset(state.problem, level, bases, {**state.offsets, **offsets})
            if offset is None:
                return None
            offsets.update(dict.fromkeys(level, offset))
    return offsets


def _lowest_offset(
    problem: Problem, level: Sequence[int], bases: Mapping[int, int], offsets: Mapping[int, int]
) -> int | None:
    """Return the lowest offset that all buffers of ``level`` can have."""
    near = {
        index: {other: offset for other, offset in offsets.items() if meet(problem, index, other, bases)}
        for index in level
    }
    tries = {0}
    for index, others in near.items():
        for other, offset in others.items():
            tries.add(offset + problem.buffers[other].size_bytes)
            tries.update(_overlaid(problem, index, other, offset))
    last = problem.cnn.instance_bytes - max(problem.buffers[index].size_bytes for index in level)
    for own in sorted(tries):
        if 0 <= own <= last and all(
            apart(problem, index, own, other, offset)
            for index, others in near.items()
            for other, offset in others.items()
        ):
            return own
    return None


def _overlaid(problem: Problem, index: int, other: int, offset: int) -> Iterator[int]:
    """Yield the offset of ``index`` next to ``other`` where one of them may lie over the other."""
    for overlay in problem.overlays:
        if (overlay.output, overlay.source) == (index, other):
            yield offset - overlay.lead_bytes
        if (overlay.source, overlay.output) == (index, other):
            yield offset + overlay.lead_bytes


def apart(problem: Problem, index: int, offset: int, other: int, other_offset: int) -> bool:
    """Tell whether two buffers that meet can have these offsets: side by side, or one overlaid rightly."""
    one, two = problem.buffers[index], problem.buffers[other]
    if offset + one.size_bytes <= other_offset or other_offset + two.size_bytes <= offset:
        return True
    offsets = {index: offset, other: other_offset}
    return any(
        {overlay.output, overlay.source} == offsets.keys()
        and offsets[overlay.source] - offsets[overlay.output] >= overlay.lead_bytes
        for overlay in problem.overlays
    )


def coexist(one: Buffer, two: Buffer) -> bool:
    """Tell whether two buffers are needed at the same time."""
    return one.first <= two.last and two.first <= one.last


def meet(problem: Problem, index: int, other: int, bases: Mapping[int, int]) -> bool:
    """Tell whether two buffers are needed at the same time in a common memory instance."""
    if not coexist(problem.buffers[index], problem.buffers[other]):
        return False
    shared = problem.cnn.processors_per_instance
    spans = [
        (bases[i] // shared, (bases[i] + problem.buffers[i].width - 1) // shared) for i in (index, other)
    ]
    return spans[0][0] <= spans[1][1] and spans[1][0] <= spans[0][1]


def tied(problem: Problem) -> tuple[Group, ...]:
    """Return groups of (buffer, processors behind the group's first) that ties hold together."""
    groups, _ = groups_of(len(problem.buffers), problem.ties)
    return groups


def groups_of(buffers: int, ties: Sequence[Tie]) -> tuple[tuple[Group, ...], int]:
    """Return the groups that ``ties`` make of ``buffers``, and how many ties contradict those before them."""
    groups: dict[int, dict[int, int]] = {index: {index: 0} for index in range(buffers)}
    contradictions = 0
    for tie in ties:
        one, two = groups[tie.buffer], groups[tie.other]
        if one is two:
            contradictions += one[tie.other] - one[tie.buffer] != tie.delta
            continue
        shift = one[tie.buffer] + tie.delta - two[tie.other]
        one.update({buffer: delta + shift for buffer, delta in two.items()})
        for buffer in two:
            groups[buffer] = one
    unique = {id(group): group for group in groups.values()}
    normal = tuple(
        tuple((buffer, delta - min(group.values())) for buffer, delta in sorted(group.items()))
        for group in unique.values()
    )
    return normal, contradictions


def _stopped(state: _State, group: Group) -> Diagnostic:
    """Say which memory has no room for ``group``."""
    problem, cnn = state.problem, state.problem.cnn
    needed = problem.slots_by_processor(group)
    weights_fit = any(_filled(state, needed, base) is not None for base in problem.bases_of(group))
    names = ", ".join(member.tensor.name for buffer, _ in group for member in problem.buffers[buffer].members)
    if weights_fit:
        return Diagnostic(
            "data-memory",
            f"no room in data memory for {names} beside the tensors that are needed at the same time",
            layer=problem.buffers[group[-1][0]].members[0].tensor.name,
            need=f"{problem.bytes_of(group)} bytes in each memory instance",
            have=f"{cnn.instance_bytes} bytes in all",
            hint="make the input or the early layers smaller, or cut the network into more segments",
        )
    slots = problem.slots_of(group)
    free = max(0, cnn.weight_slots - int(state.fill.min()))
    return Diagnostic(
        "weight-memory",
        f"no room in weight memory for the layers that read {names}",
        layer=problem.buffers[group[-1][0]].members[0].tensor.name,
        need=f"{slots} slots in each of {problem.width_of(group)} neighbouring processors",
        have=f"{free} of {cnn.weight_slots} slots in the emptiest",
        hint="quantize to fewer weight bits, or cut the network into more segments",
    )
