"""Time and memory from a model to its integers: ``python benchmarks/frontend.py``.

For each of the 8 models in its form for a chip: capture, rewrite, calibrate with 256 samples, legalize, in a
process of its own, so that the peak memory is that of one model. Seconds are CPU time, of one core with
OMP_NUM_THREADS=1: other jobs disturb them less than the time of the clock.
"""

from __future__ import annotations

import json
import multiprocessing
import resource
import time

import click

SAMPLES = 256


def measure(name: str, chip: str) -> dict[str, object]:
    """Return seconds of CPU time by stage and the peak memory of this process."""
    from models import zoo
    from synergyc.frontend import capture
    from synergyc.legalize import legalize, rewrite
    from synergyc.quantize import calibrate
    from synergyc.targets import load_chip

    module = zoo.build(name, chip)
    marks = [time.process_time()]
    captured = capture(module, zoo.ZOO[name].input_shape, name)
    marks.append(time.process_time())
    graph = rewrite(captured)
    marks.append(time.process_time())
    integers = calibrate(graph, zoo.calibration(name, SAMPLES), zoo.weight_bits(name, graph)).integers
    marks.append(time.process_time())
    network = legalize(integers, load_chip(chip))
    marks.append(time.process_time())
    stages = ("capture", "rewrite", "calibrate", "legalize")
    seconds = {
        stage: round(after - before, 2)
        for stage, before, after in zip(stages, marks, marks[1:], strict=False)
    }
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    total = round(marks[-1] - marks[0], 2)
    return {"layers": len(network.layers), "seconds": seconds, "total_s": total, "peak_mib": peak_mib}


@click.command()
@click.option("--chip", default="max78002", show_default=True)
@click.argument("names", nargs=-1)
def main(chip: str, names: tuple[str, ...]) -> None:
    """Measure the models called NAMES, or all of them, and print one JSON document."""
    from models import zoo

    context = multiprocessing.get_context("spawn")
    results = {}
    for name in names or zoo.ZOO:
        with context.Pool(1) as pool:
            results[name] = pool.apply(measure, (name, chip))
        click.echo(f"{name}: {results[name]}", err=True)
    click.echo(json.dumps({"chip": chip, "samples": SAMPLES, "models": results}, indent=2))


if __name__ == "__main__":
    main()
