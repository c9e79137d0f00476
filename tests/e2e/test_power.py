"""The mean power of a plan at a low rate, where keeping links up takes most. Truth: the emulated devices."""

from __future__ import annotations

from pathlib import Path

import pytest

from synergyc.manifest import read_manifest
from synergyc.pipeline.build import BuildOptions, build
from synergyc.pipeline.run import RunOptions, run
from tests.compilers import require_cross_compiler
from tests.e2e.command import ROOT

pytestmark = pytest.mark.e2e

_APP = """
synergy: 1
objective: battery
devices:
  wrist: {board: max78000fthr, sensors: [camera], battery_mwh: 450}
  chest: {board: max78000fthr, actuators: [display]}
links:
  - {between: all, medium: esp8266}
apps:
  digits:
    sense: {sensor: camera, rate_hz: 2}
    model:
      python: "ROOT/models/digits.py:DigitsNet"
      weights: ROOT/models/data/digits.safetensors
      input: [1, 28, 28]
    quantize: {calibrate: ROOT/models/data/digits_calibration.npy, bits: 8}
    samples: ROOT/models/data/digits_test.npy
    interact: display
"""


def test_power_of_a_slow_app_on_a_radio_is_as_emulated(tmp_path: Path) -> None:
    require_cross_compiler()
    (tmp_path / "app.yaml").write_text(_APP.replace("ROOT", str(ROOT)))
    folder = tmp_path / "build"
    build(tmp_path / "app.yaml", folder, BuildOptions(), lambda _: None)
    outcome = run(folder, RunOptions(runs=20))
    assert outcome.ok
    emulated = {device.name: device.energy_uj / 1000 / outcome.virtual_s for device in outcome.devices}
    for device in read_manifest(folder).devices:
        assert device.power is not None
        assert device.power.links_mw > 3 * device.power.runs_mw
        above_idle_mw = device.power.runs_mw + device.power.links_mw
        assert above_idle_mw == pytest.approx(emulated[device.name], rel=0.08)
