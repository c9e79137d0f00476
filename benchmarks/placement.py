"""Placement speed: ``python benchmarks/placement.py``. One line of JSON for each question.

A chain of 30 layers (bar: 2 s) and a residual network for both chips, the vendor's UNet for images of 352
x 352 pixels, two networks resident together, and a planner's view: all segments of a 14-layer network, asked
one after the other. Times are seconds of this process; those of the wall depend on the machine's load.
Exit code 1 if a 30-layer network takes longer than ``--bar``.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from synergyc.diagnostics import SynergyError
from synergyc.ir.network import Layer, LayerOp, Network, Tensor
from synergyc.ir.types import EltwiseOp, Pool, PoolKind, Shape, frozen_array
from synergyc.pipeline.planning import fits
from synergyc.synth.placement import place
from synergyc.synth.resident import place_resident
from synergyc.targets import Chip, load_chip

POOL = Pool(PoolKind.MAX, (2, 2), 2)


def convolution(name: str, source: Tensor, out: int, *, kernel: int = 3, up: bool = False) -> Layer:
    """Return a convolution of ``source`` with random weights; ``up`` doubles the map."""
    rng = np.random.default_rng(len(name) + out)
    channels, rows, columns = source.shape
    shape: Shape = (out, 2 * rows, 2 * columns) if up else (out, rows, columns)
    weights = (channels, out, 3, 3) if up else (out, channels, kernel, kernel)
    return Layer(
        name,
        LayerOp.CONV_TRANSPOSE2D if up else LayerOp.CONV2D,
        (source.name,),
        Tensor(name, shape, 7),
        source.shape,
        kernel=(kernel, kernel),
        padding=(kernel // 2, kernel // 2),
        weight=frozen_array(rng.integers(-128, 128, weights), np.int8),
        bias=frozen_array(rng.integers(-128, 128, out), np.int8),
    )


def pooled(layer: Layer) -> Layer:
    """Return ``layer`` with pooling in front of it."""
    channels, rows, columns = layer.output.shape
    return replace(layer, pool=POOL, output=replace(layer.output, shape=(channels, rows // 2, columns // 2)))


def chain(count: int, channels: int, size: int) -> Network:
    """Return convolutions of slowly growing width that pool four times."""
    source = last = Tensor("input", (3, size, size), 7)
    layers: list[Layer] = []
    for index in range(count):
        layer = convolution(f"l{index}", last, channels + index // 2, kernel=1 if index % 3 else 3)
        layers.append(pooled(layer) if index % 7 == 6 else layer)
        last = layers[-1].output
    return Network("chain", (source,), tuple(layers), (last.name,))


def residual(count: int, channels: int, size: int) -> Network:
    """Return blocks of two convolutions and a sum."""
    source = Tensor("input", (3, size, size), 7)
    layers = [convolution("l0", source, channels)]
    while len(layers) < count:
        start, number = layers[-1].output, len(layers)
        first = convolution(f"l{number}", start, channels, kernel=1)
        second = convolution(f"l{number + 1}", first.output, channels)
        name = f"l{number + 2}"
        total = Layer(
            name,
            LayerOp.PASSTHROUGH,
            (start.name, second.output.name),
            replace(start, name=name),
            start.shape,
            eltwise=EltwiseOp.ADD,
        )
        layers += [first, second, total]
    return Network("residual", (source,), tuple(layers[:count]), (layers[count - 1].output.name,))


def u_net(size: int) -> Network:
    """Return the outer layers of the vendor's UNet, whose maps fill the data memory of the smaller chip."""
    source = Tensor("input", (48, size, size), 7)
    layers = [convolution("prep", source, 64, kernel=1)]
    for name, out in (("narrow", 32), ("enc1", 8)):
        layers.append(convolution(name, layers[-1].output, out, kernel=1))
    layers.append(pooled(convolution("enc2", layers[-1].output, 28)))
    layers.append(convolution("up", layers[-1].output, 8, up=True))
    joined = replace(layers[-1].output, name="joined", shape=(16, size, size))
    dec = convolution("dec", joined, 48)
    layers.append(replace(dec, inputs=("up", "enc1")))
    layers.append(convolution("head", layers[-1].output, 64, kernel=1))
    return Network("unet", (source,), tuple(layers), ("head",))


def segments(network: Network) -> Iterator[Network]:
    """Yield all parts of a chain."""
    count = len(network.layers)
    yield from (network.segment(first, last) for first in range(count) for last in range(first, count))


def measure(name: str, chip_name: str, action: Callable[[], object]) -> dict[str, object]:
    """Return the seconds of this process and of the wall, and whether it fits."""
    cpu, wall = time.process_time(), time.perf_counter()
    try:
        action()
        said = "fits"
    except SynergyError as error:
        said = error.diagnostics[0].message
    cpu_s, wall_s = time.process_time() - cpu, time.perf_counter() - wall
    return {"case": name, "chip": chip_name, "s": round(cpu_s, 3), "wall_s": round(wall_s, 3), "said": said}


def rows() -> Iterator[dict[str, object]]:
    """Yield one measurement after the other."""
    for chip_name in ("max78000", "max78002"):
        chip = load_chip(chip_name)
        for network in (chain(30, 16, 64), residual(22, 24, 32)):
            title = f"{network.name} of {len(network.layers)} layers"
            yield measure(title, chip_name, partial(place, network, chip))
        yield measure("UNet of 88 x 88", chip_name, partial(place, u_net(88), chip))
        pair = [chain(14, 24, 32), replace(residual(13, 24, 32), name="other")]
        yield measure("two resident", chip_name, partial(place_resident, pair, chip))
        parts = list(segments(chain(14, 16, 32)))
        yield measure(f"{len(parts)} segments", chip_name, partial(ask, parts, chip))


def ask(parts: Sequence[Network], chip: Chip) -> None:
    """Ask for each network whether it fits, as a planner does."""
    for part in parts:
        fits([part], chip)


def main() -> int:
    """Print all measurements; return 1 if a 30-layer network takes too long."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bar", type=float, default=2.0, help="seconds for a network of 30 layers")
    bar = parser.parse_args().bar
    late = False
    for row in rows():
        print(json.dumps(row), flush=True)
        late |= "30 layers" in str(row["case"]) and float(str(row["s"])) > bar
    return int(late)


if __name__ == "__main__":
    raise SystemExit(main())
