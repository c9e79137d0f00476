"""The evaluation as JSON rows and as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean, geometric_mean

from synergyc.pipeline.evaluation import SELECTORS, Row, compare, ratios, summary
from synergyc.report.bench import markdown_table

_COLUMNS = (
    "`exact` against",
    "throughput x",
    "geometric",
    "x, one run at a time",
    "latency less",
    "power less",
    "failed",
    "cases",
)


def evaluation_rows(setting: str, rows: Sequence[Row]) -> Iterator[dict[str, object]]:
    """Yield what each selector gave for each case, JSON-ready, with how ``exact`` compares."""
    compared = ratios(rows)
    for row in rows:
        yield {
            "setting": setting,
            "workload": row.workload,
            "fleet": row.fleet,
            "rate_kbyte_s": row.rate_kbyte_s,
            "objective": row.objective,
            "selector": row.selector,
            "ok": bool(row.apps),
            "optimal": row.optimal,
            "reason": row.reason,
            "throughput_hz": row.throughput_hz,
            "sequential_hz": row.sequential_hz,
            "latency_ms": row.latency_ms,
            "energy_uj": sum(app.predicted.energy_uj for app in row.apps),
            "exact_against_it": compared.get((*map(str, row.case), row.selector)),
            "segments": [str(segment) for app in row.apps for segment in app.segments],
        }


def evaluation_markdown(grids: Mapping[str, Sequence[Row]], *, budget_s: float) -> str:
    """Return the page of all settings; the first one in full."""
    first = next(iter(grids))
    parts = [
        "# The paper's evaluation, by the cost model",
        "",
        f"Made by `synergyc bench paper` with {budget_s:g} s for each search. Definitions and assumptions:",
        "[selectors.md](selectors.md). Failed: no plan that fits, although `exact` has one; such cases are",
        "in no average. Each figure compares plans chosen for it.",
        "",
    ]
    for name, rows in grids.items():
        parts += [
            f"## Setting `{name}`",
            "",
            _comparison(rows),
            markdown_table(("over the seven baselines", "value"), summary(rows).items()),
        ]
    parts += [f"## Runs a second, setting `{first}`", "", _throughputs(grids[first])]
    return "\n".join(parts)


def _comparison(rows: Sequence[Row]) -> str:
    lines = []
    for name in SELECTORS[1:]:
        item = compare(rows, name)
        lines.append(
            (
                item.selector,
                fmean(item.throughput) if item.throughput else "-",
                geometric_mean(item.throughput) if item.throughput else "-",
                fmean(item.sequential) if item.sequential else "-",
                f"{fmean(item.latency):.1%}" if item.latency else "-",
                f"{fmean(item.power):.1%}" if item.power else "-",
                item.failed,
                item.cases,
            )
        )
    return markdown_table(_COLUMNS, lines)


def _throughputs(rows: Sequence[Row]) -> str:
    cases = dict.fromkeys(row.case for row in rows if row.objective == "throughput")
    by_key = {(row.case, row.selector): row for row in rows}
    lines = []
    for case in cases:
        found = [by_key[case, name] for name in SELECTORS]
        lines.append((*case[:3], *(row.throughput_hz if row.apps else "-" for row in found)))
    return markdown_table(("workload", "fleet", "kB/s", *SELECTORS), lines)
