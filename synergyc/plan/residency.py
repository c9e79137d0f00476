"""Which segments of an accelerator are in its memories together, where not all of them can be."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

from synergyc.plan.checks import Checks
from synergyc.plan.space import Candidate
from synergyc.plan.types import AppPlan, Schedule, Segment, Term


def with_residency(candidates: Sequence[Candidate], checks: Checks) -> tuple[Candidate, ...]:
    """Return ``candidates``, one for each app, with the residency set of every segment that is swapped.

    First fit in the order of apps and segments: a segment joins the first set beside which it can be placed.
    One round of all apps loads each set once, however the segments are divided; fewer sets are loaded less
    often where an app has several runs in a row.
    """
    sets: defaultdict[str, list[list[Segment]]] = defaultdict(list)
    found = []
    for candidate in candidates:
        if any(candidate.swapped):
            numbers = tuple(
                _join(sets[segment.device], segment, checks) if segment.swapped else 0
                for segment in candidate.segments
            )
            candidate = replace(candidate, residency=numbers)
        found.append(candidate)
    return tuple(found)


def _join(sets: list[list[Segment]], segment: Segment, checks: Checks) -> int:
    """Put ``segment`` into the first of ``sets`` that has room for it, or a new one; return its number."""
    for number, members in enumerate(sets):
        if checks.resident([*members, segment]):
            members.append(segment)
            return number
    sets.append([segment])
    return len(sets) - 1


def as_played(apps: Sequence[AppPlan], played: Schedule) -> tuple[AppPlan, ...]:
    """Return the plans with what their schedule gives; weights are loaded as often as it has them loaded."""
    return tuple(_as_played(app, played) for app in apps)


def _as_played(app: AppPlan, played: Schedule) -> AppPlan:
    terms = tuple(_terms(app, played))
    before_uj, after_uj = (sum(term.energy_uj for term in items) for items in (app.predicted.terms, terms))
    predicted = replace(
        app.predicted,
        scheduled=played.apps[app.app],
        terms=terms,
        energy_uj=app.predicted.energy_uj - before_uj + after_uj,
    )
    return replace(app, predicted=predicted)


def _terms(app: AppPlan, played: Schedule) -> Iterator[Term]:
    """Yield the app's terms; those of weights come in the order of its segments, one for each unit."""
    swapped = {kind: iter([s for s in app.segments if s.swapped]) for kind in ("accelerator", "cpu")}
    for term in app.predicted.terms:
        if term.task == "weights":
            segment = next(swapped[term.unit.rpartition(".")[2]])
            loads = played.loads_per_run[segment.device, segment.residency]
            term = replace(
                term,
                duration_us=loads * term.duration_us,
                energy_uj=loads * term.energy_uj,
                source=f"{term.source} x {loads:.2f} loads a run in the schedule",
            )
        yield term
