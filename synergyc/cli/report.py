"""``synergyc report``: a build as one HTML file."""

from __future__ import annotations

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
@click.option("-q", "--quiet", is_flag=True, help="No progress messages.")
def command(folder: Path, output: Path | None, runs: int, quiet: bool) -> None:
    """Show plan, timeline, memory maps, and expectation against measurement of the build in DIR."""
    from synergyc.pipeline.report import build_report
    from synergyc.report.html import html_report

    with stages(quiet=quiet) as progress:
        progress("emulate and collect" if runs else "collect")
        page = html_report(build_report(folder, runs))
    target = output or folder / "report.html"
    target.write_text(page, encoding="utf-8")
    click.echo(f"written to {target}")
