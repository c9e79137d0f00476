"""The JSON form of a planner's result (design: ``plan --json``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from synergyc.diagnostics import SynergyError
from synergyc.plan.availability import Alternative
from synergyc.plan.pareto import plan_figures
from synergyc.plan.power import DevicePower
from synergyc.plan.selector import PlanResult
from synergyc.plan.types import AppPlan, Plan, Prediction


def plan_document(result: PlanResult) -> dict[str, object]:
    """Return a JSON-ready document: plan, predicted, optimal, gap, solve_s, alternatives, rejected.

    Times are in the units that the keys name; ``solve_s`` is the only value that differs between two runs.
    """
    return {
        "plan": _plan(result.plan),
        "predicted": _predictions(result.plan.apps),
        "optimal": result.optimal,
        "gap": result.gap,
        "solve_s": result.solve_s,
        "value": result.value,
        "power": [_power(item) for item in result.power],
        "loads": _loads(result.plan),
        "units": dict(result.plan.schedule.busy) if result.plan.schedule else {},
        "longest_chain": dict(result.longest_chain),
        "not_resident": [reason.to_json() for reason in result.resident_reasons],
        "warnings": [warning.to_json() for warning in result.warnings],
        "alternatives": [
            {"plan": _plan(plan), "predicted": _predictions(plan.apps)} for plan in result.alternatives
        ],
        "rejected": [
            {
                "apps": [_app(app) for app in item.apps],
                "predicted": _predictions(item.apps),
                "reasons": [reason.to_json() for reason in item.reasons],
            }
            for item in result.rejected
        ],
    }


def _power(power: DevicePower) -> dict[str, object]:
    return {
        "device": power.device,
        "idle_mw": power.idle_mw,
        "runs_mw": power.runs_mw,
        "links_mw": power.links_mw,
        "mean_mw": power.mean_mw,
        "battery_h": power.battery_h,
    }


def alternatives_document(found: Sequence[Alternative]) -> list[dict[str, object]]:
    """Return the plans for absent devices, and what changing to them costs."""
    return [
        {
            "present": list(item.present),
            "away": list(item.away),
            "served": list(item.served),
            "dropped": list(item.dropped),
            "reasons": [reason.to_json() for reason in item.reasons],
            "value": item.value,
            "switch_ms": item.switch_ms,
            "switches": [
                {"device": switch.device, "weight_bytes": switch.weight_bytes, "load_ms": switch.load_ms}
                for switch in item.switches
            ],
            "plan": _plan(item.plan),
            "predicted": _predictions(item.plan.apps),
        }
        for item in found
    ]


def outcomes_document(outcomes: Mapping[str, PlanResult | SynergyError]) -> dict[str, object]:
    """Return what each selector gave: its figures, or the reasons why its plans do not fit."""
    return {name: _outcome(outcome) for name, outcome in outcomes.items()}


def front_document(front: Sequence[PlanResult]) -> list[dict[str, object]]:
    """Return a Pareto front, each plan with its figures."""
    return [{**plan_figures(item.plan.apps), "plan": _plan(item.plan)} for item in front]


def _outcome(outcome: PlanResult | SynergyError) -> dict[str, object]:
    if isinstance(outcome, SynergyError):
        return {"ok": False, "reasons": [reason.to_json() for reason in outcome.diagnostics]}
    return {
        "ok": True,
        **plan_figures(outcome.plan.apps),
        "value": outcome.value,
        "optimal": outcome.optimal,
        "solve_s": outcome.solve_s,
        "plan": _plan(outcome.plan),
    }


def _plan(plan: Plan) -> dict[str, object]:
    return {
        "objective": plan.objective,
        "selector": plan.selector,
        "considered": plan.considered,
        "apps": [_app(app) for app in plan.apps],
    }


def _app(app: AppPlan) -> dict[str, object]:
    return {
        "app": app.app,
        "sense_device": app.sense_device,
        "interact_device": app.interact_device,
        "segments": [
            {
                "name": part.name,
                "device": part.device,
                "first": part.first,
                "last": part.last,
                "swapped": part.swapped,
                "residency": part.residency,
            }
            for part in app.segments
        ],
        "replicated": app.replicated,
        "hand_offs": [
            {
                "source": hand_off.source,
                "target": hand_off.target,
                "link": hand_off.link,
                "tensors": list(hand_off.tensors),
                "size_bytes": hand_off.size_bytes,
            }
            for hand_off in app.hand_offs
        ],
    }


def _loads(plan: Plan) -> list[dict[str, object]]:
    """Return how often each residency set is loaded for a run; nothing where all weights stay in place."""
    per_run = plan.schedule.loads_per_run if plan.schedule else {}
    return [
        {"device": device, "residency": number, "loads_per_run": loads}
        for (device, number), loads in sorted(per_run.items())
        if len(plan.residency_sets(device)) > 1
    ]


def _predictions(apps: tuple[AppPlan, ...]) -> dict[str, object]:
    """Return the figures of each app: those of the schedule where one was played, as in manifest and run."""
    return {app.app: _prediction(app.predicted) for app in apps}


def _prediction(predicted: Prediction) -> dict[str, object]:
    guaranteed = {"throughput_hz": predicted.throughput_hz, "latency_ms": predicted.latency_ms}
    scheduled = {} if predicted.scheduled is None else asdict(predicted.scheduled)
    return {
        **guaranteed,
        **scheduled,
        "guaranteed": guaranteed,
        "energy_uj": predicted.energy_uj,
        "bottleneck": predicted.bottleneck,
        "cycles": dict(predicted.cycles),
        "terms": [
            {
                "unit": term.unit,
                "task": term.task,
                "duration_us": term.duration_us,
                "source": term.source,
                "basis": term.basis,
                "error": term.error,
                "energy_uj": term.energy_uj,
            }
            for term in predicted.terms
        ],
    }
