"""CPU cost of the work behind a network on the emulated chip: ``python benchmarks/tail.py``.

Builds networks of one layer with each function behind it, in several sizes, runs the images, fits
``tail_cycles`` of targets/firmware/runtime.yaml, and shows how far its figures are from what was measured.
Emulated time is exact: the figures are the same on every machine.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import numpy as np
import torch
from torch import nn
from torch.nn import functional

from synergyc.emulate.simulation import Ending
from synergyc.ir import store
from synergyc.ir.network import Network
from synergyc.ir.tail import Stage, stages
from synergyc.pipeline.build import BuildOptions, build
from synergyc.pipeline.consoles import ConsoleReader
from synergyc.pipeline.emulated import simulation
from synergyc.pipeline.run import RUN_LIMIT_SYMBOL, RunOptions, run
from synergyc.pipeline.scenario import Scenario
from synergyc.plan.cpu_work import tail_cycles
from synergyc.targets import load_chip

FUNCTIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "softmax": lambda x: functional.softmax(x, dim=1),
    "log_softmax": lambda x: functional.log_softmax(x, dim=1),
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "argmax": lambda x: x.argmax(dim=1),
    "max": lambda x: x.max(dim=1)[0],
    "transpose": lambda x: x.permute(0, 2, 3, 1),
    "shuffle": lambda x: functional.pixel_shuffle(x, 2),
    "slice": lambda x: torch.tanh(x)[:, 1:],
    "nearest": lambda x: functional.interpolate(x, scale_factor=3.0),
    "bilinear": lambda x: functional.interpolate(x, scale_factor=2.0, mode="bilinear"),
}

SHAPES = ((4, 8, 8), (4, 12, 12), (32, 6, 6))
"""Of the network's output."""

RUNS = 8
_LIMIT_NS = 30 * 10**9


class Ending1x1(nn.Module):
    """A convolution of ``channels`` outputs and one function behind it."""

    def __init__(self, function: str, channels: int) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, channels, 1)
        self.function = FUNCTIONS[function]

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return what the function makes of the layer's output."""
        return self.function(self.layer(image))


@dataclass(frozen=True)
class Sample:
    """What one tail took for one run, and what is predicted; throughput and latency of the whole app."""

    function: str
    shape: tuple[int, ...]
    cycles: float
    predicted_cycles: float
    throughput_hz: float
    predicted_hz: float
    latency_ms: float
    predicted_ms: float


def app_text(function: str, shape: tuple[int, ...], data: Path) -> str:
    """Return an app file for one device."""
    channels, rows, columns = shape
    source = f"{Path(__file__).resolve()}:Ending1x1"
    model = f'{{python: "{source}", weights: {data.parent}/weights.pt, input: [3, {rows}, {columns}]'
    return (
        "synergy: 1\n"
        "devices:\n"
        "  wrist: {board: max78000fthr, sensors: [replay], actuators: [display]}\n"
        "apps:\n"
        "  app:\n"
        "    sense: replay\n"
        f"    model: {model}, args: {{function: {function}, channels: {channels}}}}}\n"
        f"    quantize: {{calibrate: {data}}}\n"
        f"    samples: {data}\n"
        "    interact: display\n"
    )


def measure(function: str, shape: tuple[int, ...], folder: Path) -> tuple[Sample, tuple[Stage, ...]]:
    """Build and run one tail; return what it took, and its stages."""
    data = folder / "data.npy"
    generator = np.random.default_rng(0)
    np.save(data, np.clip(generator.normal(0, 0.3, (RUNS, 3, *shape[1:])), -1, 1).astype(np.float32))
    torch.manual_seed(0)
    torch.save(Ending1x1(function, shape[0]).state_dict(), folder / "weights.pt")
    app_file, output = folder / "app.yaml", folder / "build"
    app_file.write_text(app_text(function, shape, data))
    manifest = build(app_file, output, BuildOptions(), lambda _: None)
    outcome = run(output, RunOptions(runs=RUNS))
    if not outcome.ok:
        raise SystemExit(f"{function} {shape}: results are wrong")
    network = store.load(output / manifest.apps[0].network.path, Network)
    tensor = network.tensor(network.outputs[0])
    app, predicted = outcome.apps[0], manifest.apps[0].predicted
    sample = Sample(
        function,
        shape,
        task_cycles(output, "tail"),
        tail_cycles(network),
        app.throughput_hz,
        predicted.throughput_hz,
        app.latency.p50_ms if app.latency else 0.0,
        predicted.latency_ms,
    )
    work = stages(network.tail, tensor.shape, tensor.fraction_bits, tensor.width_bits)
    return sample, work


def task_cycles(folder: Path, task: str) -> float:
    """Return the CPU cycles from begin to end of a task of one run, by the device's own report."""
    from synergyc.manifest import read_manifest

    devices = simulation(folder, read_manifest(folder), Scenario())
    board = devices.boards["wrist"]
    board.poke(RUN_LIMIT_SYMBOL, (1).to_bytes(4, "little"))
    console = ConsoleReader(board)

    def ended() -> bool:
        console.poll()
        return bool(console.counts["E"])

    devices.run(_LIMIT_NS, ended, ask_every_ns=10**6).raise_unless(Ending.STOPPED)
    line = next(item for item in console.reports("task") if item.fields[2] == task)
    chip = load_chip("max78000")
    return int(line.fields[4]) * chip.clocks.cpu_hz / chip.clocks.peripheral_hz


def fitted(measured: list[tuple[Sample, tuple[Stage, ...]]]) -> dict[str, dict[str, float]]:
    """Return cycles for each position and step by operation, by least relative squares over all samples."""
    names = sorted({str(stage.tail.op) for _, work in measured for stage in work})
    stepped = {
        name
        for name in names
        if len({s.steps for _, work in measured for s in work if str(s.tail.op) == name}) > 1
    }
    columns = [(name, "position") for name in names] + [(name, "value") for name in sorted(stepped)]
    rows = np.zeros((len(measured), len(columns)))
    for row, (sample, work) in zip(rows, measured, strict=True):
        for stage in work:
            name = str(stage.tail.op)
            row[columns.index((name, "position"))] += stage.positions / sample.cycles
            if name in stepped:
                row[columns.index((name, "value"))] += stage.positions * stage.steps / sample.cycles
    figures = np.linalg.lstsq(rows, np.ones(len(measured)), rcond=None)[0]
    found: dict[str, dict[str, float]] = {name: {} for name in names}
    for (name, part), cycles in zip(columns, figures, strict=True):
        found[name][part] = round(float(cycles), 1)
    return found


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def main(as_json: bool) -> None:
    """Measure what tails cost the CPU, and how far predictions are from what the images do."""
    measured = []
    for function in FUNCTIONS:
        for shape in SHAPES:
            with tempfile.TemporaryDirectory() as folder:
                measured.append(measure(function, shape, Path(folder)))
                if not as_json:
                    click.echo(str(measured[-1][0]))
    cycles = fitted(measured)
    document = {"samples": [asdict(sample) for sample, _ in measured], "tail_cycles": cycles}
    click.echo(json.dumps(document, indent=2) if as_json else f"targets/firmware/runtime.yaml: {cycles}")


if __name__ == "__main__":
    main()
