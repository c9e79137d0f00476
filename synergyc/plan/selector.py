"""Choosing a plan: the question as arrays, a selector's choice, what else would fit, what would not."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from synergyc.diagnostics import Diagnostic, SynergyError
from synergyc.ir.network import Network
from synergyc.plan.checks import MIXED_RESIDENCY, Fits
from synergyc.plan.deadlines import late_results
from synergyc.plan.goals import Score
from synergyc.plan.instance import Instance, make_instance
from synergyc.plan.power import DevicePower, device_powers, short_batteries
from synergyc.plan.problem import Objective, PlanApp, PlanProblem, objective_name
from synergyc.plan.selectors import Budget, Selection, Selector, find_selector
from synergyc.plan.types import AppPlan, Plan

__all__ = ["ALTERNATIVES", "Fits", "PlanResult", "Rejected", "choose", "choose_or_swap"]

ALTERNATIVES = 5
"""Runners-up that are kept."""

REJECTED = 100
"""Better plans that do not fit and are kept."""

TIME_BUDGET_S = 10.0
"""What a search may take unless it is told otherwise."""


@dataclass(frozen=True)
class Rejected:
    """A plan that would have come before others that fit, and what stands against it."""

    apps: tuple[AppPlan, ...]
    reasons: tuple[Diagnostic, ...]


@dataclass(frozen=True)
class PlanResult:
    """The chosen plan, others that fit, and better ones that do not fit.

    ``alternatives`` and ``rejected`` differ from the plan in one app. ``gap`` is the relative distance of
    the objective to a proven bound: 0 where ``optimal``, 1 where nothing is proven. ``longest_chain`` names
    the apps whose plans were limited to so many devices; where it is empty, every plan was considered.
    """

    plan: Plan
    alternatives: tuple[Plan, ...]
    rejected: tuple[Rejected, ...]
    optimal: bool
    gap: float
    solve_s: float = field(compare=False)
    value: float = 0.0
    """The objective in its own unit, of a lexicographic one the first goal."""
    longest_chain: Mapping[str, int] = field(default_factory=dict)
    resident_reasons: tuple[Diagnostic, ...] = ()
    """Why no plan that keeps all weights in place was taken, for one that loads them in turn."""
    warnings: tuple[Diagnostic, ...] = ()
    """What the plan's schedule or its links do not keep."""
    power: tuple[DevicePower, ...] = ()
    """Of each device that the plan uses."""

    def told(self, problem: PlanProblem) -> PlanResult:
        """Return it with the power of devices, and warnings of what no objective looks at, of its plan."""
        power = device_powers(problem, self.plan.apps)
        late = late_results(problem.apps, self.plan.apps)
        return replace(self, power=power, warnings=(*late, *short_batteries(power, problem.battery_h)))


def choose_or_swap(
    problem: PlanProblem,
    networks: Mapping[str, Network],
    fits: Fits,
    objective: Objective = "throughput",
    selector: str = "exact",
    time_budget_s: float = TIME_BUDGET_S,
) -> PlanResult:
    """Return a plan as ``choose`` does, or one that loads weights in turn where that is better.

    Figures that count a load for each run decide; of equal plans the one with resident weights is taken.
    Plans that swap are searched only if segments were refused beside each other: else none can be better.
    Raises SynergyError if swap does not help either; it then says what stands against that.
    """
    started, select = time.perf_counter(), find_selector(selector)
    _check_question(problem, networks)

    def ask(swap: bool) -> Instance:
        return make_instance(replace(problem, weight_swap=swap), networks, fits, objective)

    if problem.weight_swap:
        return choose(problem, networks, fits, objective, selector, time_budget_s)
    found = found_or_swapping(ask, select, time_budget_s)
    return _result(found, selector, started)


def found_or_swapping(ask: Callable[[bool], Instance], select: Selector, time_budget_s: float) -> Found:
    """Return what ``select`` chooses with resident weights or, where that is better, with weights in turn.

    ``ask`` returns the question; True: where plans may load weights in turn.
    """
    budget = Budget.of(time_budget_s)
    try:
        resident = _search(ask(False), select, time_budget_s)
    except SynergyError as error:
        if error.diagnostics[0].rule not in _SWAP_MAY_HELP:
            raise
        return replace(_search(ask(True), select, time_budget_s), resident_reasons=error.diagnostics)
    if not resident.instance.checks.crowded:
        return resident
    try:
        either = _search(ask(True), select, max(budget.left_s, time_budget_s / 2))
    except SynergyError:  # no time to find again what is known
        return resident.unproven
    if either.score >= resident.score:
        return resident.bounded_by(either)
    return replace(either, resident_reasons=(_worse_resident(resident, either),)) if either.swaps else either


_SWAP_MAY_HELP = ("apps-conflict", "no-place-left", "no-plan-in-time", "rate-missed")
"""Rules by which a plan with resident weights fails that one with swapped weights may keep."""


def choose(
    problem: PlanProblem,
    networks: Mapping[str, Network],
    fits: Fits,
    objective: Objective = "throughput",
    selector: str = "exact",
    time_budget_s: float = TIME_BUDGET_S,
) -> PlanResult:
    """Return the plan of ``selector`` for ``problem`` with one network for each app.

    Raises SynergyError if the selector is unknown, a pin lies outside its network, no candidate honours
    what the app file asks, or none fits.
    """
    started, select = time.perf_counter(), find_selector(selector)
    _check_question(problem, networks)
    instance = make_instance(problem, networks, fits, objective)
    return _result(_search(instance, select, time_budget_s), selector, started)


@dataclass(frozen=True)
class Found:
    """A question with all candidates that were looked at, and what a selector chose."""

    instance: Instance
    selection: Selection
    resident_reasons: tuple[Diagnostic, ...] = ()
    """Why no plan that keeps all weights in place was taken, for one that loads them in turn."""

    @cached_property
    def score(self) -> Score:
        return self.instance.score(self.selection.rows)

    @property
    def value(self) -> float:
        return self.instance.scorer.value(self.score[0])

    @property
    def swaps(self) -> bool:
        """Whether any accelerator loads weights in turn."""
        rows = enumerate(self.selection.rows)
        return any(any(self.instance.candidate(j, row).swapped) for j, row in rows)

    @property
    def unproven(self) -> Found:
        """The same choice, with nothing proven."""
        return replace(self, selection=replace(self.selection, bound=None, optimal=False))

    def bounded_by(self, other: Found) -> Found:
        """Return the same choice with what is proven of ``other``, whose candidates include these."""
        bound, optimal = other.selection.bound, other.selection.optimal
        return replace(self, selection=replace(self.selection, bound=bound, optimal=optimal))


def _search(instance: Instance, select: Selector, time_budget_s: float) -> Found:
    selection = select(instance, Budget.of(time_budget_s))
    return Found(selection.grown or instance, selection)


def _check_question(problem: PlanProblem, networks: Mapping[str, Network]) -> None:
    outside = [item for app in problem.apps for item in _check_pins(app, networks[app.name])]
    if outside:
        raise SynergyError(outside)


def _worse_resident(resident: Found, chosen: Found) -> Diagnostic:
    goal = objective_name(resident.instance.objective)
    message = f"the best plan found that keeps all weights in place is worse by the objective, {goal}"
    return Diagnostic("resident-worse", message, need=f"{chosen.value:.4g}", have=f"{resident.value:.4g}")


def _result(found: Found, selector: str, started: float) -> PlanResult:
    instance, selection = found.instance, found.selection
    alternatives, rejected = _neighbours(instance, selection.rows)
    goal = objective_name(instance.objective)
    solve_s = time.perf_counter() - started
    apps, played = instance.scheduled(selection.rows)
    return PlanResult(
        plan=Plan(apps, goal, selector, instance.size, played),
        alternatives=tuple(
            Plan(instance.plans(rows), goal, selector, instance.size) for rows in alternatives
        ),
        rejected=rejected,
        optimal=selection.optimal,
        gap=selection.gap(found.score[0]),
        solve_s=solve_s,
        value=found.value,
        longest_chain={
            table.model.app.name: table.unlisted[0] - 1
            for table in instance.tables
            if table.unlisted and not table.model.app.split
        },
        resident_reasons=found.resident_reasons,
    ).told(instance.problem)


def _neighbours(
    instance: Instance, rows: Sequence[int]
) -> tuple[list[tuple[int, ...]], tuple[Rejected, ...]]:
    """Return the best plans that change one app's part, and those before them that do not fit."""
    alternatives: list[tuple[int, ...]] = []
    rejected: list[Rejected] = []
    for neighbour in _ranked_neighbours(instance, tuple(rows)):
        candidates = [instance.candidate(j, row) for j, row in enumerate(neighbour)]
        reasons = instance.checks.reasons(candidates)
        if not reasons:
            alternatives.append(neighbour)
        elif len(rejected) < REJECTED and any(reason.rule != MIXED_RESIDENCY for reason in reasons):
            rejected.append(Rejected(instance.plans(neighbour), reasons))
        if len(alternatives) == ALTERNATIVES or len(rejected) == REJECTED:
            break
    return alternatives, tuple(rejected)


def _ranked_neighbours(instance: Instance, rows: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    found: list[tuple[Score, tuple[int, ...]]] = []
    for j in range(len(rows)):
        scores = instance.scores(j, {i: row for i, row in enumerate(rows) if i != j})
        order = scores[:, 0].argsort(kind="stable")[: REJECTED + ALTERNATIVES + 1]
        for row in order:
            if row != rows[j] and math.isfinite(scores[row, 0]):
                neighbour = (*rows[:j], int(row), *rows[j + 1 :])
                found.append((tuple(float(value) for value in scores[row]), neighbour))
    yield from (neighbour for _, neighbour in sorted(found))


def _check_pins(app: PlanApp, network: Network) -> list[Diagnostic]:
    last = len(network.layers) - 1
    return [
        Diagnostic(
            "pin-range",
            f"app {app.name!r}: pinned layers must exist",
            pin.location,
            need=f"layer {pin.last}",
            have=f"layers 0-{last}",
        )
        for pin in app.pins
        if pin.last > last
    ]
