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
from synergyc.pipeline.evaluation_rounds import Rounds
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
from synergyc.plan.space import Candidate
from synergyc.plan.types import AppPlan
from synergyc.synth.resident import Known, place_beside
from synergyc.targets import Chip

SELECTORS = ("exact", "progressive", *BASELINES, "Neurosurgeon", "DADS")

OVERLAPPING = ("exact", "progressive")
"""Selectors of systems in which runs overlap: ours, and the paper's."""

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

    ``swaps``: its plans do not fit together, weights are loaded for each run where they do not. ``round_ms``
    is the latency of one run of every app, all begun together; known where the objective is latency.
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
    round_ms: float = 0.0

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


@dataclass(frozen=True)
class _Outcome:
    """Plans, why there are none, whether they are proven best, and whether they load weights in turn."""

    candidates: tuple[Candidate, ...] = ()
    apps: tuple[AppPlan, ...] = ()
    reason: str = ""
    optimal: bool = False
    swaps: bool = False

    @staticmethod
    def of(
        instance: Instance, rows: Sequence[int], *, optimal: bool = False, swaps: bool = False
    ) -> _Outcome:
        """Return the plan ``rows`` of ``instance``."""
        candidates = tuple(instance.candidate(j, row) for j, row in enumerate(rows))
        return _Outcome(candidates, instance.plans(rows), "", optimal, swaps)


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
                if form is None:
                    yield from self._no_plan(*case)
                    continue
                question = self._question(*case, form, checks[form])
                rounds = Rounds(question.swapping)
                for goal, name, tie, found in self._answers(question):
                    round_ms = _round_ms(rounds, name, found) if goal == "latency" else 0.0
                    yield Row(
                        *case,
                        goal,
                        name,
                        tie,
                        found.apps,
                        found.reason,
                        found.optimal,
                        found.swaps,
                        round_ms,
                    )

    def _no_plan(self, workload: str, fleet: str, placement: Placement, rate: float) -> Iterator[Row]:
        asked: list[tuple[str, Tie]] = [(name, "best") for name in SELECTORS]
        asked += [(name, "typical") for name in TYPICAL]
        for goal, (name, tie) in product(GOALS, asked):
            reason = "no plan on these devices"
            yield Row(workload, fleet, placement, rate, goal, name, tie, (), reason, optimal=False)

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

    def _answers(self, question: _Question) -> Iterator[tuple[Goal, str, Tie, _Outcome]]:
        others: list[tuple[str, Tie, Selector]]
        others = [(name, "best", find_selector(name)) for name in SELECTORS[1:]]
        others += [(name, "typical", partial(run, tie="typical")) for name, run in TYPICAL.items()]
        for goal in GOALS:
            asked = question.of(goal)
            yield goal, "exact", "best", _chosen_by_builds(asked, self.budget_s)
            for name, tie, selector in others:
                yield goal, name, tie, _selected(asked.swapping, selector, self.budget_s)


def _round_ms(rounds: Rounds, selector: str, found: _Outcome) -> float:
    if not found.candidates:
        return 0.0
    if selector in OVERLAPPING:
        return rounds.together_ms(found.candidates)
    return rounds.one_by_one_ms(found.candidates)


def _chosen_by_builds(question: _Question, budget_s: float) -> _Outcome:
    """Return what ``exact`` chooses as builds ask it: with resident weights, or with weights in turn."""
    try:
        found = found_or_swapping(question.ask, find_selector("exact"), budget_s)
    except SynergyError as error:
        return _Outcome(reason=error.diagnostics[-1].message)
    selection = found.selection
    return _Outcome.of(found.instance, selection.rows, optimal=selection.optimal, swaps=found.swaps)


def _selected(instance: Instance, selector: Selector, budget_s: float) -> _Outcome:
    """Return what another selector chooses; plans that do not fit together as they can run."""
    try:
        selection = selector(instance, Budget.of(budget_s))
    except ConflictError as error:
        running = loading(instance, error.rows)
        if running is None:
            return _Outcome(reason=error.diagnostics[-1].message, swaps=True)
        return _Outcome.of(*running, swaps=True)
    except SynergyError as error:
        return _Outcome(reason=error.diagnostics[-1].message)
    return _Outcome.of(instance, selection.rows, optimal=selection.optimal)


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
