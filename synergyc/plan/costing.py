"""What a run of an app costs, and what that makes of a plan: work, costings, predictions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from synergyc.ir.network import Network
from synergyc.plan.placed import Moves
from synergyc.plan.space import Candidate
from synergyc.plan.types import AppPlan, Basis, HandOff, Prediction, Term


@dataclass(frozen=True)
class Work:
    """One piece of work of a run: it occupies all ``units`` at once for ``duration_us``.

    ``latency_us`` is what it adds to the way from sensor to actuator; less than its duration where it
    overlaps with what comes next. ``error`` is the largest known relative error of the figure.
    """

    task: str
    units: tuple[str, ...]
    duration_us: float
    latency_us: float
    source: str
    basis: Basis
    energy_uj: float = 0.0
    error: float | None = None
    segment: str = ""
    """Name of the segment that it is of; empty: it is of none."""


@dataclass(frozen=True)
class Costing:
    """A candidate with its hand-offs, the work of one run in order, and cycles by segment name."""

    candidate: Candidate
    hand_offs: tuple[HandOff, ...]
    work: tuple[Work, ...]
    cycles: Mapping[str, int]
    result_bytes: int
    """The result as it is reported."""
    weights_us: Mapping[str, float]
    """Loading of each segment's weights, once when its device boots, by segment name."""
    passed_bytes: Mapping[str, int] = field(default_factory=dict)
    """What a segment does not make but passes on to a later one, by segment name, where there is any."""
    moves: Mapping[str, tuple[Moves, Moves]] = field(default_factory=dict)
    """About how a segment's input and result are copied, by segment name."""


def app_plans(costings: Sequence[Costing]) -> tuple[AppPlan, ...]:
    """Return the plans, with predictions, of apps that run together in the steady state.

    Every unit serves the apps in turn, one run of each; an app's period is the time of the busiest unit
    that it uses. Latency is that of a run that waits for no other.
    """
    busy_us: defaultdict[str, float] = defaultdict(float)
    for costing in costings:
        for work in costing.work:
            for unit in work.units:
                busy_us[unit] += work.duration_us
    return tuple(_app_plan(costing, busy_us) for costing in costings)


def candidate_of(plan: AppPlan, network: Network) -> Candidate:
    """Return the candidate that ``plan`` was made of."""
    cuts = () if plan.replicated else tuple(segment.last for segment in plan.segments[:-1])
    return Candidate(
        plan.app,
        plan.sense_device,
        plan.interact_device,
        tuple(segment.device for segment in plan.segments),
        cuts,
        len(network.layers),
        tuple(segment.swapped for segment in plan.segments),
        plan.replicated,
        tuple(segment.residency for segment in plan.segments),
    )


def _app_plan(costing: Costing, busy_us: Mapping[str, float]) -> AppPlan:
    candidate = costing.candidate
    terms = tuple(
        Term(
            unit,
            work.task,
            work.duration_us,
            work.source,
            0.0 if i else work.energy_uj,
            work.basis,
            work.error,
        )
        for work in costing.work
        for i, unit in enumerate(work.units)
    )
    bottleneck = max((term.unit for term in terms), key=lambda unit: busy_us[unit])
    predicted = Prediction(
        throughput_hz=1e6 / busy_us[bottleneck],
        latency_ms=sum(work.latency_us for work in costing.work) / 1000,
        bottleneck=bottleneck,
        cycles=costing.cycles,
        terms=terms,
        energy_uj=sum(work.energy_uj for work in costing.work),
    )
    return AppPlan(
        candidate.app,
        candidate.sense_device,
        candidate.interact_device,
        candidate.segments,
        costing.hand_offs,
        predicted,
        candidate.replicated,
    )
