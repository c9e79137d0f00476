"""``synergyc bench``: the paper's evaluation by the cost model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import click

from synergyc.cli.progress import stages

if TYPE_CHECKING:
    from synergyc.ir.network import Network
    from synergyc.pipeline.evaluation import Row


@click.group("bench")
def command() -> None:
    """Evaluate planning on the paper's models and workloads."""


@command.command("paper")
@click.option("--budget", default=2.0, show_default=True, help="Seconds that one search may take.")
@click.option("--shared/--exclusive", default=True, help="Several segments on one accelerator, or one.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Also write a Markdown table here.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("-q", "--quiet", is_flag=True, help="No progress messages.")
def paper(budget: float, shared: bool, output: Path | None, as_json: bool, quiet: bool) -> None:
    """Compare all selectors on workloads, fleets and link rates."""
    from synergyc.pipeline.evaluation import evaluate, summary

    with stages(quiet=quiet) as progress:
        rows = evaluate(_zoo_network, shared=shared, budget_s=budget, progress=progress)
    text = _markdown(rows, shared=shared, budget_s=budget)
    if output is not None:
        output.write_text(text)
    if as_json:
        click.echo(json.dumps({"summary": summary(rows), "rows": [_row(row) for row in rows]}, indent=2))
    else:
        click.echo(text)


@command.command("cost")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Also write the table here.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def cost(output: Path | None, as_json: bool) -> None:
    """Compare the cost model with published measurements."""
    from synergyc.pipeline.measured import compare_with_measurements
    from synergyc.report.bench import markdown_table

    found = compare_with_measurements(_zoo_network)
    columns = ("chip", "what", "network", "measured", "model", "error", "source")
    table = markdown_table(
        columns,
        (
            (item.chip, item.what, item.network, item.value, item.model, f"{item.error:+.1%}", item.source)
            for item in found
        ),
    )
    text = f"# Cost model against published measurements\n\nMade by `synergyc bench cost`.\n\n{table}"
    if output is not None:
        output.write_text(text)
    rows = [asdict(item) | {"error": item.error} for item in found]
    click.echo(json.dumps({"rows": rows}, indent=2) if as_json else text)


@cache
def _zoo_network(name: str, chip: str) -> Network:
    try:
        from models import zoo
    except ImportError:
        raise click.ClickException(
            "the models of the evaluation are in the repository: run from there"
        ) from None
    return zoo.network(name, chip)


def _row(row: Row) -> dict[str, object]:
    return {
        "workload": row.workload,
        "fleet": row.fleet,
        "rate_kbyte_s": row.rate_kbyte_s,
        "objective": row.objective,
        "selector": row.selector,
        "ok": bool(row.apps),
        "optimal": row.optimal,
        "reason": row.reason,
        "throughput_hz": row.throughput_hz,
        "latency_ms": row.latency_ms,
        "energy_uj": sum(app.predicted.energy_uj for app in row.apps),
        "segments": [str(segment) for app in row.apps for segment in app.segments],
    }


def _markdown(rows: Sequence[Row], *, shared: bool, budget_s: float) -> str:
    from statistics import fmean, geometric_mean

    from synergyc.pipeline.evaluation import SELECTORS, compare, summary
    from synergyc.report.bench import markdown_table

    found = [compare(rows, name) for name in SELECTORS[1:]]
    columns = (
        "`exact` against",
        "throughput x",
        "geometric",
        "latency less",
        "power less",
        "failed",
        "cases",
    )
    lines = [
        (
            item.selector,
            fmean(item.throughput) if item.throughput else "-",
            geometric_mean(item.throughput) if item.throughput else "-",
            f"{fmean(item.latency):.1%}" if item.latency else "-",
            f"{fmean(item.power):.1%}" if item.power else "-",
            item.failed,
            item.cases,
        )
        for item in found
    ]
    totals = summary(rows)
    mode = "several segments" if shared else "one segment"
    return "\n".join(
        [
            "# The paper's evaluation, by the cost model",
            "",
            f"Made by `synergyc bench paper`: {mode} on an accelerator, {budget_s:g} s for each search.",
            "Definitions and assumptions: [selectors.md](selectors.md). Failed: no plan that fits, although",
            "`exact` has one; such cases are in no average. Each figure compares plans chosen for it.",
            "",
            markdown_table(columns, lines),
            markdown_table(("over the seven baselines", "value"), totals.items()),
            _throughputs(rows),
        ]
    )


def _throughputs(rows: Sequence[Row]) -> str:
    from synergyc.pipeline.evaluation import SELECTORS
    from synergyc.report.bench import markdown_table

    cases = dict.fromkeys(row.case for row in rows if row.objective == "throughput")
    by_key = {(row.case, row.selector): row for row in rows}
    lines = []
    for case in cases:
        found = [by_key[case, name] for name in SELECTORS]
        lines.append((*case[:3], *(row.throughput_hz if row.apps else "-" for row in found)))
    return markdown_table(("runs/s: workload", "fleet", "kB/s", *SELECTORS), lines)
