"""Networks that are cut where several tensors cross: residual connections, the skips of a U-Net.

Truth: the integer reference, bit by bit.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from models.simple import ResSimpleNet
from models.unet import UNet
from synergyc.manifest import Manifest
from synergyc.pipeline.build import BuildOptions, build
from synergyc.pipeline.run import RunOptions, run
from synergyc.pipeline.scenario import Scenario
from tests.compilers import require_cross_compiler
from tests.e2e.command import ROOT

pytestmark = pytest.mark.e2e


@dataclass(frozen=True)
class Case:
    """A model, its input, for each cut the last layer before it and the tensors that cross; a deadline."""

    model: type[torch.nn.Module]
    file: str
    shape: tuple[int, int, int]
    cuts: tuple[tuple[int, int], ...]
    deadline_ms: float


RESIDUAL = Case(ResSimpleNet, "simple.py", (3, 32, 32), ((2, 2), (10, 2)), 300.0)
UNET = Case(UNet, "unet.py", (48, 48, 48), ((7, 4),), 5000.0)

_DEVICES = ("wrist", "chest", "head")


def _app_file(case: Case, folder: Path) -> Path:
    """Write an app file that pins the model's segments to devices in a row, and what it names."""
    torch.manual_seed(1)
    model = case.model()
    save_file(model.state_dict(), folder / "weights.safetensors")
    np.save(folder / "samples.npy", np.random.default_rng(1).uniform(-1, 1, (2, *case.shape)).astype("f4"))
    names = _DEVICES[: len(case.cuts) + 1]
    boards = [f"  {name}: {{board: max78000fthr, sensors: [camera], actuators: [display]}}" for name in names]
    links = [
        f"  - {{between: [{one}, {two}], medium: uart, rate_kbps: 1843.2}}"
        for one, two in itertools.pairwise(names)
    ]
    firsts = [0, *(last + 1 for last, _ in case.cuts)]
    pins = [f"{{layers: {first}, to: {name}}}" for first, name in zip(firsts, names, strict=True)]
    pins += [f"{{layers: {last}, to: {name}}}" for (last, _), name in zip(case.cuts, names, strict=False)]
    model_text = f"{{python: {ROOT}/models/{case.file}:{case.model.__name__}, weights: weights.safetensors"
    text = [
        "synergy: 1",
        "devices:",
        *boards,
        "links:",
        *links,
        "apps:",
        "  cut:",
        f"    sense: {{sensor: camera, on: {names[0]}}}",
        f"    model: {model_text}, input: [{', '.join(map(str, case.shape))}]}}",
        "    quantize: {calibrate: samples.npy, bits: 8}",
        "    samples: samples.npy",
        f"    interact: {{actuator: display, on: {names[-1]}}}",
        f"    split: {len(names)}",
        f"    pin: [{', '.join(pins)}]",
        f"    deadline_ms: {case.deadline_ms}",
    ]
    path = folder / "app.yaml"
    path.write_text("\n".join(text))
    return path


def _build(case: Case, folder: Path) -> Manifest:
    require_cross_compiler()
    return build(_app_file(case, folder), folder / "build", BuildOptions(), lambda _: None)


def test_residual_network_over_three_devices(tmp_path: Path) -> None:
    manifest = _build(RESIDUAL, tmp_path)
    assert [len(item.tensors) for item in manifest.hand_offs] == [count for _, count in RESIDUAL.cuts]
    # A run alone takes 290 ms; the camera delivers as fast as it can, so that runs wait in queues.
    (warning,) = manifest.warnings
    assert (warning.rule, warning.need) == ("late-results", "300 ms")
    outcome = run(tmp_path / "build", RunOptions(5))
    assert outcome.ok
    (app,) = outcome.apps
    assert app.throughput_hz == pytest.approx(app.predicted_throughput_hz, rel=0.05)
    disturbed = run(tmp_path / "build", RunOptions(2, scenario=Scenario(loss=0.1, corrupt=0.01)))
    assert disturbed.ok
    assert disturbed.apps[0].right == 2


def test_unet_over_two_devices(tmp_path: Path) -> None:
    manifest = _build(UNET, tmp_path)
    assert [len(item.tensors) for item in manifest.hand_offs] == [4]
    outcome = run(tmp_path / "build", RunOptions(2))
    assert outcome.ok
    assert outcome.apps[0].right == 2
