"""Commands that take one model: what they print as JSON, and how they refuse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from synergyc.ir import store
from synergyc.ir.network import Network
from tests.compilers import NEEDS_CROSS_COMPILER
from tests.e2e.command import ROOT, synergyc

MODEL = """
import torch
from torch import nn

class Small(nn.Module):
    def __init__(self, kernel=3):
        super().__init__()
        self.conv = nn.Conv2d(2, 4, kernel, padding=kernel // 2)
        self.skip = nn.Conv2d(4, 4, 1, bias=False)
        self.out = nn.Linear(4 * 4 * 4, 3)

    def forward(self, x):
        x = torch.relu(self.conv(x))
        x = nn.functional.avg_pool2d(x + self.skip(x), 2)
        return self.out(x.flatten(1))
"""


WIDE = """
import torch
from torch import nn

class Wide(nn.Module):
    def __init__(self):
        super().__init__()
        sizes = ((64, 256), (256, 96), (96, 160))
        self.layers = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in sizes)

    def forward(self, x):
        for layer in self.layers:
            x = torch.relu(layer(x))
        return x
"""


@pytest.fixture
def small(tmp_path: Path) -> str:
    """A model file with one class, reading 2x8x8."""
    (tmp_path / "small.py").write_text(MODEL)
    return f"{tmp_path / 'small.py'}:Small"


def document(*arguments: str, status: int = 0) -> dict[str, Any]:
    result = synergyc(*arguments, "--json")
    assert result.returncode == status, result.stderr
    content: dict[str, Any] = json.loads(result.stdout)
    return content


@pytest.mark.e2e
@NEEDS_CROSS_COMPILER
@pytest.mark.parametrize("device", ["MAX78000", "max78002evkit"])
def test_verify_compares_chip_reference_and_onnxruntime(small: str, device: str) -> None:
    found = document("verify", small, "--input", "2,8,8", "--device", device, "--runs", "2", "-q")
    assert (found["status"], found["reasons"]) == ("ok", [])
    assert (found["runs"], found["right"], found["wrong"], found["dropped"]) == (2, 2, 0, 0)
    assert found["onnxruntime"] == "equal"
    assert found["layers"] == 5
    assert found["macs"] == 64 * (2 * 4 * 9 + 4 * 4) + 64 * 3
    assert any("random" in note for note in found["notes"])
    accelerator = found["units"]["accelerator"]  # no run may be over before the count begins
    assert accelerator["emulated_cycles"] == pytest.approx(accelerator["predicted_cycles"], rel=0.25)


def test_all_reasons_are_given_at_once(small: str) -> None:
    """MAX78000 has kernels of 1x1 and 3x3 (user guide, "Operations"); 21x21 takes too many copies."""
    arguments = (small, "--input", "2,8,8", "--device", "MAX78000", "--arg", "kernel=21")
    for command in ("check", "verify"):
        found = document(command, *arguments, status=1)
        assert found["status"] == "refused"
        reasons = {item["rule"]: item for item in found["reasons"]}
        assert reasons.keys() == {"conv2d-kernel", "padding-size"}
        reason = reasons["conv2d-kernel"]
        assert (reason["layer"], reason["need"]) == ("conv", "21x21")
        assert reason["hint"]
        assert "3x3" in reason["have"]


def test_a_model_that_is_too_large_is_refused_with_the_limits() -> None:
    """The form without depthwise layers breaks three limits of one MAX78000."""
    model = f"{ROOT / 'models' / 'mobilenet.py'}:MobileNetV2"
    found = document(
        *("check", model, "--input", "3,32,32", "--device", "MAX78000", "--arg", "depthwise=false"), status=1
    )
    rules = {reason["rule"]: reason for reason in found["reasons"]}
    assert rules.keys() >= {"layer-count", "weight-memory"}
    assert rules["layer-count"]["need"] == "46"
    assert "32" in rules["layer-count"]["have"]


def test_show_counts_what_crosses_a_cut(small: str) -> None:
    """conv keeps 4x8x8 for the sum; skip makes as much again; both are needed then."""
    rows = document("show", small, "--input", "2,8,8", "--device", "MAX78000")["layers"]
    assert [row["name"] for row in rows] == ["conv", "skip", "add", "avg_pool2d", "out"]
    assert [row["cut_bytes"] for row in rows[:2]] == [256, 512]
    assert [row["cut_tensors"] for row in rows[:2]] == [1, 2]
    assert [row["weight_bytes"] for row in rows] == [72, 16, 0, 0, 192]
    assert all(row["cycles"] > 0 for row in rows)


def test_quantize_writes_a_network_that_can_be_read(small: str, tmp_path: Path) -> None:
    target = tmp_path / "small.safetensors"
    samples, labels = tmp_path / "x.npy", tmp_path / "y.npy"
    np.save(samples, np.random.default_rng(0).integers(-128, 128, (6, 2, 8, 8), dtype=np.int8))
    np.save(labels, np.array([0, 1, 2, 0, 1, 2]))
    result = synergyc(
        *("quantize", small, "--input", "2,8,8", "--bits", "4", "-o", str(target)),
        *("--calibrate", str(samples), "--test", str(samples), "--labels", str(labels)),
    )
    assert result.returncode == 0, result.stderr
    assert "accuracy on 6 samples: float" in result.stdout
    network = store.load(target, Network)
    assert {layer.weight_bits for layer in network.layers if layer.weight is not None} == {4}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"--input": "2,8,x"}, "not one to three positive sizes"),
        ({"--arg": "kernel"}, "not NAME=VALUE"),
        ({"--arg": "kernel='3'"}, "[model-code]"),
        ({"--arg": "width=3"}, "[model-arguments]"),
        ({"--input": "3,8,8"}, "[capture]"),
        ({"--network": "net.yaml"}, "a class has no use for --network [model-option]"),
        ({"--device": "MAX78001"}, "[unknown-device]"),
        ({"--weights": "no.safetensors"}, "[weights-file]"),
        ({"--calibrate": "no.npy"}, "[array-file]"),
    ],
)
def test_wrong_options_are_explained(small: str, changes: dict[str, str], said: str) -> None:
    options = {"--input": "2,8,8", "--device": "MAX78000", **changes}
    result = synergyc("check", small, *(part for item in options.items() for part in item))
    assert result.returncode in {1, 2}
    assert said in result.stderr


@pytest.mark.parametrize("pair", [("--arg", "kernel=3", "kernel=5"), ("--layer-bits", "conv=4", "conv=2")])
def test_a_name_that_is_given_twice_is_wrong_usage(small: str, pair: tuple[str, str, str]) -> None:
    option, first, second = pair
    result = synergyc(
        *("check", small, "--input", "2,8,8", "--device", "MAX78000", option, first, option, second)
    )
    assert result.returncode == 2
    assert f"{option} {first.split('=')[0]} is given 2 times" in result.stderr


def test_check_cuts_over_devices_in_a_row(small: str) -> None:
    """147,456 + 221,184 + 138,240 bytes of weights: one MAX78000 has 442,368 (user guide), two have room."""
    wide = Path(small.rpartition(":")[0]).with_name("wide.py")
    wide.write_text(WIDE)
    arguments = (f"{wide}:Wide", "--input", "64,4,4", "--device", "MAX78000")
    (reason,) = document("check", *arguments, status=1)["reasons"]
    assert "--devices" in reason["hint"] or "more devices" in reason["hint"]
    found = document("check", *arguments, "--devices", "2")
    assert [part["device"] for part in found["segments"]] == ["device", "device2"]
    assert found["segments"][0]["last_layer"] + 1 == found["segments"][1]["first_layer"]


def test_devices_that_change_nothing_are_wrong_usage(small: str) -> None:
    result = synergyc("show", small, "--input", "2,8,8", "--devices", "2")
    assert result.returncode == 2
    assert "--fit" in result.stderr
