"""``synergyc plan``: the chosen plan, what it is expected to do, and the runners-up."""

from __future__ import annotations

import json
from pathlib import Path

import click

from synergyc.cli.progress import stages


@click.command("plan")
@click.argument("app_file", type=click.Path(path_type=Path))
@click.option(
    "--objective",
    type=click.Choice(["throughput", "latency"]),
    help="What the plan is best at (default: what the app file says).",
)
@click.option("--selector", default="exact", show_default=True, help="How the plan is chosen.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("-q", "--quiet", is_flag=True, help="No progress messages.")
def command(app_file: Path, objective: str | None, selector: str, as_json: bool, quiet: bool) -> None:
    """Show which layers of APP_FILE's models would run where, at what cost, and what else would fit."""
    from synergyc import config
    from synergyc.pipeline.build import BuildOptions, plan_system
    from synergyc.plan.document import plan_document

    options = BuildOptions(objective=objective, selector=selector)  # type: ignore[arg-type]
    with stages(quiet=quiet) as progress:
        progress("read the app file")
        _, result = plan_system(config.load(app_file), options, progress)
    if as_json:
        click.echo(json.dumps(plan_document(result), indent=2))
        return
    from rich.console import Console

    from synergyc.report.terminal import plan_report

    Console().print(plan_report(result))
