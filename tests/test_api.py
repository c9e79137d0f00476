"""The app file in Python: the same names, found lazily, and what they accept."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import synergyc
from synergyc.diagnostics import SynergyError


class Tiny(torch.nn.Module):
    """One convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.conv(image)
        return found


def system(folder: Path, forbid: Sequence[str] = ()) -> synergyc.System:
    inputs = np.random.default_rng(0).uniform(-1, 1, (8, 3, 8, 8)).astype(np.float32)
    np.save(folder / "inputs.npy", inputs)
    return synergyc.System(
        devices=(
            synergyc.Device("wrist", "max78000fthr", sensors=["replay"]),
            synergyc.Device("chest", "max78000fthr", actuators=["haptic"]),
        ),
        links=(synergyc.Link(("wrist", "chest"), "uart"),),
        apps=(
            synergyc.App(
                sense="replay",
                model=Tiny(),
                interact="haptic",
                quantize=synergyc.Quantize(folder / "inputs.npy"),
                samples=folder / "inputs.npy",
                forbid=forbid,
            ),
        ),
    )


def test_short_forms_are_those_of_the_app_file(tmp_path: Path) -> None:
    """The type checker reads this file too: no short form needs an exception from it."""
    (app,) = system(tmp_path, forbid=["chest"]).apps
    assert (app.sense, app.interact) == (synergyc.Sense("replay"), synergyc.Interact("haptic"))
    assert app.forbid == ("chest",)
    assert isinstance(app.model, synergyc.ModuleModel)
    assert replace(app, name="other").sense == app.sense


def test_a_module_is_planned(tmp_path: Path) -> None:
    result = synergyc.choose(system(tmp_path), objective="latency")
    (app,) = result.plan.apps
    assert app.app == "tiny"
    assert (app.sense_device, app.interact_device) == ("wrist", "chest")
    assert result.optimal


def test_what_is_wrong_with_a_system_is_a_diagnostic(tmp_path: Path) -> None:
    with pytest.raises(SynergyError) as caught:
        synergyc.choose(system(tmp_path, forbid=("wrist", "chest")))
    assert [item.rule for item in caught.value.diagnostics] == ["no-device-left"]


def test_names_are_found_when_they_are_used() -> None:
    code = "import sys, synergyc; assert 'synergyc.config' not in sys.modules; synergyc.System"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert set(synergyc.__all__) <= set(dir(synergyc))
    with pytest.raises(AttributeError):
        synergyc.nothing  # noqa: B018
