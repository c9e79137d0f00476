"""Choice of processors and offsets for buffers: several greedy strategies, the first that fits wins."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import numpy.typing as npt

from synergyc.diagnostics import Diagnostic
from synergyc.synth.buffers import Buffer
from synergyc.synth.geometry import round_up
from synergyc.synth.memories import SLOT_STEP
from synergyc.targets import Cnn


@dataclass(frozen=True)
class Demand:
    """Weight slots that a layer needs in the processors of the tensor it reads."""

    buffer: int
    bit: int
    width: int
    slots: int


@dataclass(frozen=True)
class Tie:
    """Buffer ``other`` must start ``delta`` processors behind buffer ``buffer``."""

    buffer: int
    other: int
    delta: int


@dataclass(frozen=True)
class Arrangement:
    """First processor and offset in bytes of each buffer."""

    bases: tuple[int, ...]
    offsets_bytes: tuple[int, ...]


@dataclass(frozen=True)
class Problem:
    """What is to be arranged; ``filled`` counts weight slots taken by other networks, by processor."""

    buffers: tuple[Buffer, ...]
    demands: tuple[Demand, ...]
    ties: tuple[Tie, ...]
    cnn: Cnn
    filled: tuple[int, ...]

    def slots_of(self, group: Sequence[tuple[int, int]]) -> int:
        """Return the weight slots that readers of a group of tied buffers need."""
        members = {buffer for buffer, _ in group}
        return sum(demand.slots for demand in self.demands if demand.buffer in members)

    def bytes_of(self, group: Sequence[tuple[int, int]]) -> int:
        """Return the largest buffer of a group."""
        return max(self.buffers[buffer].size_bytes for buffer, _ in group)


@dataclass
class _State:
    problem: Problem
    fill: npt.NDArray[np.int64]
    bases: dict[int, int] = field(default_factory=dict)
    offsets: dict[int, int] = field(default_factory=dict)


Group = tuple[tuple[int, int], ...]
Order = Callable[[Problem, Group], tuple[int, ...]]
Score = Callable[[int, int, int], tuple[int, ...]]
"""From first processor, fullest processor's slots and highest byte to a key: smaller is better."""

_ORDERS: tuple[Order, ...] = (
    lambda problem, group: (min(problem.buffers[buffer].first for buffer, _ in group),),
    lambda problem, group: (-problem.slots_of(group), -problem.bytes_of(group)),
    lambda problem, group: (-problem.bytes_of(group), -problem.slots_of(group)),
)
_SCORES: tuple[Score, ...] = (
    lambda base, fill, top: (base, fill, top),
    lambda base, fill, top: (fill, base, top),
    lambda base, fill, top: (top, fill, base),
)


def arrangements(problem: Problem) -> tuple[tuple[Arrangement, ...], tuple[Diagnostic, ...]]:
    """Return the arrangements that fit, best first, and what stopped the strategies that failed."""
    groups = _tied(problem)
    found: list[Arrangement] = []
    failed: list[Diagnostic] = []
    for score in _SCORES:
        for order in _ORDERS:
            result = _arrange(problem, sorted(groups, key=partial(order, problem)), score)
            if isinstance(result, Diagnostic):
                failed.append(result)
            elif result not in found:
                found.append(result)
    return tuple(found), tuple(failed)


def _arrange(problem: Problem, groups: Sequence[Group], score: Score) -> Arrangement | Diagnostic:
    state = _State(problem, np.array(problem.filled, dtype=np.int64))
    for group in groups:
        best = min(
            (candidate for candidate in _candidates(state, group)),
            key=lambda item: score(item[0], item[1], item[2]),
            default=None,
        )
        if best is None:
            return _stopped(state, group)
        base, _, _, fill, offsets = best
        state.fill = fill
        state.offsets.update(offsets)
        state.bases.update({buffer: base + delta for buffer, delta in group})
    order = range(len(problem.buffers))
    return Arrangement(
        tuple(state.bases[index] for index in order), tuple(state.offsets[index] for index in order)
    )


_Candidate = tuple[int, int, int, npt.NDArray[np.int64], Mapping[int, int]]


def _candidates(state: _State, group: Group) -> list[_Candidate]:
    """Return base, fullest processor, highest byte, slots by processor, offsets of each place that fits."""
    problem, cnn = state.problem, state.problem.cnn
    end = max(delta + problem.buffers[buffer].width for buffer, delta in group)
    found: list[_Candidate] = []
    for base in range(0, cnn.processors - end + 1, cnn.processors_per_instance):
        fill = _filled(state, group, base)
        if fill is None:
            continue
        offsets = _offsets(state, group, base)
        if offsets is not None:
            top = max(offset + problem.buffers[buffer].size_bytes for buffer, offset in offsets.items())
            found.append((base, int(fill.max()), top, fill, offsets))
    return found


def _filled(state: _State, group: Group, base: int) -> npt.NDArray[np.int64] | None:
    """Return the weight slots by processor with ``group`` at ``base``; None if they do not fit."""
    problem, cnn = state.problem, state.problem.cnn
    fill = state.fill.copy()
    deltas = dict(group)
    for demand in problem.demands:
        if demand.buffer in deltas:
            first = base + deltas[demand.buffer] + demand.bit
            step = cnn.processors_per_instance if problem.buffers[demand.buffer].big else 1
            fill[first : first + demand.width * step : step] += round_up(demand.slots, SLOT_STEP)
    slots = [cnn.slots(processor) for processor in range(cnn.processors)]
    return None if (fill > round_up_all(slots)).any() else fill


def round_up_all(slots: Sequence[int]) -> npt.NDArray[np.int64]:
    """Return slot limits rounded up to the step of placement: the last layer may end unaligned."""
    return np.array([round_up(count, SLOT_STEP) for count in slots], dtype=np.int64)


def _offsets(state: _State, group: Group, base: int) -> dict[int, int] | None:
    """Return the lowest offsets for the buffers of ``group``; None if they do not fit."""
    offsets: dict[int, int] = {}
    bases = dict(state.bases)
    for buffer, delta in group:
        bases[buffer] = base + delta
        offset = _lowest_offset(state.problem, buffer, bases, {**state.offsets, **offsets})
        if offset is None:
            return None
        offsets[buffer] = offset
    return offsets


def _lowest_offset(
    problem: Problem, index: int, bases: Mapping[int, int], offsets: Mapping[int, int]
) -> int | None:
    buffer = problem.buffers[index]
    busy = sorted(
        (offset, offset + problem.buffers[other].size_bytes)
        for other, offset in offsets.items()
        if _meet(problem, index, other, bases)
    )
    offset = 0
    for start, end in busy:
        if offset + buffer.size_bytes <= start:
            break
        offset = max(offset, end)
    return offset if offset + buffer.size_bytes <= problem.cnn.instance_bytes else None


def _meet(problem: Problem, index: int, other: int, bases: Mapping[int, int]) -> bool:
    """Tell whether two buffers are needed at the same time in a common memory instance."""
    a, b = problem.buffers[index], problem.buffers[other]
    if a.first > b.last or b.first > a.last:
        return False
    shared = problem.cnn.processors_per_instance
    spans = [
        (bases[i] // shared, (bases[i] + problem.buffers[i].width - 1) // shared) for i in (index, other)
    ]
    return spans[0][0] <= spans[1][1] and spans[1][0] <= spans[0][1]


def _tied(problem: Problem) -> tuple[Group, ...]:
    """Return groups of (buffer, processors behind the group's first) that ties hold together."""
    groups: dict[int, dict[int, int]] = {index: {index: 0} for index in range(len(problem.buffers))}
    for tie in problem.ties:
        one, two = groups[tie.buffer], groups[tie.other]
        if one is two:
            continue
        shift = one[tie.buffer] + tie.delta - two[tie.other]
        one.update({buffer: delta + shift for buffer, delta in two.items()})
        for buffer in two:
            groups[buffer] = one
    unique = {id(group): group for group in groups.values()}
    return tuple(
        tuple((buffer, delta - min(group.values())) for buffer, delta in sorted(group.items()))
        for group in unique.values()
    )


def _stopped(state: _State, group: Group) -> Diagnostic:
    """Say which memory has no room for ``group``."""
    problem, cnn = state.problem, state.problem.cnn
    end = max(delta + problem.buffers[buffer].width for buffer, delta in group)
    weights_fit = any(
        _filled(state, group, base) is not None
        for base in range(0, cnn.processors - end + 1, cnn.processors_per_instance)
    )
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
        need=f"{slots} slots in each of {end} neighbouring processors",
        have=f"{free} of {cnn.weight_slots} slots in the emptiest",
        hint="quantize to fewer weight bits, or cut the network into more segments",
    )
