"""``synergyc report``: a build as one HTML file."""

from __future__ import annotations

import json
from pathlib import Path

import click

from synergyc.cli.option_types import OutputFile
from synergyc.cli.progress import stages


@click.command("report")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=OutputFile(), help="The file (default: DIR/report.html).")
@click.option(
    "--runs",
    default=20,
    show_default=True,
    type=click.IntRange(min=0),
    help="Runs of each app that are emulated for the comparison; 0: none.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("-q", "--quiet", is_flag=True, help="No progress messages.")
def command(folder: Path, output: Path | None, runs: int, as_json: bool, quiet: bool) -> None:
    """Show plan, timeline, memory maps, and expectation against measurement of the build in DIR."""
    from synergyc.manifest import REPORT_NAME
    from synergyc.pipeline.report import build_report
    from synergyc.report.html import html_report

    with stages(quiet=quiet) as progress:
        progress("emulate and collect" if runs else "collect")
        shown = build_report(folder, runs)
        page = html_report(shown)
    target = output or folder / REPORT_NAME
    target.write_text(page, encoding="utf-8")
    right = None if shown.outcome is None else shown.outcome.ok
    if as_json:
        click.echo(json.dumps({"ok": True, "file": str(target), "runs": runs, "right": right}, indent=2))
    else:
        click.echo(f"written to {target}{'' if right in (True, None) else ': NOT all results are right'}")
