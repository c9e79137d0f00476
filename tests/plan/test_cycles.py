"""Cycles against the vendor's published totals and its per-layer figures for eight networks.

Truth: izer/test/test_cycles.py of ai8x-synthesis ab4f4c0 (19 totals) and the tool's own output for the
networks, collected in models.json (not part of the project; those tests skip without it).
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from synergyc.ir.network import Layer, LayerOp, Network
from synergyc.plan.cycles import (
    START_CYCLES,
    layer_cycles,
    network_cycles,
    walk_cycles,
    walk_of,
    weight_slots,
)
from synergyc.targets import Chip, load_chip
from tests.plan.networks import make_layer

MAX78000 = load_chip("max78000")
MAX78002 = load_chip("max78002")
UNPIPELINED = MAX78002.model_copy(
    update={
        "cnn": MAX78002.cnn.model_copy(
            update={"timing": MAX78002.cnn.timing.model_copy(update={"pipeline": False})}
        )
    }
)

C, P, L = LayerOp.CONV2D, LayerOp.PASSTHROUGH, LayerOp.LINEAR
TOTALS = [
    pytest.param(make_layer(C, (64, 20, 20), 16, 3, pad=2, pool=2), 3049, id="max-pool-pad-2"),
    pytest.param(make_layer(C, (3, 65, 65), 32, 3, pad=1, pool=16, stride=4), 49010, id="pool-16-stride-4"),
    pytest.param(make_layer(C, (3, 32, 32), 64, 3, pad=1), 67981, id="pad-1"),
    pytest.param(make_layer(C, (3, 32, 32), 64, 3), 59773, id="no-pad"),
    pytest.param(make_layer(C, (3, 32, 32), 64, 3, pool=2), 13885, id="pool-no-pad"),
    pytest.param(make_layer(C, (128, 8, 8), 16, 3, pad=1, pool=2), 773, id="two-passes-pool"),
    pytest.param(make_layer(C, (128, 8, 8), 16, 3, pad=1), 2485, id="two-passes-pad"),
    pytest.param(make_layer(C, (128, 8, 8), 16, 3), 1437, id="two-passes"),
    pytest.param(make_layer(C, (1, 28, 28), 8, 3, pad=1), 8189, id="one-channel"),
    pytest.param(make_layer(P, (4, 12, 12), 4, operands=2), 721, id="add"),
    pytest.param(make_layer(LayerOp.CONV_TRANSPOSE2D, (3, 7, 9), 64, 3, pad=1), 16837, id="transposed"),
    pytest.param(make_layer(L, (12, 4, 4), 10, flatten=True), 193, id="short-flatten"),
    pytest.param(make_layer(C, (79, 11, 11), 1, 3), 687, id="one-output-two-passes"),
    pytest.param(
        make_layer(P, (8, 17, 17), 8, pool=2, operands=2, pool_first=False), 705, id="add-then-pool"
    ),
    pytest.param(make_layer(L, (12, 8, 8), 10, flatten=True), 770, id="long-flatten"),
    pytest.param(make_layer(C, (1, 1, 1), 1, 3, pad=1), 29, id="one-output-one-pass"),
    pytest.param(make_layer(C, (12, 1, 1), 17), 20, id="one-pixel"),
    pytest.param(make_layer(LayerOp.CONV1D, (5, 217), 11, 3, pad=0, dilation=7), 3062, id="dilated-1d"),
]


@pytest.mark.parametrize(("layer", "total"), TOTALS)
def test_vendor_totals(layer: Layer, total: int) -> None:
    assert START_CYCLES + layer_cycles(layer, MAX78000) == total


def test_vendor_total_of_two_passes_of_four_channels() -> None:
    # The 19th total sets two passes for 4 channels, which no layer can ask for.
    walk = walk_of(make_layer(P, (4, 12, 12), 4, operands=2), MAX78000.cnn)
    assert START_CYCLES + walk_cycles(replace(walk, passes=2)) == 1441


FACTS = Path(os.environ.get("SYNERGYC_FACTS_DIR", Path(__file__).parents[3] / "shared" / "facts"))
KINDS = {"conv2d": C, "conv1d": LayerOp.CONV1D, "convtranspose2d": LayerOp.CONV_TRANSPOSE2D, "linear": L}
MODELS = (
    "convnet5",
    "kws",
    "kws87",
    "simplenet",
    "ressimplenet",
    "widenet",
    "unet",
    "effnet2",
    "effnet2c",
    "mobilenet",
    "mobilenetc",
)
PLACED_OFFSET = {("ressimplenet", 12): 556}
"""First weight slot of the one layer that reads kernels anew: set by the processor maps of its network."""

SPREAD = {("ressimplenet", 6): 16 * 16}
"""Cycles that one pass-through layer saves there: its 20 processors begin in the middle of a quadrant, so
that no quadrant holds more than 12 and each pixel takes 3 writes in place of 4."""


def published(model: str) -> dict[str, Any]:
    path = FACTS / "models.json"
    if not path.is_file():
        pytest.skip("models.json is not here (SYNERGYC_FACTS_DIR)")
    found: dict[str, Any] = json.loads(path.read_text())["models"][model]
    return found


def layer_of(row: dict[str, Any]) -> Layer:
    """Return the layer that a row describes; its padding follows from the sizes."""
    op = KINDS.get(row["op"], C if row["kernel"] else P)
    shape, out = tuple(row["in_shape_chw"]), tuple(row["out_shape_chw"])
    if op is LayerOp.CONV1D:
        shape, out = shape[:2], out[:2]
    kernel, pool = (row["kernel"] or [1])[0], (row["pool"] or [0])[0]
    operands = 2 if row["op"] == "eltwise_add" else 1
    late = operands > 1 and pool > 0

    def draft(pad: int) -> Layer:
        return make_layer(
            op,
            shape,
            out[0],
            kernel,
            pad=pad,
            pool=pool,
            operands=operands,
            pool_first=not late,
            flatten=op is L and math.prod(shape[1:]) > 1,
            groups=row["groups"],
            weight_bits=row["weight_bits"] or 8,
        )

    flat = math.prod(out[1:]) if op is L else 0
    return next(layer for layer in map(draft, range(3)) if flat == 1 or layer.output.shape == out)


def rows_of(model: str, chip: str) -> Iterator[tuple[dict[str, Any], int]]:
    for row in published(model)["layers"]:
        if row[chip] is not None:
            yield row, row[chip]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("chip", "column"), [(MAX78000, "cycles_MAX78000"), (UNPIPELINED, "cycles_MAX78002_no_pipeline")]
)
def test_layers_of_the_published_networks(model: str, chip: Chip, column: str) -> None:
    for row, cycles in rows_of(model, column):
        place = (model, row["index"])
        found = layer_cycles(layer_of(row), chip, PLACED_OFFSET.get(place, 0))
        assert found == cycles + SPREAD.get(place, 0), row["index"]


@pytest.mark.parametrize("model", MODELS)
def test_pipelined_layers_of_the_published_networks(model: str) -> None:
    for row, cycles in rows_of(model, "cycles_MAX78002_pipeline_est"):
        expected = cycles + SPREAD.get((model, row["index"]), 0)
        assert layer_cycles(layer_of(row), MAX78002) == pytest.approx(expected, abs=1), row["index"]


@pytest.mark.parametrize("model", MODELS)
def test_weight_slots_of_the_published_networks(model: str) -> None:
    for row, _ in rows_of(model, "hw_kernel_slots_per_processor"):
        layer = layer_of(row)
        slots = weight_slots(layer, walk_of(layer, MAX78000.cnn))
        assert slots == row["hw_kernel_slots_per_processor"], row["index"]


@pytest.mark.parametrize(
    ("model", "total"), [("convnet5", 70_157), ("kws", 71_782), ("simplenet", 129_319), ("unet", 1_408_913)]
)
def test_network_totals(model: str, total: int) -> None:
    rows = published(model)["layers"]
    layers = tuple(replace(layer_of(row), name=f"l{row['index']}") for row in rows)
    network = Network(model, (), layers, (layers[-1].name,))
    assert network_cycles(network, MAX78000) == total


def test_kernels_in_front_are_read_anew_for_padding() -> None:
    # ResSimpleNet layer 12: (4 + 2 - 3 + 1) * 2 - 1 = 7 reads of each slot for a 4x4 map with padding 1.
    layer = make_layer(C, (48, 8, 8), 96, 3, pad=1, pool=2, operands=2, pool_first=False)
    assert layer_cycles(layer, MAX78000, 556) - layer_cycles(layer, MAX78000) == 7 * 556
    assert layer_cycles(layer, UNPIPELINED, 556) == layer_cycles(layer, UNPIPELINED) == 1740
    first = make_layer(C, (48, 8, 8), 48, 3, name="first", pad=1)
    network = Network("two", (), (first, layer), ("layer",))
    alone = sum(layer_cycles(item, MAX78000) for item in (first, layer))
    # 48 processors hold one 3x3 kernel for each of 48 outputs: 48 slots lie in front.
    assert network_cycles(network, MAX78000) == START_CYCLES + alone + 7 * 48
