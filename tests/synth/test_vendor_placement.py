"""Our placement against the vendor's own, written by hand, for the example networks of ai8x-synthesis.

Bars: ours fits wherever theirs does, passes the verifier, and needs no more cycles by the planner's cycle
model. Structure comes from the vendor's network files; weights are random, their shapes are in
``data/vendor_networks.json`` (input, options of the tool, shape of each layer's weights).
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from synergyc.diagnostics import SynergyError
from synergyc.ir.network import Network
from synergyc.synth.placed import PlacedNetwork
from synergyc.synth.placement import place
from synergyc.synth.vendor import parse_options, read_vendor
from synergyc.synth.verify import verify
from synergyc.targets import Chip, load_chip
from tests.synth.placed_cycles import placed_cycles
from tests.synth.test_conformance import DATA

CHIPS = ("max78000", "max78002")
VENDOR = os.environ.get("AI8X_SYNTHESIS_DIR")
NETWORKS: dict[str, Any] = json.loads((Path(__file__).parent / "data" / "vendor_networks.json").read_text())
LARGE_MAPS = {"camvid-unet-large": [48, 88, 88], "camvid-unet-large-fakept": [48, 88, 88]}
"""The tool's UNets for images of 352 x 352 pixels: outputs lie over inputs (``--overlap-data``)."""

needs_vendor = pytest.mark.skipif(VENDOR is None, reason="set AI8X_SYNTHESIS_DIR to the vendor's tool")


def network_of(placed: PlacedNetwork) -> Network:
    """Return what a placed network computes, without its places."""
    return Network(
        placed.name,
        tuple(tensor.tensor for tensor in placed.inputs),
        tuple(layer.layer for layer in placed),
        tuple(tensor.tensor.name for tensor in placed.outputs),
    )


def compare(theirs: PlacedNetwork, chip: Chip) -> None:
    ours = place(network_of(theirs), chip)
    assert verify(ours, chip) == ()
    assert placed_cycles(ours, chip) <= placed_cycles(theirs, chip)


def arguments(name: str, folder: Path, shape: list[int]) -> list[str]:
    """Write a checkpoint and a sample with random numbers; return the tool's command line."""
    import torch

    rng = np.random.default_rng(0)
    text = (Path(str(VENDOR)) / "networks" / f"{name}.yaml").read_text()
    arch = next(line.split()[1] for line in text.splitlines() if line.startswith("arch:"))
    state = {}
    for index, weights in enumerate(NETWORKS[name]["weights"]):
        state[f"l{index}.op.weight"] = torch.tensor(rng.integers(-128, 128, weights), dtype=torch.float32)
        state[f"l{index}.weight_bits"] = torch.tensor([8.0])
        state[f"l{index}.output_shift"] = torch.tensor([-1.0])
    torch.save({"epoch": 0, "arch": arch, "state_dict": state}, folder / "random.pth.tar")
    np.save(folder / "sample.npy", rng.integers(-128, 128, shape))
    files = [
        "--checkpoint-file",
        str(folder / "random.pth.tar"),
        "--sample-input",
        str(folder / "sample.npy"),
    ]
    config = str(Path(str(VENDOR)) / "networks" / f"{name}.yaml")
    return ["--config-file", config, *files, *NETWORKS[name]["options"]]


def read(words: list[str], chip: Chip) -> PlacedNetwork:
    """Return the vendor's placement; skips the test where the tool has none for this chip."""
    try:
        return read_vendor(parse_options(words), chip, root=[DATA / "inputs"]).placed
    except SynergyError as error:
        pytest.skip(f"the vendor's own placement is none on this chip: {error.diagnostics[0].message}")


@needs_vendor
@pytest.mark.parametrize("chip_name", CHIPS)
@pytest.mark.parametrize("name", NETWORKS)
def test_example_networks_fit_without_the_vendors_placement(
    name: str, chip_name: str, tmp_path: Path
) -> None:
    chip = load_chip(chip_name)
    compare(read(arguments(name, tmp_path, NETWORKS[name]["input"]), chip), chip)


@needs_vendor
@pytest.mark.parametrize("chip_name", CHIPS)
@pytest.mark.parametrize("name", LARGE_MAPS)
def test_large_u_nets_fit_with_outputs_over_inputs(name: str, chip_name: str, tmp_path: Path) -> None:
    chip = load_chip(chip_name)
    words = [*arguments(name, tmp_path, LARGE_MAPS[name]), "--overlap-data"]
    compare(read(words, chip), chip)


def _cases() -> list[Any]:
    index = DATA / "index.json"
    if not index.is_file():
        return [pytest.param(None, marks=pytest.mark.skip(reason="no conformance data"), id="none")]
    cases = [case for case in json.loads(index.read_text()) if case["id"].startswith("n.") and case["inputs"]]
    return [pytest.param(case, id=case["id"]) for case in cases]


@pytest.mark.parametrize("case", _cases())
def test_networks_of_the_conformance_data_fit_without_the_vendors_placement(case: dict[str, Any]) -> None:
    files = {"--config-file", "--checkpoint-file", "--sample-input"}
    words = [
        str(DATA / "inputs" / word) if before in files else word
        for before, word in zip(["", *case["args"]], case["args"], strict=False)
    ]
    chip = load_chip(case["device"])
    compare(read(words, chip), chip)
