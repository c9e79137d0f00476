"""The paper's evaluation: every selector on every case (docs/selectors.md)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import product

from synergyc.diagnostics import Diagnostic, SynergyError
from synergyc.ir.network import Network
from synergyc.legalize import check_limits, check_together
from synergyc.pipeline.evaluation_cases import (
    FLEETS,
    GOALS,
    LARGE,
    PLACEMENTS,
    RATES_KBYTE_S,
    RATES_OF,
    SMALL,
    WORKLOADS,
    Placement,
    Setting,
    make_problem,
)
from synergyc.pipeline.planning import fits, remembered
from synergyc.plan.checks import Fits
from synergyc.plan.cost import weight_bytes
from synergyc.plan.costing import app_plans
from synergyc.plan.goals import Scorer
from synergyc.plan.instance import Instance, make_instance
from synergyc.plan.problem import Goal
from synergyc.plan.selectors import BASELINES, Budget, Selector, baselines, find_selector
from synergyc.plan.selectors.base import ConflictError, Selection
from synergyc.plan.selectors.baselines import Tie
from synergyc.plan.types import AppPlan
from synergyc.synth.resident import place_resident
from synergyc.targets import Chip

SELECTORS = ("exact", "progressive", *BASELINES, "Neurosurgeon", "DADS")

TYPICAL: Mapping[str, Callable[..., Selection]] = {
    "MinDev": baselines.min_dev,
    "MaxDev": baselines.max_dev,
    "PriMinDev": baselines.pri_min_dev,
    "PriMaxDev": baselines.pri_max_dev,
    "IndModel": baselines.ind_model,
    "JointModel": baselines.joint_model,
}
"""Selectors that do not look at all of a plan: also tried with a typical one of those they find equal."""

_ORDERS = 2
"""Orders in which networks are placed for one chip: a grid asks about thousands of sets."""

_SOLVER_S = 30.0
"""CPU seconds of placement by the solver, for one workload on one fleet."""

NetworkSource = Callable[[str, str], Network]
"""Gives the network of a name in its form for a chip."""


@dataclass(frozen=True)
class Row:
    """What one selector gave for one case; ``apps`` is empty where it has no plan that can run.

    ``swaps``: its plans do not fit together, weights are loaded for each run where they do not.
    """

    workload: str
    fleet: str
    placement: Placement
    rate_kbyte_s: float
    objective: Goal
    selector: str
    tie: Tie
    apps: tuple[AppPlan, ...]
    reason: str
    optimal: bool
    swaps: bool = False

    @property
    def case(self) -> tuple[str, str, str, float, Goal]:
        """What is compared between selectors."""
        return self.workload, self.fleet, self.placement, self.rate_kbyte_s, self.objective

    @property
    def throughput_hz(self) -> float:
        """Sum of the apps' rates."""
        return sum(app.predicted.throughput_hz for app in self.apps)

    @property
    def latency_ms(self) -> float:
        """Sum of the apps' latencies."""
        return sum(app.predicted.latency_ms for app in self.apps)

    @property
    def sequential_hz(self) -> float:
        """Sum of the apps' rates where nothing overlaps: one run at a time, apps in turn.

        A round cannot be shorter than what the busiest unit does in it, also where latency does not show
        that: answers follow a transfer.
        """
        if not self.apps:
            return 0.0
        slowest_hz = min(app.predicted.throughput_hz for app in self.apps)
        return len(self.apps) * min(1000 / self.latency_ms, slowest_hz)


@dataclass(frozen=True)
class _Way:
    """How apps can run together: form of the networks, check of residency, whether plans may swap weights."""

    form: str
    check: Fits
    swap: bool


@dataclass(frozen=True)
class Evaluation:
    """The grid of some workloads under one setting; ``budget_s`` is for one search."""

    networks: NetworkSource
    setting: Setting
    budget_s: float
    progress: Callable[[str], None]
    workloads: tuple[str, ...] = tuple(WORKLOADS)

    def rows(self) -> Iterator[Row]:
        """Yield the results of all cases."""
        grid = list(product(self.workloads, FLEETS.items()))
        for number, (workload, (fleet, chips)) in enumerate(grid, 1):
            self.progress(f"{self.setting.name}, {number} of {len(grid)}: {workload} on {fleet}")
            names = WORKLOADS[workload]
            way = self._way(names, chips)
            for placement in PLACEMENTS:
                for rate in RATES_OF[placement]:
                    for goal, name, tie, found in self._case(names, chips, rate, placement, way):
                        yield Row(workload, fleet, placement, rate, goal, name, tie, *found)

    def _way(self, names: Sequence[str], chips: Sequence[str]) -> _Way | None:
        """Return the first way in which ``exact`` finds a plan: rates of links do not matter for that."""
        for form in (form for form in (SMALL, LARGE) if form in chips):
            quick = _quick_check(form)
            for check, swap in ((quick, False), (_with_solver(quick), False), (quick, True)):
                way = _Way(form, check, swap)
                try:
                    instance = self._instance(names, chips, RATES_KBYTE_S[-1], "neighbour", way)
                    find_selector("exact")(instance, Budget.of(self.budget_s))
                except SynergyError as error:
                    if error.diagnostics[0].rule == "plan-fits-nowhere" or not self.setting.shared:
                        break
                    continue
                return way
        return None

    def _instance(
        self, names: Sequence[str], chips: Sequence[str], rate: float, placement: Placement, way: _Way
    ) -> Instance:
        problem = make_problem(names, chips, rate, self.setting, placement, swap=way.swap)
        used = {name: self.networks(name, way.form) for name in names}
        return make_instance(problem, used, way.check, "throughput")

    def _case(
        self,
        names: Sequence[str],
        chips: Sequence[str],
        rate: float,
        placement: Placement,
        way: _Way | None,
    ) -> Iterator[tuple[Goal, str, Tie, tuple[tuple[AppPlan, ...], str, bool, bool]]]:
        asked: list[tuple[str, Tie, Selector]] = [(name, "best", find_selector(name)) for name in SELECTORS]
        asked += [(name, "typical", partial(run, tie="typical")) for name, run in TYPICAL.items()]
        instance = self._instance(names, chips, rate, placement, way) if way else None
        for goal in GOALS:
            for name, tie, selector in asked:
                if instance is None:
                    yield goal, name, tie, ((), "no plan on these devices", False, False)
                    continue
                of_goal = replace(instance, scorer=Scorer(goal, instance.scorer.best))
                yield goal, name, tie, _selected(of_goal, selector, self.budget_s)


def _selected(
    instance: Instance, selector: Selector, budget_s: float
) -> tuple[tuple[AppPlan, ...], str, bool, bool]:
    """Return plans, why there are none, whether they are proven best, and whether they need weight swap."""
    try:
        selection = selector(instance, Budget.of(budget_s))
    except ConflictError as error:
        plans = swapped(instance, error.rows)
        return plans, "" if plans else error.diagnostics[-1].message, False, True
    except SynergyError as error:
        return (), error.diagnostics[-1].message, False, False
    return (selection.grown or instance).plans(selection.rows), "", selection.optimal, False


def swapped(instance: Instance, rows: Sequence[int]) -> tuple[AppPlan, ...]:
    """Return plans that do not fit together as they can still run; none if they cannot.

    Where segments do not fit an accelerator together, it loads the weights for every run of each.
    """
    chosen = [instance.candidate(j, row) for j, row in enumerate(rows)]
    segments = [segment for candidate in chosen for segment in candidate.segments]
    crowded = {
        device
        for device in {segment.device for segment in segments}
        if len(parts := [segment for segment in segments if segment.device == device]) > 1
        and not instance.checks.resident(parts)
    }
    loading = [replace(c, swapped=tuple(device in crowded for device in c.devices)) for c in chosen]
    if instance.checks.reasons(loading):
        return ()
    return app_plans([table.model.cost(c) for table, c in zip(instance.tables, loading, strict=True)])


@cache
def _quick_check(form: str) -> Fits:
    """Return the check by the quick ways of placement, with a memory for the networks of ``form``."""
    return remembered(_placed_quickly)


def _placed_quickly(networks: Sequence[Network], chip: Chip) -> tuple[Diagnostic, ...]:
    """Return what stands against ``networks`` resident on ``chip``: those with the most weights go first."""
    problems = tuple(problem for network in networks for problem in check_limits(network, chip))
    problems = problems or check_together(networks, chip)
    if problems:
        return problems
    largest_first = sorted(networks, key=lambda network: -weight_bytes(network.layers))
    try:
        place_resident(largest_first, chip, budget_s=0, most_orders=_ORDERS)
    except SynergyError as error:
        return error.diagnostics
    return ()


def _with_solver(quick: Fits) -> Fits:
    """Return the check by placement as builds do it, with its solver for as long as ``_SOLVER_S`` says."""
    spent_s = 0.0

    def check(networks: Sequence[Network], chip: Chip) -> tuple[Diagnostic, ...]:
        nonlocal spent_s
        refusal = quick(networks, chip)
        if not refusal or spent_s > _SOLVER_S:
            return refusal
        started_s = time.process_time()
        refusal = fits(networks, chip)
        spent_s += time.process_time() - started_s
        return refusal

    return remembered(check)
