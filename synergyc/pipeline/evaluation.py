"""The paper's evaluation: every selector on every case (docs/selectors.md)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
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
    make_problem,
)
from synergyc.pipeline.planning import remembered
from synergyc.plan.checks import Fits
from synergyc.plan.cost import weight_bytes
from synergyc.plan.goals import Scorer
from synergyc.plan.instance import Instance, make_instance
from synergyc.plan.problem import Goal
from synergyc.plan.selector import found_or_swapping
from synergyc.plan.selectors import BASELINES, Budget, Selector, baselines, find_selector
from synergyc.plan.selectors.base import ConflictError, Selection
from synergyc.plan.selectors.baselines import Tie
from synergyc.plan.selectors.loading import loading
from synergyc.plan.types import AppPlan
from synergyc.synth.resident import Known, place_beside
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
class _Question:
    """One system, with all weights in place and with plans that may load them in turn."""

    resident: Instance
    swapping: Instance

    def of(self, goal: Goal) -> _Question:
        """Return the question for another objective."""
        both = (self.resident, self.swapping)
        resident, swapping = (replace(i, scorer=Scorer(goal, i.scorer.best)) for i in both)
        return _Question(resident, swapping)

    def ask(self, swap: bool) -> Instance:
        """Return one of both; True: where plans may load weights in turn."""
        return self.swapping if swap else self.resident


Outcome = tuple[tuple[AppPlan, ...], str, bool, bool]
"""Plans, why there are none, whether they are proven best, and whether they load weights in turn."""


@dataclass(frozen=True)
class Evaluation:
    """The grid of some workloads; ``budget_s`` is for one search.

    ``progress`` is called with what comes next, and how many of how many parts are done.
    """

    networks: NetworkSource
    budget_s: float
    progress: Callable[[str, int, int], None]
    workloads: tuple[str, ...] = tuple(WORKLOADS)

    def rows(self) -> Iterator[Row]:
        """Yield the results of all cases."""
        checks = {form: quick_check() for form in (SMALL, LARGE)}
        systems = [(placement, rate) for placement in PLACEMENTS for rate in RATES_OF[placement]]
        grid = list(product(self.workloads, FLEETS))
        for number, (workload, fleet) in enumerate(grid):
            form = self._form(workload, fleet, checks)
            for step, (placement, rate) in enumerate(systems, number * len(systems)):
                self.progress(
                    f"{workload} on {fleet}, {rate:g} kB/s, {placement}", step, len(grid) * len(systems)
                )
                case = (workload, fleet, placement, rate)
                question = form and self._question(*case, form, checks[form])
                for goal, name, tie, found in self._answers(question or None):
                    yield Row(*case, goal, name, tie, *found)

    def _form(self, workload: str, fleet: str, checks: Mapping[str, Fits]) -> str | None:
        """Return the first form of the networks with which there is a plan, whatever the rate of links."""
        for form in (form for form in (SMALL, LARGE) if form in FLEETS[fleet]):
            try:
                question = self._question(workload, fleet, "neighbour", RATES_KBYTE_S[-1], form, checks[form])
                found_or_swapping(question.ask, find_selector("exact"), self.budget_s)
            except SynergyError:
                continue
            return form
        return None

    def _question(
        self, workload: str, fleet: str, placement: Placement, rate: float, form: str, check: Fits
    ) -> _Question:
        names = WORKLOADS[workload]
        used = {name: self.networks(name, form) for name in names}
        resident, swapping = (
            make_problem(names, FLEETS[fleet], rate, placement, swap=swap) for swap in (False, True)
        )
        return _Question(
            make_instance(resident, used, check, "throughput"),
            make_instance(swapping, used, check, "throughput"),
        )

    def _answers(self, question: _Question | None) -> Iterator[tuple[Goal, str, Tie, Outcome]]:
        others: list[tuple[str, Tie, Selector]] = [
            (name, "best", find_selector(name)) for name in SELECTORS[1:]
        ]
        others += [(name, "typical", partial(run, tie="typical")) for name, run in TYPICAL.items()]
        for goal in GOALS:
            asked = question and question.of(goal)
            yield goal, "exact", "best", _chosen_by_builds(asked, self.budget_s) if asked else _NO_PLAN
            for name, tie, selector in others:
                found = _selected(asked.swapping, selector, self.budget_s) if asked else _NO_PLAN
                yield goal, name, tie, found


_NO_PLAN: Outcome = ((), "no plan on these devices", False, False)


def _chosen_by_builds(question: _Question, budget_s: float) -> Outcome:
    """Return what ``exact`` chooses as builds ask it: with resident weights, or with weights in turn."""
    try:
        found = found_or_swapping(question.ask, find_selector("exact"), budget_s)
    except SynergyError as error:
        return (), error.diagnostics[-1].message, False, False
    return found.instance.plans(found.selection.rows), "", found.selection.optimal, found.swaps


def _selected(instance: Instance, selector: Selector, budget_s: float) -> Outcome:
    """Return what another selector chooses; plans that do not fit together as they can run."""
    try:
        selection = selector(instance, Budget.of(budget_s))
    except ConflictError as error:
        running = loading(instance, error.rows)
        if running is None:
            return (), error.diagnostics[-1].message, False, True
        larger, rows = running
        return larger.plans(rows), "", False, True
    except SynergyError as error:
        return (), error.diagnostics[-1].message, False, False
    return instance.plans(selection.rows), "", selection.optimal, False


def quick_check() -> Fits:
    """Return the check by the quick ways of placement alone, with a memory.

    A grid asks about thousands of sets. Networks are placed one after the other, those with the most weights
    first; a set that begins as another one did is placed from there on.
    """
    placed: defaultdict[str, Known] = defaultdict(dict)

    def check(networks: Sequence[Network], chip: Chip) -> tuple[Diagnostic, ...]:
        problems = tuple(problem for network in networks for problem in check_limits(network, chip))
        problems = problems or check_together(networks, chip)
        if problems:
            return problems
        largest_first = sorted(networks, key=lambda network: -weight_bytes(network.layers))
        if place_beside(largest_first, (), chip, most_orders=1, known=placed[chip.name]) is not None:
            return ()
        names = ", ".join(network.name for network in largest_first)
        return (Diagnostic("no-room", f"{names}: no room found in the memories of one {chip.name}"),)

    return remembered(check)
