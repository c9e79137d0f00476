"""The plans between which only a preference can choose: no other is better in every figure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations

from synergyc.ir.network import Network
from synergyc.plan.checks import Fits
from synergyc.plan.problem import GOALS, Goal, Objective, PlanProblem
from synergyc.plan.selector import TIME_BUDGET_S, PlanResult, choose_or_swap
from synergyc.plan.types import AppPlan

_STEPS = 4
"""Weights are multiples of one over this."""

_WEIGHED: tuple[Goal, ...] = ("throughput", "latency", "energy")


def plan_figures(apps: tuple[AppPlan, ...]) -> dict[str, float]:
    """Return the sums over apps that objectives compare: ``throughput_hz``, ``latency_ms``, ``energy_uj``."""
    predicted = [app.predicted for app in apps]
    return {
        "throughput_hz": sum(item.throughput_hz for item in predicted),
        "latency_ms": sum(item.latency_ms for item in predicted),
        "energy_uj": sum(item.energy_uj for item in predicted),
    }


def pareto_front(
    problem: PlanProblem,
    networks: Mapping[str, Network],
    fits: Fits,
    time_budget_s: float = TIME_BUDGET_S,
) -> tuple[PlanResult, ...]:
    """Return the best plans of every goal and of a grid of weights that no other of them dominates.

    By throughput, fastest first. Plans that are best under no weights (in a dent of the front) are not found.
    Raises SynergyError if no plan fits.
    """
    objectives = [*GOALS, *_weights()]
    share_s = time_budget_s / len(objectives)
    found: dict[str, PlanResult] = {}
    for objective in objectives:
        result = choose_or_swap(problem, networks, fits, objective, time_budget_s=share_s)
        found.setdefault("; ".join(_place(app) for app in result.plan.apps), result)
    front = [result for result in found.values() if not _dominated(result, found.values())]
    return tuple(sorted(front, key=lambda result: -plan_figures(result.plan.apps)["throughput_hz"]))


def _weights() -> Iterator[Objective]:
    for a in range(1, _STEPS):
        for b in range(1, _STEPS - a):
            parts = (a, b, _STEPS - a - b)
            yield {goal: part / _STEPS for goal, part in zip(_WEIGHED, parts, strict=True)}
    for first, second in combinations(_WEIGHED, 2):
        for a in range(1, _STEPS):
            yield {first: a / _STEPS, second: 1 - a / _STEPS}


def _place(app: AppPlan) -> str:
    return f"{app.sense_device} {', '.join(map(str, app.segments))} {app.interact_device}"


def _dominated(result: PlanResult, others: Iterable[PlanResult]) -> bool:
    mine = _key(result)
    return any(
        all(a <= b for a, b in zip(_key(other), mine, strict=True)) and _key(other) != mine
        for other in others
    )


def _key(result: PlanResult) -> tuple[float, ...]:
    figures = plan_figures(result.plan.apps)
    return (-figures["throughput_hz"], figures["latency_ms"], figures["energy_uj"])
