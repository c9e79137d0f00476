"""Accuracy after quantization, ours beside others: ``python -m benchmarks.quantize [--seeds 3] [--json]``.

Run from the repository's root; the recordings and the other quantizers are optional: ``pip install --no-deps
sktime``, ``pip install torchao brevitas``, ``AI8X_SYNTHESIS_DIR`` for the vendor's tool. Each seed trains the
float model anew, with a split of its own. Every row is scored by the integer reference, with the chip's
rounding and its 8-bit biases, on test samples that neither training nor any choice has seen; ``trained`` is
chosen on validation samples. ``2*`` has first and last layer at 8 bits, those between at 2.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
from sklearn.datasets import load_digits
from torch import nn

from benchmarks.quantizers.assemble import Widths
from benchmarks.quantizers.plain import plain
from models import train_digits, train_motion
from synergyc.diagnostics import SynergyError
from synergyc.frontend import capture
from synergyc.ir.graph import Graph
from synergyc.ir.types import Array
from synergyc.legalize import rewrite
from synergyc.pipeline.training import Labelled, Schedule, train
from synergyc.quantize import calibrate, real_input
from synergyc.quantize.calibrate import float_values, integer_values
from synergyc.quantize.widths import weight_counts

Quantizer = Callable[[Graph, Array, Widths], Graph]

WIDTHS = ("8", "4", "2*", "2")


@dataclass(frozen=True, eq=False)
class Task:
    """A trained float model, and samples for each purpose."""

    graph: Graph
    data: Labelled
    validation: Labelled
    test: Labelled
    learning_rate: float
    """The default of ``synergyc train``; not tuned for the task."""


@dataclass(frozen=True)
class Row:
    """Accuracy of one method on one task and seed."""

    task: str
    method: str
    widths: str
    seed: int
    accuracy: float
    seconds: float


def digits(seed: int) -> Task:
    """Return the digits model; test images are distorted, so that some of them are wrong."""
    source = load_digits()
    order = np.random.default_rng(seed).permutation(len(source.target))
    images, labels = source.images[order], source.target[order].astype(np.int64)
    parts = np.split(np.arange(len(order)), [train_digits.TEST, train_digits.TEST + train_digits.VALIDATION])

    def drawn(part: Array, copies: int) -> Labelled:
        index, random = np.repeat(part, copies), np.random.default_rng(seed)
        return Labelled(train_digits.distorted(images[index], random), labels[index])

    test, validation, data = drawn(parts[0], 4), drawn(parts[1], 2), drawn(parts[2], 2)
    model = train_digits.train_digits(
        images[parts[2]], labels[parts[2]], (validation.inputs, validation.labels), seed
    )
    return Task(_graph(model, (1, 28, 28)), data, validation, test, 1e-3)


def motion(seed: int) -> Task:
    """Return the motion model."""
    model, used, held = train_motion.train_motion(seed)
    recordings, labels = train_motion.read("TRAIN")
    data, validation = (
        Labelled(*train_motion.windows(recordings[part], labels[part])) for part in (used, held)
    )
    test = Labelled(*train_motion.windows(*train_motion.read("TEST")))
    return Task(_graph(model, (6, train_motion.WINDOW)), data, validation, test, 1e-3)


def _graph(model: nn.Module, shape: tuple[int, ...]) -> Graph:
    return rewrite(capture(model.eval(), shape, "model"))


def quantizers() -> dict[str, Quantizer]:
    """Return those that are installed."""
    found: dict[str, Quantizer] = {"max-abs": plain}
    if find_spec("torchao") is not None:
        from benchmarks.quantizers.with_pt2e import pt2e

        found["PT2E"] = pt2e
    if find_spec("brevitas") is not None:
        from benchmarks.quantizers.with_brevitas import brevitas

        found["Brevitas"] = brevitas
    from benchmarks.quantizers.with_vendor import vendor

    found["vendor"] = vendor
    found["ours"] = lambda graph, data, widths: calibrate(graph, data, widths).integers
    return found


def widths_of(graph: Graph, kind: str) -> dict[str, int]:
    """Return the widths that a column stands for."""
    names = list(weight_counts(graph))
    widths = dict.fromkeys(names, int(kind[0]))
    return widths | ({names[0]: 8, names[-1]: 8} if kind.endswith("*") else {})


def rows(name: str, task: Task, seed: int) -> Iterator[Row]:
    """Yield each method's accuracy at each width."""
    real = float_values(task.graph, real_input(task.test.inputs))[task.graph.output]
    yield Row(name, "float", "", seed, _share(real, task.test), 0.0)
    calibration = task.data.inputs[:256]
    for method, quantizer in quantizers().items():
        for kind in WIDTHS:
            began = time.perf_counter()
            try:
                integers = quantizer(task.graph, calibration, widths_of(task.graph, kind))
            except SynergyError:  # the vendor's tool is not installed
                continue
            yield _scored(name, method, kind, seed, integers, task, began)
    for kind in WIDTHS[1:]:
        began = time.perf_counter()
        start = calibrate(task.graph, calibration, widths_of(task.graph, kind))
        schedule = Schedule(epochs=10, learning_rate=task.learning_rate, seed=seed)
        found = train(start, task.data, task.validation, schedule)
        yield _scored(name, "ours, trained", kind, seed, found.integers, task, began)


def _scored(name: str, method: str, kind: str, seed: int, integers: Graph, task: Task, began: float) -> Row:
    seconds = time.perf_counter() - began
    outputs = integer_values(integers, task.test.inputs)[integers.output]
    return Row(name, method, kind, seed, _share(outputs, task.test), seconds)


def _share(outputs: Array, data: Labelled) -> float:
    return float((outputs.reshape(len(outputs), -1).argmax(axis=1) == data.labels).mean())


def table(found: list[Row]) -> str:
    """Return mean accuracy over seeds, with the least and the largest, as a table for each task."""
    lines = []
    for task in dict.fromkeys(row.task for row in found):
        lines += [f"| {task} | {' | '.join(WIDTHS)} | seconds |", f"|---|{'---|' * len(WIDTHS)}---|"]
        for method in dict.fromkeys(row.method for row in found if row.task == task):
            mine = [row for row in found if (row.task, row.method) == (task, method)]
            cells = [_cell([row.accuracy for row in mine if row.widths in ("", kind)]) for kind in WIDTHS]
            seconds = statistics.fmean(row.seconds for row in mine)
            lines.append(f"| {method} | {' | '.join(cells)} | {seconds:.1f} |")
        lines.append("")
    return "\n".join(lines)


def _cell(shares: list[float]) -> str:
    if not shares:
        return ""
    return f"{100 * statistics.fmean(shares):.1f} ({100 * min(shares):.1f}-{100 * max(shares):.1f})"


def main() -> None:
    """Train, quantize and print the table."""
    parser = argparse.ArgumentParser(description="Accuracy after quantization, ours beside others.")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tasks", nargs="+", choices=["digits", "motion"], default=["digits", "motion"])
    parser.add_argument("--json", action="store_true", help="print all rows as one JSON document")
    options = parser.parse_args()
    tasks = {"digits": digits, **({"motion": motion} if find_spec("sktime") is not None else {})}
    found: list[Row] = []
    for seed in range(options.seeds):
        for name in (task for task in tasks if task in options.tasks):
            with contextlib.redirect_stdout(io.StringIO()):
                task = tasks[name](seed)
            for row in rows(name, task, seed):
                print(row, file=sys.stderr, flush=True)
                found.append(row)
    print(json.dumps([vars(row) for row in found], indent=2) if options.json else table(found))


if __name__ == "__main__":
    main()
