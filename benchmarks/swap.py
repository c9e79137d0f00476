"""How long a residency set takes to load, planned and emulated: ``python -m benchmarks.swap``.

Two networks of one form take turns on one device, each in a set of its own; the device reports the time of
each load, other tasks of its main loop included. Emulated time is exact: the figures are the same everywhere.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import numpy as np

from models.zoo import network
from synergyc.plan.cost import weight_bytes
from synergyc.targets import load_chip
from tests.firmware.test_swap import OneApp, specs, swaps
from tests.firmware.test_two_devices import power_up

CHIPS = ("max78000", "max78002")
NETWORKS = ("convnet5", "kws", "simplenet")

_RUNS = 10
"""A little more than a set has before the other one's turn."""


@dataclass(frozen=True)
class Load:
    """One network's weights: ``planned_ms`` from bytes, ``placed_ms`` from words that its program stores."""

    chip: str
    network: str
    weight_bytes: int
    stored_words: int
    planned_ms: float
    placed_ms: float
    emulated_ms: float


def measure(chip_name: str, name: str, folder: Path) -> Load:
    """Build, run and read what the device reports."""
    chip, net = load_chip(chip_name), network(name, chip_name)
    apps = [OneApp(app, number, like=net) for number, app in enumerate("ab")]
    built = specs(apps, np.zeros((1, *net.inputs[0].shape), np.int8), _RUNS, chip_name)
    devices = power_up(built.values(), folder)
    devices.run_until_end()
    _, loads, ticks, _ = swaps(devices)
    words, size_bytes = built["wrist"].infers[0].program.load_words, weight_bytes(net.layers)
    timing = chip.cnn.timing
    return Load(
        chip_name,
        name,
        size_bytes,
        words,
        size_bytes * timing.weight_byte_ns / 1e6,
        words * timing.word_ns / 1e6,
        ticks * 1e3 / chip.clocks.peripheral_hz / loads,
    )


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def main(as_json: bool) -> None:
    """Measure how long weights take to load."""
    found = []
    for chip in CHIPS:
        for name in NETWORKS:
            with tempfile.TemporaryDirectory() as folder:
                load = measure(chip, name, Path(folder))
            found.append(load)
            if not as_json:
                errors = (value / load.emulated_ms - 1 for value in (load.planned_ms, load.placed_ms))
                shown = ", ".join(f"{error:+.1%}" for error in errors)
                click.echo(
                    f"{chip} {name}: {load.weight_bytes:,} bytes, planned {load.planned_ms:.2f},"
                    f" placed {load.placed_ms:.2f}, emulated {load.emulated_ms:.2f} ms ({shown})"
                )
    if as_json:
        click.echo(json.dumps([asdict(load) for load in found], indent=2))


if __name__ == "__main__":
    main()
