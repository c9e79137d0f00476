"""Choosing a plan for prepared models: joins the planner with the checks of the other stages."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast

from synergyc.config import System
from synergyc.diagnostics import Diagnostic, SynergyError
from synergyc.firmware.placed import placed_segments
from synergyc.firmware.spec import FirmwareSpec
from synergyc.ir.network import Layer, Network
from synergyc.legalize import check_limits, check_together, in_model_terms
from synergyc.pipeline.models import PreparedModel
from synergyc.pipeline.problem import plan_problem
from synergyc.plan.availability import Alternative, alternatives
from synergyc.plan.checks import Fits
from synergyc.plan.cost import CostModel
from synergyc.plan.costing import app_plans, candidate_of
from synergyc.plan.pareto import pareto_front
from synergyc.plan.problem import Objective, PlanApp, PlanProblem
from synergyc.plan.residency import as_played
from synergyc.plan.selector import PlanResult, choose_or_swap
from synergyc.plan.timeline import schedule
from synergyc.plan.types import Plan
from synergyc.synth.program import Program
from synergyc.synth.resident import Known, place_resident
from synergyc.targets import Chip

_PLACEMENT_BUDGET_S = 1.0
"""Of the constraint solver, for one question of the planner: it asks about many sets of segments."""


def choose_plan(
    system: System,
    models: Sequence[PreparedModel],
    *,
    objective: Objective | None = None,
    selector: str = "exact",
) -> PlanResult:
    """Return the best plan for all apps; ``objective`` None: what the app file says."""
    networks = {model.app: model.network for model in models}
    goal = objective or _objective(system)
    return choose_or_swap(plan_problem(system), networks, placement_check(), goal, selector)


def compare_selectors(
    system: System,
    models: Sequence[PreparedModel],
    names: Sequence[str],
    objective: Objective | None = None,
) -> dict[str, PlanResult | SynergyError]:
    """Return what each selector in ``names`` gives: a plan, or the error that says why it has none."""
    found: dict[str, PlanResult | SynergyError] = {}
    networks = {model.app: model.network for model in models}
    check, goal = placement_check(), objective or _objective(system)
    for name in names:
        try:
            found[name] = choose_or_swap(plan_problem(system), networks, check, goal, name)
        except SynergyError as error:
            found[name] = error
    return found


def schedule_images(
    system: System,
    models: Sequence[PreparedModel],
    plan: Plan,
    programs: Mapping[str, Program],
    specs: Sequence[FirmwareSpec],
) -> Plan:
    """Return ``plan`` with the schedule played again: what its images write and copy is known now.

    So is how samples lie, and with it how long they take to travel.
    """
    problem = plan_problem(system)
    networks = {model.app: model.network for model in models}
    costings = [
        _placed_model(problem, app, networks[app.name], programs[part.segments[0].name]).cost(
            candidate_of(part, networks[app.name])
        )
        for app, part in zip(problem.apps, plan.apps, strict=True)
    ]
    played = schedule(problem, costings, placed=placed_segments(plan, specs))
    return replace(plan, apps=as_played(app_plans(costings), played), schedule=played)


def _placed_model(problem: PlanProblem, app: PlanApp, network: Network, first: Program) -> CostModel:
    """Return the cost model of an app whose ``first`` segment has been placed."""
    return CostModel(problem, app, network, sum(4 * layout.words for layout in first.inputs))


def plan_alternatives(
    system: System, models: Sequence[PreparedModel], chosen: Plan, objective: Objective | None = None
) -> tuple[Alternative, ...]:
    """Return the best plan for each set of devices that can still serve an app when others are away."""
    networks = {model.app: model.network for model in models}
    return alternatives(
        plan_problem(system), networks, placement_check(), objective or _objective(system), chosen
    )


def placement_check() -> Fits:
    """Return the planner's check by placement, with a memory of what was asked and of what was placed."""
    placed: defaultdict[str, Known] = defaultdict(dict)
    return remembered(lambda networks, chip: fits(networks, chip, placed[chip.name]))


def remembered(check: Fits) -> Fits:
    """Return ``check`` with a memory: one network under one name is placed once for each company.

    Networks that fit alone but not together lack room for what stays in place, weights and biases. More
    layers need more of it, so a set with all their layers is refused for the same reasons.
    """
    said: dict[tuple[str, tuple[str, ...]], tuple[Diagnostic, ...]] = {}
    refused: defaultdict[str, dict[frozenset[Layer], tuple[Diagnostic, ...]]] = defaultdict(dict)

    def ask(networks: Sequence[Network], chip: Chip) -> tuple[Diagnostic, ...]:
        key = (chip.name, tuple(network.name for network in networks))
        if key not in said:
            layers = frozenset(layer for network in networks for layer in network.layers)
            inside = (reasons for part, reasons in refused[chip.name].items() if part <= layers)
            said[key] = next(inside, ()) or check(networks, chip)
            if said[key] and len(networks) > 1:
                refused[chip.name].setdefault(layers, said[key])
        return said[key]

    return ask


def find_front(system: System, models: Sequence[PreparedModel]) -> tuple[PlanResult, ...]:
    """Return the plans between which only a preference can choose."""
    return pareto_front(
        plan_problem(system), {model.app: model.network for model in models}, placement_check()
    )


def fits(networks: Sequence[Network], chip: Chip, known: Known | None = None) -> tuple[Diagnostic, ...]:
    """Return what stands against ``networks`` resident on ``chip``: bounds first, then actual placement.

    ``known`` is what was placed on that kind of chip before.
    """
    problems = tuple(problem for network in networks for problem in check_limits(network, chip))
    problems = problems or check_together(networks, chip)
    if problems:
        return problems
    try:
        place_resident(networks, chip, budget_s=_PLACEMENT_BUDGET_S, known=known)
    except SynergyError as error:
        return in_model_terms(error.diagnostics, networks)
    return ()


def segment_network(models: Mapping[str, PreparedModel], app: str, first: int, last: int) -> Network:
    """Return layers ``first`` to ``last`` of an app's network."""
    return models[app].network.segment(first, last)


def _objective(system: System) -> Objective:
    """Return the app file's objective; its schema allows nothing else."""
    return cast(Objective, system.objective)
