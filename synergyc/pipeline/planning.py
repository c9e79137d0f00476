"""Choosing a plan for prepared models: joins the planner with the checks of the other stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from synergyc.config import System
from synergyc.diagnostics import Diagnostic, SynergyError, fail
from synergyc.ir.network import Network
from synergyc.legalize import check_limits
from synergyc.pipeline.models import PreparedModel
from synergyc.pipeline.problem import plan_problem
from synergyc.plan.problem import Objective
from synergyc.plan.selector import PlanResult, choose
from synergyc.plan.types import Plan
from synergyc.synth.placement import place
from synergyc.targets import Chip


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
    result = choose(plan_problem(system), networks, fits, goal, selector)
    _refuse_shared_accelerators(result.plan)
    return result


def fits(network: Network, chip: Chip) -> tuple[Diagnostic, ...]:
    """Return what stands against running ``network`` on ``chip``: limits first, then actual placement."""
    problems = check_limits(network, chip)
    if problems:
        return problems
    try:
        place(network, chip)
    except SynergyError as error:
        return error.diagnostics
    return ()


def segment_network(models: Mapping[str, PreparedModel], app: str, first: int, last: int) -> Network:
    """Return layers ``first`` to ``last`` of an app's network."""
    return models[app].network.segment(first, last)


def _objective(system: System) -> Objective:
    if system.objective == "throughput":
        return "throughput"
    if system.objective == "latency":
        return "latency"
    raise fail(
        "objective",
        f"objective must be throughput or latency, not {system.objective!r}",
        location=system.locate("objective"),
    )


def _refuse_shared_accelerators(plan: Plan) -> None:
    """Two resident segments on one accelerator need switching code that the firmware does not have yet."""
    devices = sorted({segment.device for app in plan.apps for segment in app.segments})
    for device in devices:
        segments = plan.segments_on(device)
        if len(segments) > 1:
            names = ", ".join(segment.name for segment in segments)
            raise fail(
                "shared-accelerator",
                f"device {device!r} would run several segments ({names}), which is not supported yet",
                need=f"{len(segments)} segments",
                have="1 segment",
                hint="forbid the device for all apps but one, or add a device",
            )
