"""``synergyc plan``: the chosen plan, what it is expected to do, and the runners-up."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from synergyc.cli.progress import stages

if TYPE_CHECKING:
    from synergyc.diagnostics import SynergyError
    from synergyc.plan.problem import Goal
    from synergyc.plan.selector import PlanResult


@click.command("plan")
@click.argument("app_file", type=click.Path(path_type=Path))
@click.option(
    "--objective",
    type=click.Choice(["throughput", "ratio", "latency", "energy"]),
    help="What the plan is best at (default: what the app file says).",
)
@click.option("--selector", default="exact", show_default=True, help="How the plan is chosen.")
@click.option("--baselines", is_flag=True, help="Show what the other selectors would choose.")
@click.option("--pareto", is_flag=True, help="Show plans between which only a preference can choose.")
@click.option("--explain", is_flag=True, help="Show every term of the cost model, with its source.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("-q", "--quiet", is_flag=True, help="No progress messages.")
def command(
    app_file: Path,
    objective: Goal | None,
    selector: str,
    baselines: bool,
    pareto: bool,
    explain: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Show which layers of APP_FILE's models would run where, at what cost, and what else would fit."""
    from synergyc import config
    from synergyc.pipeline import planning
    from synergyc.pipeline.build import BuildOptions, plan_system
    from synergyc.plan.selectors import BUILT_IN

    with stages(quiet=quiet) as progress:
        progress("read the app file")
        system = config.load(app_file)
        options = BuildOptions(objective=objective, selector=selector)
        models, result = plan_system(system, options, progress)
        outcomes: dict[str, PlanResult | SynergyError] = {}
        front: tuple[PlanResult, ...] = ()
        if baselines:
            progress("ask the other selectors")
            names = [name for name in BUILT_IN if name != "exhaustive"]
            outcomes = planning.compare_selectors(system, list(models.values()), names, objective)
        if pareto:
            progress("find the front")
            front = planning.find_front(system, list(models.values()))
    if as_json:
        click.echo(json.dumps(_document(result, outcomes, front), indent=2))
    else:
        _show(result, outcomes, front, explain=explain)


def _document(
    result: PlanResult, outcomes: Mapping[str, PlanResult | SynergyError], front: Sequence[PlanResult]
) -> dict[str, object]:
    from synergyc.plan.document import front_document, outcomes_document, plan_document

    document = plan_document(result)
    if outcomes:
        document["baselines"] = outcomes_document(outcomes)
    if front:
        document["pareto"] = front_document(front)
    return document


def _show(
    result: PlanResult,
    outcomes: Mapping[str, PlanResult | SynergyError],
    front: Sequence[PlanResult],
    *,
    explain: bool,
) -> None:
    from rich.console import Console

    from synergyc.report.terminal import front_table, outcomes_table, plan_report

    console = Console()
    console.print(plan_report(result, explain=explain))
    if outcomes:
        console.print(outcomes_table(outcomes))
    if front:
        console.print(front_table(front))
