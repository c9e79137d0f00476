"""Choice of processors, offsets and weight slots by a constraint solver, where the greedy strategies fail.

Weights are rectangles of processors by slots that must not overlap; buffers that are needed at the same time
lie in different memory instances, or one behind the other, or one over the other where that is allowed. The
solver runs on one thread with a budget that does not depend on the machine: the same input gives the same
result.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import combinations, groupby
from typing import TYPE_CHECKING

from synergyc.synth.arrange import Arrangement, Demand, Problem, coexist, tied
from synergyc.synth.memories import SLOT_STEP, WHOLE_MEMORIES

if TYPE_CHECKING:
    from ortools.sat.python.cp_model import BoundedLinearExpression, CpModel, IntVar, LinearExprT

_WORD_BYTES = 4


class Outcome(StrEnum):
    """What a search without result says."""

    IMPOSSIBLE = "no arrangement exists"
    UNKNOWN = "the search budget ran out"


@dataclass(frozen=True)
class Scope:
    """Which memories a search looks at."""

    data: bool = True
    weights: bool = True


EVERYTHING = Scope()


def solve(
    problem: Problem, budget_s: float, scope: Scope = EVERYTHING
) -> tuple[Arrangement | Outcome, float]:
    """Return an arrangement, or why there is none, and the part of ``budget_s`` that the search took.

    With less than the whole scope the arrangement holds for the memories looked at only.
    """
    from ortools.sat.python import cp_model

    model = _Model(problem, cp_model.CpModel())
    model.place_groups()
    if scope.data:
        model.keep_buffers_apart()
    if scope.weights:
        model.pack_weights()
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = 0
    solver.parameters.max_deterministic_time = budget_s
    status = solver.status_name(solver.solve(model.model))
    spent_s = float(solver.response_proto.deterministic_time)
    if status in {"OPTIMAL", "FEASIBLE"}:
        found = Arrangement(
            tuple(solver.value(base) for base in model.bases),
            tuple(_WORD_BYTES * solver.value(offset) for offset in model.offsets),
            tuple(SLOT_STEP * solver.value(slot) for slot in model.slots) if scope.weights else None,
        )
        return found, spent_s
    return Outcome.IMPOSSIBLE if status == "INFEASIBLE" else Outcome.UNKNOWN, spent_s


@dataclass
class _Model:
    """The variables: base processors and offsets in words by buffer, first slots by demand."""

    problem: Problem
    model: CpModel
    bases: list[LinearExprT] = field(default_factory=list)
    instances: list[IntVar] = field(default_factory=list)
    offsets: list[IntVar] = field(default_factory=list)
    slots: list[IntVar] = field(default_factory=list)
    group_of: dict[int, int] = field(default_factory=dict)
    delta_of: dict[int, int] = field(default_factory=dict)

    def place_groups(self) -> None:
        """Let each group of tied buffers begin at any memory instance, each network at one of quadrant 0."""
        problem, model = self.problem, self.model
        lanes = problem.cnn.processors_per_instance
        starts = []
        for number, group in enumerate(tied(problem)):
            starts.append(model.new_int_var(0, problem.bases_of(group)[-1] // lanes, f"group{number}"))
            for member, delta in group:
                self.group_of[member], self.delta_of[member] = number, delta
        for index, buffer in enumerate(problem.buffers):
            start = starts[self.group_of[index]]
            self.instances.append(start)
            self.bases.append(lanes * start + self.delta_of[index])
            last = (problem.cnn.instance_bytes - buffer.size_bytes) // _WORD_BYTES
            self.offsets.append(model.new_int_var(0, max(0, last), f"offset{index}"))
        for level in problem.levels:
            for other in level[1:]:
                model.add(self.offsets[other] == self.offsets[level[0]])
        per_quadrant = problem.cnn.processors_per_quadrant // lanes
        for network in problem.networks:
            inside = [self._when(starts[number] < per_quadrant) for number in self._groups(network)]
            model.add_bool_or(inside)

    def _groups(self, network: Sequence[int]) -> list[int]:
        return sorted({self.group_of[index] for index in network})

    def _when(self, condition: BoundedLinearExpression | bool) -> IntVar:
        """Return a literal that implies ``condition``."""
        literal = self.model.new_bool_var("")
        self.model.add(condition).only_enforce_if(literal)
        return literal

    def keep_buffers_apart(self) -> None:
        """Buffers that are needed at the same time share no byte, unless one may lie over the other."""
        buffers = self.problem.buffers
        if any(buffer.size_bytes > self.problem.cnn.instance_bytes for buffer in buffers):
            self.model.add_bool_or([])
        allowed = {(overlay.output, overlay.source): overlay.lead_bytes for overlay in self.problem.overlays}
        for one, two in combinations(range(len(buffers)), 2):
            if not coexist(buffers[one], buffers[two]) or self._always_beside(one, two):
                continue
            literals = [*self._beside(one, two), *self._beside(two, one)]
            for output, source in ((one, two), (two, one)):
                lead_bytes = allowed.get((output, source))
                if lead_bytes is not None:
                    words = lead_bytes // _WORD_BYTES
                    literals.append(self._when(self.offsets[source] - self.offsets[output] >= words))
            self.model.add_bool_or(literals)

    def _span(self, index: int) -> tuple[int, int]:
        """Return the first and last memory instance of a buffer, relative to its group's."""
        lanes, first = self.problem.cnn.processors_per_instance, self.delta_of[index]
        return first // lanes, (first + self.problem.buffers[index].width - 1) // lanes

    def _always_beside(self, one: int, two: int) -> bool:
        """Tell whether two buffers of one group lie in different instances wherever the group is."""
        if self.group_of[one] != self.group_of[two]:
            return False
        first, second = self._span(one), self._span(two)
        return first[1] < second[0] or second[1] < first[0]

    def _beside(self, one: int, two: int) -> Iterator[IntVar]:
        """Yield literals: ``one`` ends before ``two`` begins, in offsets or in memory instances."""
        size = self.problem.buffers[one].size_bytes // _WORD_BYTES
        yield self._when(self.offsets[one] + size <= self.offsets[two])
        if self.group_of[one] != self.group_of[two]:
            end, begin = self._span(one)[1], self._span(two)[0]
            yield self._when(self.instances[one] + end < self.instances[two] + begin)

    def pack_weights(self) -> None:
        """Weights of a layer begin at one slot in all its processors, and meet those of no other layer."""
        problem, model = self.problem, self.model
        across, along = [], []
        for number, demand in enumerate(problem.demands):
            if demand.same_as is not None:
                self.slots.append(self.slots[demand.same_as])
                continue
            top = problem.cnn.large_weight_slots - demand.slots
            low = -(-problem.weight_start // SLOT_STEP)
            if top < SLOT_STEP * low:
                model.add_bool_or([])
                return
            slot = model.new_int_var(low, top // SLOT_STEP, f"slot{number}")
            self.slots.append(slot)
            if demand.whole:
                self._keep_whole(slot, demand)
            for first, length in _runs(demand.processors):
                x = model.new_int_var(0, problem.cnn.processors, "")
                y = model.new_int_var(0, problem.cnn.large_weight_slots, "")
                model.add(x == self.bases[demand.buffer] + first)
                model.add(y == SLOT_STEP * slot)
                across.append(model.new_fixed_size_interval_var(x, length, ""))
                along.append(model.new_fixed_size_interval_var(y, demand.slots, ""))
        for first, length, begin, end in _blocked(problem):
            across.append(model.new_fixed_size_interval_var(first, length, ""))
            along.append(model.new_fixed_size_interval_var(begin, end - begin, ""))
        model.add_no_overlap_2d(across, along)

    def _keep_whole(self, slot: IntVar, demand: Demand) -> None:
        """Keep a demand inside one physical memory."""
        size = self.problem.cnn.weight_slots // WHOLE_MEMORIES
        block = self.model.new_int_var(0, WHOLE_MEMORIES - 1, "")
        self.model.add(SLOT_STEP * slot >= size * block)
        self.model.add(SLOT_STEP * slot + demand.slots <= size * block + size)


def _runs(processors: Sequence[int]) -> list[tuple[int, int]]:
    """Return (first, length) of the runs of neighbours."""
    found = []
    for _, run in groupby(enumerate(processors), key=lambda item: item[1] - item[0]):
        members = [processor for _, processor in run]
        found.append((members[0], len(members)))
    return found


def _blocked(problem: Problem) -> Iterator[tuple[int, int, int, int]]:
    """Yield (processor, count, first slot, end) of what is not there, or belongs to other networks."""
    cnn = problem.cnn
    if cnn.large_weight_slots > cnn.weight_slots:
        small = [processor for processor in range(cnn.processors) if processor not in cnn.large_processors]
        for first, length in _runs(small):
            yield first, length, cnn.weight_slots, cnn.large_weight_slots
    for item in problem.taken:
        yield item.processor, 1, item.first, item.end
