"""The paper's evaluation: every selector on every case (docs/selectors.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial

from synergyc.diagnostics import Diagnostic, SynergyError
from synergyc.ir.network import Network
from synergyc.legalize import check_limits, check_together
from synergyc.pipeline.evaluation_cases import (
    FLEETS,
    GOALS,
    LARGE,
    PLACEMENTS,
    RATES_KBYTE_S,
    SMALL,
    WORKLOADS,
    Placement,
    Setting,
    make_problem,
)
from synergyc.pipeline.planning import fits, remembered
from synergyc.plan.checks import Fits
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
}
"""Selectors that count devices only: they are also tried with a typical one of their equally good plans."""

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
        """Sum of the apps' rates if nothing overlaps: one run at a time in the whole system, apps in turn."""
        return 1000 * len(self.apps) / self.latency_ms if self.apps else 0.0


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
        for workload in self.workloads:
            names = WORKLOADS[workload]
            for fleet, chips in FLEETS.items():
                self.progress(f"{self.setting.name}: {workload} on {fleet}")
                way = self._way(names, chips)
                for placement in PLACEMENTS:
                    for rate in RATES_KBYTE_S:
                        for goal, name, tie, found in self._case(names, chips, rate, placement, way):
                            yield Row(workload, fleet, placement, rate, goal, name, tie, *found)

    def _way(self, names: Sequence[str], chips: Sequence[str]) -> _Way | None:
        """Return the first way in which ``exact`` finds a plan: rates of links do not matter for that."""
        forms = [form for form in (SMALL, LARGE) if form in chips]
        for form in forms:
            for check, swap in ((_placed_quickly, False), (_placed, False), (_placed_quickly, True)):
                way = _Way(form, _checked(form, check), swap)
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


def _placed_quickly(networks: Sequence[Network], chip: Chip) -> tuple[Diagnostic, ...]:
    """Return what stands against ``networks`` resident on ``chip`` by the quick ways of placement alone."""
    problems = tuple(problem for network in networks for problem in check_limits(network, chip))
    problems = problems or check_together(networks, chip)
    if problems:
        return problems
    try:
        place_resident(networks, chip, budget_s=0)
    except SynergyError as error:
        return error.diagnostics
    return ()


def _placed(networks: Sequence[Network], chip: Chip) -> tuple[Diagnostic, ...]:
    """Return the same by placement as builds do it, with its solver."""
    return _placed_quickly(networks, chip) and fits(networks, chip)


@cache
def _checked(form: str, check: Fits) -> Fits:
    """Return ``check`` with a memory for the networks of ``form``."""
    return remembered(check)
