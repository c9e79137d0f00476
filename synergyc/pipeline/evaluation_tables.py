"""The evaluation as JSON rows and as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import geometric_mean

from synergyc.pipeline.evaluation import SELECTORS, Row
from synergyc.pipeline.evaluation_cases import GOALS
from synergyc.pipeline.evaluation_compare import BELIEVED, compare, gains, sensitivity, summary
from synergyc.report.bench import markdown_table

_COLUMNS = (
    "`exact` against",
    "throughput x",
    "geometric",
    "latency less",
    "power less",
    "failed",
    "plans",
)

_VARIED = (
    "assumed",
    "throughput x",
    "geometric",
    "largest",
    "latency less",
    "power less",
    "compared",
    "failed",
)


def evaluation_rows(rows: Sequence[Row]) -> Iterator[dict[str, object]]:
    """Yield what each selector gave for each case, JSON-ready, with how ``exact`` compares."""
    for row, compared in gains(rows):
        yield {
            "workload": row.workload,
            "fleet": row.fleet,
            "placement": row.placement,
            "rate_kbyte_s": row.rate_kbyte_s,
            "objective": row.objective,
            "selector": row.selector,
            "tie": row.tie,
            "ok": bool(row.apps),
            "swaps": row.swaps,
            "optimal": row.optimal,
            "reason": row.reason,
            "throughput_hz": row.throughput_hz,
            "sequential_hz": row.sequential_hz,
            "latency_ms": row.latency_ms,
            "round_ms": row.round_ms,
            "energy_uj": sum(app.predicted.energy_uj for app in row.apps),
            "exact_against_it": compared,
            "segments": [str(segment) for app in row.apps for segment in app.segments],
        }


def evaluation_markdown(rows: Sequence[Row], *, budget_s: float) -> str:
    """Return the page."""
    workloads = "; ".join(dict.fromkeys(row.workload for row in rows))
    return "\n".join(
        [
            "# The paper's evaluation, by the cost model",
            "",
            f"Made by `synergyc bench paper` with {budget_s:g} s of CPU time for each search. Workloads:",
            f"{workloads}.",
            "[selectors.md](selectors.md) has the definitions, and says why the first line of the second",
            "table is the one that is believed. Failed: no plan that can run, although `exact` has one; such",
            "cases are in no average. Proven: cases in which the search ended within its time.",
            "",
            markdown_table(("over the seven baselines", "value"), summary(rows).items()),
            "## Each selector, as believed",
            "",
            _comparison(rows),
            "## What the averages depend on",
            "",
            markdown_table(_VARIED, _varied(rows)),
            "## Runs a second",
            "",
            _throughputs(rows),
        ]
    )


def _varied(rows: Sequence[Row]) -> Iterator[tuple[object, ...]]:
    for name, found in sensitivity(rows):
        yield (
            name,
            found["throughput_x"],
            found["throughput_x_geomean"],
            found["largest_throughput_x"],
            f"{found['latency_reduction']:.1%}",
            f"{found['power_reduction']:.1%}",
            found["compared"],
            found["failed_baseline_plans"],
        )


def _comparison(rows: Sequence[Row]) -> str:
    lines = []
    for name in SELECTORS[1:]:
        item = compare(rows, name)
        lines.append(
            (
                item.selector,
                sum(item.throughput) / len(item.throughput) if item.throughput else "-",
                geometric_mean(item.throughput) if item.throughput else "-",
                f"{sum(item.latency) / len(item.latency):.1%}" if item.latency else "-",
                f"{sum(item.power) / len(item.power):.1%}" if item.power else "-",
                item.failed,
                item.cases,
            )
        )
    return markdown_table(_COLUMNS, lines)


def _throughputs(rows: Sequence[Row]) -> str:
    """Return the rates of all selectors as they stand: overlapped, ties by the objective."""
    shown = [
        row
        for row in rows
        if row.objective == GOALS[0] and row.placement == BELIEVED.placement and row.tie == "best"
    ]
    by_key = {(row.case, row.selector): row for row in shown}
    lines = []
    for case in dict.fromkeys(row.case for row in shown):
        found = [by_key[case, name] for name in SELECTORS]
        lines.append((*case[:2], case[3], *(_rate(row) for row in found)))
    return markdown_table(("workload", "fleet", "kB/s", *SELECTORS), lines)


def _rate(row: Row) -> object:
    if not row.apps:
        return "-"
    return f"{row.throughput_hz:.3g} (swaps)" if row.swaps else row.throughput_hz
