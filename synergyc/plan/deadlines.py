"""Deadlines against the schedule: plans keep them for runs that wait for no other, schedules may not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from synergyc.diagnostics import Diagnostic
from synergyc.plan.problem import PlanApp
from synergyc.plan.types import AppPlan, AppSchedule

LATE_RESULTS = "late-results"
"""Rule of the warning that results miss a deadline where runs wait for each other."""


def late_results(apps: Sequence[PlanApp], plans: Sequence[AppPlan]) -> tuple[Diagnostic, ...]:
    """Return a warning for each app of which any result in the schedule is later than ``deadline_ms``.

    ``apps`` and ``plans`` are in the same order; a plan that was not played says nothing.
    """
    return tuple(_late(apps, plans))


def _late(apps: Sequence[PlanApp], plans: Sequence[AppPlan]) -> Iterator[Diagnostic]:
    for app, plan in zip(apps, plans, strict=True):
        played = plan.predicted.scheduled
        if app.deadline_ms is None or played is None or played.largest_latency_ms <= app.deadline_ms:
            continue
        yield Diagnostic(
            LATE_RESULTS,
            f"results of app {app.name!r} miss its deadline where runs wait for each other: a run with the"
            f" system to itself takes {plan.predicted.latency_ms:.2f} ms",
            app.location,
            need=f"{app.deadline_ms:g} ms",
            have=f"{played.latency_ms:.2f} ms in the median, {played.largest_latency_ms:.2f} ms at most",
            hint=_hint(app, played),
        )


def _hint(app: PlanApp, played: AppSchedule) -> str:
    if app.rate_hz is None:
        below_hz = f"{played.throughput_hz:.4g}"
        return f"a rate of the sensor (sense: rate_hz) below {below_hz} a second keeps queues short"
    return "lower rates of the sensors whose apps share its units, or objective: latency"
