"""``synergyc bench``: the paper's evaluation by the cost model."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import click

from synergyc.cli.groups import ToldGroup
from synergyc.cli.option_types import FiniteRange, OutputFile
from synergyc.cli.progress import parts

if TYPE_CHECKING:
    from synergyc.ir.network import Network


@click.group("bench", cls=ToldGroup)
def command() -> None:
    """Evaluate planning on the paper's models and workloads."""


@command.command("paper")
@click.option(
    "--budget",
    default=1.0,
    show_default=True,
    type=FiniteRange(min=0, min_open=True),
    help="CPU seconds that one search may take.",
)
@click.option(
    "--workload",
    "numbers",
    multiple=True,
    type=click.IntRange(1, 4),
    help="Only these of the four workloads (default: all).",
)
@click.option("-o", "--output", type=OutputFile(), help="Also write a Markdown table here.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("-q", "--quiet", is_flag=True, help="No progress messages.")
def paper(
    budget: float,
    numbers: tuple[int, ...],
    output: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Compare all selectors on workloads, fleets and link rates."""
    from synergyc.pipeline.evaluation import Evaluation
    from synergyc.pipeline.evaluation_cases import WORKLOADS
    from synergyc.pipeline.evaluation_compare import sensitivity, summary
    from synergyc.pipeline.evaluation_tables import evaluation_markdown, evaluation_rows

    workloads = tuple(name for i, name in enumerate(WORKLOADS, 1) if not numbers or i in numbers)
    with parts(quiet=quiet) as progress:
        rows = tuple(Evaluation(_zoo_network, budget, progress, workloads).rows())
    text = evaluation_markdown(rows, budget_s=budget)
    if output is not None:
        output.write_text(text, encoding="utf-8")
    if not as_json:
        click.echo(text)
        return
    document = {
        "summary": summary(rows),
        "sensitivity": dict(sensitivity(rows)),
        "rows": list(evaluation_rows(rows)),
    }
    click.echo(json.dumps(document, indent=2))


@command.command("cost")
@click.option("-o", "--output", type=OutputFile(), help="Also write the table here.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def cost(output: Path | None, as_json: bool) -> None:
    """Compare the cost model with published measurements."""
    from synergyc.pipeline.measured import compare_with_measurements, measurements_markdown

    found = compare_with_measurements(_zoo_network)
    text = measurements_markdown(found)
    if output is not None:
        output.write_text(text, encoding="utf-8")
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
