"""``synergyc run``: emulate a build and check every result against the reference."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from synergyc.cli.progress import counted

if TYPE_CHECKING:
    from synergyc.report.outcome import RunOutcome


@click.command("run")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--runs", default=100, show_default=True, type=click.IntRange(min=1), help="Runs of each app.")
@click.option("--limit-s", type=click.FloatRange(min=0, min_open=True), help="Limit of virtual time.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
@click.option("-q", "--quiet", is_flag=True, help="No progress bar.")
def command(folder: Path, runs: int, limit_s: float | None, as_json: bool, quiet: bool) -> None:
    """Run the images in FOLDER on emulated devices; exit 0 only if every result is right, bit by bit."""
    from synergyc.pipeline.run import run

    with counted(runs, "results", quiet=quiet) as progress:
        outcome = run(folder, runs, limit_s=limit_s, progress=progress)
    if as_json:
        click.echo(json.dumps(_document(outcome), indent=2))
    else:
        from rich.console import Console

        from synergyc.report.outcome_tables import outcome_report

        Console().print(outcome_report(outcome))
    if not outcome.ok:
        raise SystemExit(1)


def _document(outcome: RunOutcome) -> dict[str, object]:
    apps = {
        app.name: {
            "sent": app.sent,
            "right": app.right,
            "wrong": app.wrong,
            "dropped": app.dropped,
            "throughput_hz": app.throughput_hz,
            "accuracy": app.accuracy,
        }
        for app in outcome.apps
    }
    predicted = {
        app.name: {"throughput_hz": app.predicted_throughput_hz, "latency_ms": app.predicted_latency_ms}
        for app in outcome.apps
    }
    units = {
        device.name: {
            unit.unit: {
                "busy": unit.busy,
                "predicted_us": unit.predicted_us,
                "emulated_us": unit.emulated_us,
                "predicted_cycles": unit.predicted_cycles,
                "emulated_cycles": unit.emulated_cycles,
            }
            for unit in device.units
        }
        for device in outcome.devices
    }
    return {
        "ok": outcome.ok,
        "apps": apps,
        "predicted": predicted,
        "units": units,
        "virtual_s": outcome.virtual_s,
    }
