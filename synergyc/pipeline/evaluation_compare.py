"""What the evaluation's rows say under assumptions that are open: averages, and how they depend on each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, geometric_mean

from synergyc.pipeline.evaluation import OVERLAPPING, TYPICAL, Row
from synergyc.pipeline.evaluation_cases import FLEETS, GOALS, RATES_KBYTE_S, WORKLOADS, Placement
from synergyc.plan.problem import Goal
from synergyc.plan.selectors import BASELINES
from synergyc.plan.selectors.baselines import Tie
from synergyc.targets import load_chip


@dataclass(frozen=True)
class Assumptions:
    """What is open about the systems that ``exact`` is compared with, and about the cases that count.

    ``overlap``: their runs overlap as ours do, else one run at a time in the whole system. ``swap``: plans
    that do not fit together load weights for each run, else they count as failed. ``typical``: selectors that
    take a typical one of the plans that are equal to them, else the best by the objective. ``one_plan``:
    latency and power are those of the plans for throughput, else each figure compares plans that were chosen
    for it. ``rounds``: latency is that of one run of every app, all begun together, else the sum of those of
    runs that wait for no other. ``workload`` None: all count.
    """

    overlap: bool = False
    swap: bool = True
    typical: tuple[str, ...] = ("MinDev", "MaxDev", "PriMinDev", "PriMaxDev")
    placement: Placement = "neighbour"
    rates_kbyte_s: tuple[float, ...] = RATES_KBYTE_S
    one_plan: bool = False
    rounds: bool = False
    fleets: tuple[str, ...] = tuple(FLEETS)
    workload: str | None = None


BELIEVED = Assumptions()
"""Argued in docs/selectors.md; the summary is made with these."""

VARIATIONS: Mapping[str, Assumptions] = {
    "as believed": BELIEVED,
    "runs of baselines overlap": replace(BELIEVED, overlap=True),
    "plans that do not fit together are left out": replace(BELIEVED, swap=False),
    "ties by the objective": replace(BELIEVED, typical=()),
    "all three": replace(BELIEVED, overlap=True, swap=False, typical=()),
    "typical plans also of equal model time": replace(BELIEVED, typical=tuple(TYPICAL)),
    "apps interact where they sense (92 kB/s)": replace(BELIEVED, placement="same"),
    "latency and power of the plans for throughput": replace(BELIEVED, one_plan=True),
    "latency of a round of all apps, played": replace(BELIEVED, rounds=True),
    "several devices": replace(BELIEVED, fleets=tuple(name for name in FLEETS if len(FLEETS[name]) > 1)),
    **{f"{rate:g} kB/s": replace(BELIEVED, rates_kbyte_s=(rate,)) for rate in RATES_KBYTE_S},
    **{f"on {fleet}": replace(BELIEVED, fleets=(fleet,)) for fleet in FLEETS},
    **{workload: replace(BELIEVED, workload=workload) for workload in WORKLOADS},
}
"""One assumption changed at a time, and three of them together."""


_ROUNDING = 1e-6
"""Scores of plans are compared with fewer digits than figures have."""


@dataclass(frozen=True)
class Comparison:
    """``exact`` against one other selector where both have a plan.

    Ratios: exact / other for throughput, 1 - exact / other for the rest, power at the slower one's rates.
    """

    selector: str
    throughput: tuple[float, ...]
    latency: tuple[float, ...]
    power: tuple[float, ...]
    failed: int
    cases: int

    @property
    def behind(self) -> int:
        """Number of figures in which ``exact`` is behind, beyond rounding."""
        gains = (*(value - 1 for value in self.throughput), *self.latency, *self.power)
        return sum(value < -_ROUNDING for value in gains)


def compare(rows: Sequence[Row], selector: str, assumed: Assumptions = BELIEVED) -> Comparison:
    """Return how ``exact`` compares with ``selector``, case by case; cases that no plan fits do not count."""
    tie: Tie = "typical" if selector in assumed.typical else "best"
    counted = [row for row in rows if _counts(row, assumed)]
    best = {row.case: row for row in counted if row.selector == "exact" and row.apps}
    others = [row for row in counted if (row.selector, row.tie) == (selector, tie) and row.case in best]
    pairs = [(best[row.case], row) for row in others if _runs(row, assumed)]
    goals: dict[str, Goal] = dict.fromkeys(GOALS, "throughput")
    if not assumed.one_plan:
        goals = {goal: goal for goal in GOALS}
    found = {
        figure: tuple(
            gain(a, b, figure, overlap=_overlaps(selector, assumed), rounds=assumed.rounds)
            for a, b in pairs
            if a.objective == goal
        )
        for figure, goal in goals.items()
    }
    failed = sum(not _runs(row, assumed) for row in others)
    return Comparison(selector, found["throughput"], found["latency"], found["energy"], failed, len(others))


def gain(best: Row, other: Row, figure: str, *, overlap: bool, rounds: bool = False) -> float:
    """Return the ratio of throughputs, or by what part ``best`` is lower in latency or power."""
    if figure == "throughput":
        return best.throughput_hz / (other.throughput_hz if overlap else other.sequential_hz)
    if figure == "latency":
        if rounds:
            return 1 - best.round_ms / other.round_ms
        return 1 - best.latency_ms / other.latency_ms
    cycle_hz = other.sequential_hz / len(other.apps)
    rates_hz = {
        a.app: min(a.predicted.throughput_hz, b.predicted.throughput_hz if overlap else cycle_hz)
        for a, b in zip(best.apps, other.apps, strict=True)
    }
    return 1 - power_mw(best, rates_hz) / power_mw(other, rates_hz)


def power_mw(row: Row, rates_hz: Mapping[str, float]) -> float:
    """Return the mean power of all devices with the apps at ``rates_hz``: idle, and energy of each run."""
    chips = [load_chip(chip) for chip in FLEETS[row.fleet]]
    idle_mw = sum(chip.cnn.energy.idle_mw for chip in chips)
    return idle_mw + sum(rates_hz[app.app] * app.predicted.energy_uj / 1000 for app in row.apps)


def summary(rows: Sequence[Row], assumed: Assumptions = BELIEVED) -> dict[str, float]:
    """Return the averages over the seven baselines and what ``exact`` gains over ``progressive``.

    ``baseline_ahead``: comparisons in which a baseline's plan has more throughput, less latency or power.
    """
    found = [compare(rows, name, assumed) for name in BASELINES]
    throughput = [value for item in found for value in item.throughput]
    exact = [row for row in rows if row.selector == "exact" and _counts(row, assumed)]
    return {
        "throughput_x": _mean(throughput),
        "throughput_x_geomean": geometric_mean(throughput) if throughput else 0.0,
        "latency_reduction": _mean([value for item in found for value in item.latency]),
        "power_reduction": _mean([value for item in found for value in item.power]),
        "exact_over_progressive": _mean(compare(rows, "progressive", assumed).throughput),
        "largest_throughput_x": max(throughput, default=0.0),
        "compared": len(throughput),
        "baseline_ahead": sum(item.behind for item in found),
        "failed_baseline_plans": sum(item.failed for item in found),
        "cases": len(exact),
        "cases_without_a_plan": sum(not row.apps for row in exact),
        "proven": sum(row.optimal for row in exact),
    }


def sensitivity(rows: Sequence[Row]) -> Iterator[tuple[str, dict[str, float]]]:
    """Yield the averages under each of the variations for which there are cases."""
    for name, assumed in VARIATIONS.items():
        found = summary(rows, assumed)
        if found["compared"]:
            yield name, found


def gains(rows: Sequence[Row]) -> Iterator[tuple[Row, dict[str, float] | None]]:
    """Yield each row with how ``exact`` compares with it, as believed; None where it cannot."""
    best = {row.case: row for row in rows if row.selector == "exact" and row.apps}
    for row in rows:
        if row.selector == "exact" or not row.apps or row.case not in best:
            yield row, None
            continue
        overlap = _overlaps(row.selector, BELIEVED)
        found = {figure: gain(best[row.case], row, figure, overlap=overlap) for figure in GOALS}
        yield (
            row,
            {
                "throughput_x": found["throughput"],
                "latency_reduction": found["latency"],
                "power_reduction": found["energy"],
            },
        )


def _overlaps(selector: str, assumed: Assumptions) -> bool:
    """Return whether the system of ``selector`` overlaps runs; ``progressive`` is the paper's, which does."""
    return assumed.overlap or selector in OVERLAPPING


def _counts(row: Row, assumed: Assumptions) -> bool:
    return (
        row.placement == assumed.placement
        and row.rate_kbyte_s in assumed.rates_kbyte_s
        and row.fleet in assumed.fleets
        and assumed.workload in {None, row.workload}
    )


def _runs(row: Row, assumed: Assumptions) -> bool:
    return bool(row.apps) and (assumed.swap or not row.swaps)


def _mean(values: Sequence[float]) -> float:
    return fmean(values) if values else 0.0
