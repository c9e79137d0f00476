"""One planning question with all candidates as arrays: what every selector searches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np

from synergyc.diagnostics import Diagnostic
from synergyc.ir.network import Network
from synergyc.plan.checks import Checks, Fits
from synergyc.plan.columns import Floats, Indices, Mask
from synergyc.plan.cost import CostModel
from synergyc.plan.costing import app_plans
from synergyc.plan.energy import idle_mw
from synergyc.plan.goals import Figures, Score, Scorer, app_figures, optimistic
from synergyc.plan.labels import with_some
from synergyc.plan.layout import travel_bytes
from synergyc.plan.needs import Needs
from synergyc.plan.problem import Objective, PlanApp, PlanProblem
from synergyc.plan.residency import as_played, with_residency
from synergyc.plan.space import Candidate
from synergyc.plan.table import MAX_CANDIDATES, CandidateTable, candidate_table, unit_index
from synergyc.plan.timeline import schedule
from synergyc.plan.types import AppPlan, Schedule

Choice = Mapping[int, int]
"""Row of its table by the index of an app; apps may be missing."""

_FIGURE_OF: Mapping[str, tuple[str, int]] = {
    "throughput": ("rate_hz", -1),
    "ratio": ("slowest", 1),
    "latency": ("latency_ms", 1),
    "energy": ("energy_uj", 1),
}
"""The figure that a goal compares, and -1 where more is better."""

_ASKED = 12
"""Candidates of an app that are asked whether they fit, for a bound."""

_RATE_SLACK = 1 + 1e-9
"""A wanted rate counts as reached within rounding."""


@dataclass(frozen=True)
class Bracket:
    """Plans where the load of one unit (its column) is at least ``least_us`` and at most ``most_us``."""

    unit: int
    least_us: float
    most_us: float


@dataclass(frozen=True)
class Instance:
    """Tables of all apps, what is wanted, and the checks; with a ``bracket`` only of plans inside it."""

    problem: PlanProblem
    tables: tuple[CandidateTable, ...]
    checks: Checks
    scorer: Scorer
    bracket: Bracket | None = None

    @property
    def objective(self) -> Objective:
        """What the plan is best at."""
        return self.scorer.objective

    @cached_property
    def order(self) -> tuple[int, ...]:
        """Apps by how long they need at least, longest first: they leave the fewest choices to others."""
        alone_us = [self.periods(j, {}).min() for j in range(len(self.tables))]
        return tuple(sorted(range(len(self.tables)), key=lambda j: -alone_us[j]))

    @cached_property
    def size(self) -> int:
        """Number of plans in the space."""
        size = 1
        for table in self.tables:
            size *= len(table)
        return size

    def wanted_hz(self, j: int) -> float:
        """Return the rate that app ``j`` is compared with by the goal ``ratio``."""
        return self._app(j).wanted_hz or 1.0

    def candidate(self, j: int, row: int) -> Candidate:
        """Return candidate ``row`` of app ``j``."""
        return self.tables[j].candidate(row)

    @cached_property
    def floors_us(self) -> Floats:
        """What each app takes of each unit whatever its plan, (apps, U)."""
        return np.stack([table.busy_us.min(axis=0) for table in self.tables])

    def load_us(self, chosen: Choice, after: Sequence[int] = (), least_us: Floats | None = None) -> Floats:
        """Return what ``chosen``, and at least the apps ``after``, take of each unit, (U,).

        ``least_us`` (apps, U) is what each app takes at least; None: ``floors_us``.
        """
        load: Floats = (self.floors_us if least_us is None else least_us)[list(after)].sum(axis=0)
        for i, row in chosen.items():
            load = load + self.tables[i].busy_us[row]
        return load

    def least_beside(self, chosen: Choice, apps: Sequence[int], beside: Sequence[int] = ()) -> Floats | None:
        """Return what each app takes of each unit at least, (apps, U); None if one of ``apps`` cannot fit.

        Of the unit that is then the busiest, with ``apps`` and ``beside``, it is what ``apps`` take with a
        candidate that fits beside ``chosen``: the load of that unit bounds the rates of all that use it.
        """
        least_us = self.floors_us.copy()
        asked: set[int] = set()
        while (unit := int(self.load_us(chosen, (*apps, *beside), least_us).argmax())) not in asked:
            asked.add(unit)
            for k in apps:
                least_us[k, unit] = self._needs.least_us(k, unit, chosen)
            if np.isinf(least_us[list(apps), unit]).any():
                return None
        return least_us

    @cached_property
    def _needs(self) -> Needs:
        return Needs(self.tables, self.admits)

    def periods(
        self, j: int, chosen: Choice, after: Sequence[int] = (), least_us: Floats | None = None
    ) -> Floats:
        """Return the period of app ``j`` beside ``chosen`` for each of its candidates, (n,).

        With apps ``after`` that are still to be chosen, it is a lower bound.
        """
        columns, busy_us, used = self._active[j]
        total_us = busy_us + self.load_us(chosen, after, least_us)[columns]
        self._lift(total_us, columns)
        return np.asarray(np.where(used, total_us, 0.0).max(axis=1), dtype=np.float64)

    def figures(
        self, j: int, chosen: Choice, after: Sequence[int] = (), least_us: Floats | None = None
    ) -> Figures:
        """Return the figures of ``chosen`` and each candidate of ``j`` together."""
        period_us = self.periods(j, chosen, after, least_us)
        total = app_figures(self.tables[j], period_us, self.wanted_hz(j))
        missed = self.missed(j, period_us)
        load = self.load_us(chosen, after, least_us)
        missed |= self._too_high(j, load)
        for i, row in chosen.items():
            columns = np.flatnonzero(self.tables[i].busy_us[row])
            total_us = load[columns] + self.tables[j].busy_us[:, columns]
            self._lift(total_us, columns)
            others_us = total_us.max(axis=1)
            total = total + app_figures(self.tables[i], others_us, self.wanted_hz(i), row)
            missed |= self.missed(i, others_us)
        if missed.any():
            total = replace(total, segments=np.where(missed, np.inf, total.segments))
        return total

    def free(self, j: int, chosen: Choice) -> Mask:
        """Return the candidates of ``j`` whose devices ``chosen`` leaves free; all where they are shared."""
        table = self.tables[j]
        if self.problem.shared_accelerators:
            return np.ones(len(table), dtype=np.bool_)
        taken = np.uint64(0)
        for i, row in chosen.items():
            taken |= self.tables[i].mask[row]
        return np.asarray((table.mask & taken) == 0)

    def rest(
        self,
        apps: Sequence[int],
        chosen: Choice,
        beside: Sequence[int] = (),
        least_us: Floats | None = None,
    ) -> Figures | None:
        """Return what ``apps`` can at best add to ``chosen``; None if one of them has no candidate left.

        ``beside`` are further apps that are still to be chosen.
        """
        total = Figures()
        for k in apps:
            others = [i for i in (*apps, *beside) if i != k]
            free = self.free(k, chosen) & ~self._too_high(k, self.load_us(chosen, others, least_us))
            if not free.any():
                return None
            alone = app_figures(self.tables[k], self.periods(k, chosen, others, least_us), self.wanted_hz(k))
            total = total + self._admissible(k, chosen, alone, free)
        return total

    def _admissible(self, k: int, chosen: Choice, alone: Figures, free: Mask) -> Figures:
        """Return what app ``k`` can at best reach; what is best for the (first) goal fits beside ``chosen``.

        The best few candidates are asked; if none of them fits, the best of the others is the bound.
        """
        best = optimistic(alone, free)
        first = self.objective[0] if isinstance(self.objective, tuple) else self.objective
        if not chosen or not isinstance(first, str) or first not in _FIGURE_OF:
            return best
        name, sign = _FIGURE_OF[first]
        rows = np.flatnonzero(free)
        values = sign * np.asarray(getattr(alone, name))[rows]
        few = (
            np.argpartition(values, _ASKED)[: _ASKED + 1] if len(values) > _ASKED else np.arange(len(values))
        )
        few = few[np.argsort(values[few], kind="stable")]
        for place in few[:_ASKED]:
            if self.admits(chosen, k, int(rows[place])):
                return replace(best, **{name: sign * float(values[place])})
        bound = float(values[few[-1]]) if len(values) > _ASKED else np.inf
        return replace(best, **{name: sign * bound})

    def scores(self, j: int, chosen: Choice) -> Floats:
        """Return the scores (n, k) of ``chosen`` and each candidate of ``j``, with no other app."""
        return self.scorer.scores(self.figures(j, chosen))

    def bounds(self, j: int, chosen: Choice, after: Sequence[int]) -> Floats | None:
        """Return lower bounds (n, k) of the scores of all plans with ``chosen`` and each candidate of ``j``.

        ``after`` are the apps that are still to be chosen; None if one of them has no candidate left. With
        none of them the bounds are the scores.
        """
        least_us = self.least_beside(chosen, after, (j,))
        if least_us is None:
            return None
        rest = self.rest(after, chosen, (j,), least_us)
        return None if rest is None else self.scorer.scores(self.figures(j, chosen, after, least_us) + rest)

    def missed(self, j: int, period_us: Floats) -> Mask:
        """Return which periods (n,) of app ``j`` miss its wanted rate; the goal ``ratio`` only compares."""
        wanted_hz = self._app(j).wanted_hz
        if wanted_hz is None or self.objective == "ratio":
            return np.zeros(len(period_us), dtype=np.bool_)
        return np.asarray(period_us > 1e6 / wanted_hz * _RATE_SLACK)

    def score(self, rows: Sequence[int]) -> Score:
        """Return the score of a whole plan; infinite where it misses a wanted rate."""
        chosen = dict(enumerate(rows[:-1]))
        last = len(rows) - 1
        return tuple(float(value) for value in self.scores(last, chosen)[rows[last]])

    def admits(self, chosen: Choice, j: int, row: int) -> bool:
        """Return whether candidate ``row`` of ``j`` fits its chips and devices beside ``chosen``.

        Chains that are only begun take no room.
        """
        if self.tables[j].begun[row]:
            return True
        own = self.candidate(j, row)
        if not self.checks.alone(own):
            return False
        devices, near = self.tables[j].mask[row], self.near(chosen, j, row)
        beside = [self.candidate(i, chosen[i]) for i in near if self.tables[i].mask[chosen[i]] & devices]
        if beside and not self.checks.together([own, *beside]):
            return False
        return not near or self.checks.have_room([own, *(self.candidate(i, chosen[i]) for i in near)])

    def near(self, chosen: Choice, j: int, row: int) -> list[int]:
        """Return the apps of ``chosen`` with a part on a device where candidate ``row`` of ``j`` has one."""
        places = self.tables[j].places(row)
        return [
            i
            for i, other in chosen.items()
            if not (self.tables[i].begun[other] or places.isdisjoint(self.tables[i].places(other)))
        ]

    def plans(self, rows: Sequence[int]) -> tuple[AppPlan, ...]:
        """Return the plans of all apps, with predictions by the cost model, without residency sets."""
        return app_plans(
            [table.model.cost(table.candidate(row)) for table, row in zip(self.tables, rows, strict=True)]
        )

    def scheduled(self, rows: Sequence[int]) -> tuple[tuple[AppPlan, ...], Schedule]:
        """Return the plans with residency sets and what their schedule gives, and the schedule."""
        candidates = [self.candidate(j, row) for j, row in enumerate(rows)]
        settled = with_residency(candidates, self.checks)
        costings = [table.model.cost(item) for table, item in zip(self.tables, settled, strict=True)]
        played = schedule(self.problem, costings)
        return as_played(app_plans(costings), played), played

    def reasons_of(self, rows: Sequence[int]) -> tuple[Diagnostic, ...]:
        """Return what stands against a whole plan."""
        return self.checks.reasons([self.candidate(j, row) for j, row in enumerate(rows)])

    @cached_property
    def data_intensity(self) -> tuple[int, ...]:
        """Bytes that each app's network moves: its inputs and every layer's output, as they would travel."""
        cnn = self.problem.devices[0].chip.cnn
        networks = [table.model.network for table in self.tables]
        return tuple(
            sum(travel_bytes(tensor, cnn) for tensor in (*net.inputs, *(item.output for item in net.layers)))
            for net in networks
        )

    def _too_high(self, j: int, others_us: Floats) -> Mask:
        """Return the candidates of ``j`` that, with the others' load (U,), go beyond the bracket."""
        if self.bracket is None:
            return np.zeros(len(self.tables[j]), dtype=np.bool_)
        load_us = self.tables[j].busy_us[:, self.bracket.unit] + others_us[self.bracket.unit]
        return np.asarray(load_us > self.bracket.most_us * _RATE_SLACK)

    def _lift(self, total_us: Floats, columns: Indices) -> None:
        """Raise loads (n, units) of the bracket's unit to what they are at least, in place."""
        if self.bracket:
            place = columns == self.bracket.unit
            total_us[:, place] = np.maximum(total_us[:, place], self.bracket.least_us)

    def _app(self, j: int) -> PlanApp:
        return self.tables[j].model.app

    @cached_property
    def _active(self) -> tuple[tuple[Indices, Floats, Mask], ...]:
        """For each app the units that any candidate uses, with the times and marks of these units only."""
        found = []
        for table in self.tables:
            columns = np.flatnonzero(table.busy_us.any(axis=0))
            busy_us = np.ascontiguousarray(table.busy_us[:, columns])
            found.append((columns, busy_us, busy_us > 0))
        return tuple(found)


def make_instance(
    problem: PlanProblem,
    networks: Mapping[str, Network],
    fits: Fits,
    objective: Objective,
    max_candidates: int = MAX_CANDIDATES,
) -> Instance:
    """Return the tables of all apps, each of up to ``max_candidates``, the shortest chains first.

    Raises SynergyError where an app has no candidate.
    """
    units = unit_index(problem)
    models = [CostModel(problem, app, networks[app.name]) for app in problem.apps]
    checks = Checks(problem, networks, fits)
    listed = [candidate_table(model, units, max_candidates) for model in models]
    tables = tuple(
        table if len(table) else with_some(table, partial(checks.segment_fits, table.model.app.name))
        for table in listed
    )
    scorer = Scorer(objective, Figures(), idle_drain(problem), problem.battery_h)
    draft = Instance(problem, tables, checks, scorer)
    best = Figures()
    for j in range(len(tables)):
        best = best + (draft.rest((j,), {}) or Figures())
    return replace(draft, scorer=replace(scorer, best=best))


def idle_drain(problem: PlanProblem) -> Floats:
    """Return the share of each battery that an hour without any run takes, (batteries,)."""
    return np.array(
        [idle_mw(problem, device) / device.battery_mwh for device in problem.devices if device.battery_mwh]
    )
