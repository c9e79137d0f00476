"""Sensor drivers: one of the user's own, and a host's samples by the vendor's SDK.

Truth: the integer reference, on the samples that the driver is known to make.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from synergyc.diagnostics import SynergyError
from synergyc.firmware.msdk import find_sdk
from tests.compilers import NEEDS_CROSS_COMPILER
from tests.e2e.command import ROOT, synergyc

pytestmark = [pytest.mark.e2e, NEEDS_CROSS_COMPILER]

_DRIVER = ROOT / "examples" / "drivers" / "ramp.c"
_PERIOD = 256
"""Runs after which the ramp is where it was."""


def _app(folder: Path, driver: Path | str, samples: Path) -> Path:
    (folder / "app.yaml").write_text(f"""
synergy: 1
objective: throughput
devices:
  wrist: {{board: max78000fthr, sensors: [camera], actuators: [display]}}
apps:
  digits:
    sense: {{sensor: camera, driver: {driver}}}
    model:
      python: "{ROOT}/models/digits.py:DigitsNet"
      weights: {ROOT}/models/data/digits.safetensors
      input: [1, 28, 28]
    quantize: {{calibrate: {ROOT}/models/data/digits_calibration.npy}}
    samples: {samples}
    interact: display
""")
    return folder / "app.yaml"


def _ramp() -> np.ndarray[tuple[int, ...], np.dtype[np.int8]]:
    """Return what examples/drivers/ramp.c says of itself: 7 a run and 1 a pixel, as bytes."""
    run, pixel = np.arange(_PERIOD)[:, None], np.arange(28 * 28)[None, :]
    return (7 * run + pixel).astype(np.int8).reshape(_PERIOD, 1, 28, 28)


def test_a_driver_of_ones_own_is_compiled_in(tmp_path: Path) -> None:
    np.save(tmp_path / "ramp.npy", _ramp())
    app = _app(tmp_path, _DRIVER, tmp_path / "ramp.npy")
    built = synergyc("build", str(app), "-o", str(tmp_path / "build"))
    assert built.returncode == 0, built.stderr
    ran = synergyc("run", str(tmp_path / "build"), "--runs", "12", "--json")
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)["apps"]["digits"]
    assert (found["sent"], found["right"]) == (12, 12)


def test_a_host_feeds_a_device_of_the_vendors_sdk(tmp_path: Path) -> None:
    try:
        find_sdk()
    except SynergyError as error:
        pytest.skip(str(error))
    app = _app(tmp_path, "host", ROOT / "models" / "data" / "digits_test.npy")
    built = synergyc("build", str(app), "-o", str(tmp_path / "build"), "--port", "msdk")
    assert built.returncode == 0, built.stderr
    ran = synergyc("run", str(tmp_path / "build"), "--runs", "4", "--json")
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)["apps"]["digits"]
    assert (found["sent"], found["right"]) == (4, 4)
