"""Speed of the co-simulation and gain of parallel execution: ``python -m benchmarks.run``.

Builds a system of four devices and three apps with rates as wearables have them, and tells how much virtual
time passes in a second of one core's time, the reference's work included; then the paper's own comparison,
parallel against sequential execution of one plan, for the examples.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import click

from synergyc.pipeline.build import BuildOptions, build
from synergyc.pipeline.run import RunOptions, run

EXAMPLES = Path(__file__).parent.parent / "examples"
FOUR_DEVICES = EXAMPLES / "four_devices.yaml"
COMPARED = ("digits", "two_apps", "three_devices")


@click.command()
@click.option("--runs", default=20, show_default=True, help="Runs of each app.")
def main(runs: int) -> None:
    """Measure the speed of the co-simulation, and parallel against sequential execution."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "build"
        build(FOUR_DEVICES, folder, BuildOptions(), lambda _: None)
        began = time.process_time()
        outcome = run(folder, RunOptions(runs))
        seconds = time.process_time() - began
        instructions = sum(device.instructions for device in outcome.devices)
        click.echo(
            f"4 devices, 3 apps: {outcome.virtual_s:.2f} s of virtual time in {seconds:.2f} s"
            f" ({outcome.virtual_s / seconds:.2f}x), {instructions / seconds / 1e6:.1f} M instructions/s"
        )
    for example in COMPARED:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name) / "build"
            build(EXAMPLES / f"{example}.yaml", folder, BuildOptions(), lambda _: None)
            parallel = run(folder, RunOptions(runs))
            sequential = run(folder, RunOptions(runs, sequential=True))
        one, other = (sum(app.throughput_hz for app in item.apps) for item in (parallel, sequential))
        count = len(sequential.apps)
        click.echo(
            f"{example}: {one:.1f} runs/s in parallel, {other / count:.1f} one after the other:"
            f" {one / (other / count):.2f}x"
        )


if __name__ == "__main__":
    main()
