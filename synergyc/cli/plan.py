"""``synergyc plan``: the chosen plan, what it is expected to do, and the runners-up."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from synergyc.cli.console import table_console
from synergyc.cli.planning_options import planning_options
from synergyc.cli.progress import stages
from synergyc.cli.refusals import warn

if TYPE_CHECKING:
    from synergyc.diagnostics import SynergyError
    from synergyc.plan.availability import Alternative
    from synergyc.plan.problem import Objective
    from synergyc.plan.selector import PlanResult


@dataclass(frozen=True)
class _Extras:
    """What was asked beyond the plan itself."""

    outcomes: Mapping[str, PlanResult | SynergyError]
    front: Sequence[PlanResult]
    alternatives: Sequence[Alternative]


@click.command("plan")
@click.argument("app_file", type=click.Path(path_type=Path))
@planning_options
@click.option("--baselines", is_flag=True, help="Show what the other selectors would choose.")
@click.option("--pareto", is_flag=True, help="Show plans between which only a preference can choose.")
@click.option("--availability", is_flag=True, help="Show the plans for when devices are away.")
@click.option("--explain", is_flag=True, help="Show every term of the cost model, with its source.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("-q", "--quiet", is_flag=True, help="No progress messages.")
def command(
    app_file: Path,
    objective: Objective | None,
    selector: str,
    baselines: bool,
    pareto: bool,
    availability: bool,
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
        prepared = list(models.values())
        outcomes: Mapping[str, PlanResult | SynergyError] = {}
        front: Sequence[PlanResult] = ()
        alternatives: Sequence[Alternative] = ()
        if baselines:
            progress("ask the other selectors")
            names = [name for name in BUILT_IN if name != "exhaustive"]
            outcomes = planning.compare_selectors(system, prepared, names, objective)
        if pareto:
            progress("find the front")
            front = planning.find_front(system, prepared)
        if availability:
            progress("plan for absent devices")
            alternatives = planning.plan_alternatives(system, prepared, result.plan, objective)
    warn(result.warnings)
    extras = _Extras(outcomes, front, alternatives)
    if as_json:
        click.echo(json.dumps(_document(result, extras), indent=2))
    else:
        _show(result, extras, explain=explain)


def _document(result: PlanResult, extras: _Extras) -> dict[str, object]:
    from synergyc.plan import document as documents

    document = documents.plan_document(result)
    if extras.outcomes:
        document["baselines"] = documents.outcomes_document(extras.outcomes)
    if extras.front:
        document["pareto"] = documents.front_document(extras.front)
    if extras.alternatives:
        document["availability"] = documents.alternatives_document(extras.alternatives)
    return document


def _show(result: PlanResult, extras: _Extras, *, explain: bool) -> None:
    from synergyc.report.terminal import alternatives_table, front_table, outcomes_table, plan_report

    console = table_console()
    console.print(plan_report(result, explain=explain))
    if extras.outcomes:
        console.print(outcomes_table(extras.outcomes))
    if extras.front:
        console.print(front_table(extras.front))
    if extras.alternatives:
        console.print(alternatives_table(extras.alternatives))
