"""Time of a build by stage, speed of the emulated system, peak memory: ``python benchmarks/walk.py``.

Builds examples/digits.yaml in a temporary folder and runs it. Timings depend on the machine and its load:
compare them only within one run.
"""

from __future__ import annotations

import json
import resource
import tempfile
import time
from pathlib import Path

import click

from synergyc.pipeline.build import BuildOptions, build
from synergyc.pipeline.run import RunOptions, run

EXAMPLE = Path(__file__).parent.parent / "examples" / "digits.yaml"


class Stopwatch:
    """Seconds between the calls, by the name given at each stage's begin."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._name = ""
        self._began = 0.0

    def __call__(self, name: str) -> None:
        """End the stage before and begin ``name``; the empty name begins nothing."""
        now = time.perf_counter()
        if self._name:
            self.seconds[self._name] = round(now - self._began, 3)
        self._name, self._began = name, now


@click.command()
@click.option("--runs", default=100, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(runs: int, as_json: bool) -> None:
    """Measure the walking path."""
    watch = Stopwatch()
    with tempfile.TemporaryDirectory() as folder:
        build(EXAMPLE, Path(folder) / "build", BuildOptions(), watch)
        watch("")
        began = time.perf_counter()
        outcome = run(Path(folder) / "build", RunOptions(runs))
        run_s = time.perf_counter() - began
    instructions = sum(device.instructions for device in outcome.devices)
    figures = {
        "build_s": watch.seconds,
        "run_s": round(run_s, 3),
        "inferences_per_s": round(runs / run_s, 1),
        "instructions_per_s": round(instructions / run_s),
        "virtual_s_per_s": round(outcome.virtual_s / run_s, 3),
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "all_right": outcome.ok,
    }
    if as_json:
        click.echo(json.dumps(figures, indent=2))
        return
    for name, seconds in watch.seconds.items():
        click.echo(f"build: {name:32} {seconds:8.2f} s")
    for key, value in figures.items():
        if key != "build_s":
            click.echo(f"{key:39} {value:>10}")


if __name__ == "__main__":
    main()
