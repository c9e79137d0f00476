"""Three models whose weights do not fit one accelerator together: ``examples/swap.yaml``, emulated.

Truth: the integer reference for every result. How fast it is: ``test_examples``.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from synergyc.manifest import Manifest
from synergyc.pipeline.build import BuildOptions, build
from synergyc.pipeline.run import RunOptions, run
from synergyc.pipeline.scenario import Scenario
from tests.compilers import require_cross_compiler
from tests.e2e.command import ROOT, synergyc

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def manifest(built: Path) -> Manifest:
    return Manifest.model_validate_json((built / "manifest.json").read_text())


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    require_cross_compiler()
    folder = tmp_path_factory.mktemp("swap") / "build"
    build(ROOT / "examples" / "swap.yaml", folder, BuildOptions(), lambda _: None)
    return folder


def test_the_manifest_says_which_weights_are_together_and_why(manifest: Manifest) -> None:
    (device,) = manifest.devices
    assert [part.residency for part in device.segments] == [0, 0, 1]
    assert "cannot run together" in manifest.not_resident[0]
    first, second = device.loads
    assert first.weight_bytes == sum(part.weight_bytes for part in device.segments[:2])
    assert second.load_ms < first.load_ms < 40


def linked(text: str) -> str:
    """Return the example with motion sensor and actuator on a device of their own, which infers nothing."""
    text = text.replace("../models", str(ROOT / "models"))
    text = text.replace(
        "sensors: [microphone, imu], actuators: [haptic]}",
        "sensors: [microphone]}\n  wrist: {board: max78000fthr, sensors: [imu], actuators: [haptic]}",
    )
    text = text.replace("\napps:\n", "\nlinks:\n  - {between: [collar, wrist], medium: uart}\n\napps:\n")
    return text.replace("    interact: haptic\n", "    interact: haptic\n    forbid: [wrist]\n")


def test_results_are_right_over_a_bad_wire(tmp_path: Path) -> None:
    """Samples and results cross the wire while weights are loaded; no run is wrong or lost uncounted."""
    require_cross_compiler()
    app_file = tmp_path / "linked.yaml"
    app_file.write_text(linked((ROOT / "examples" / "swap.yaml").read_text()))
    build(app_file, tmp_path / "build", BuildOptions(), lambda _: None)
    outcome = run(tmp_path / "build", RunOptions(24, scenario=Scenario(loss=0.1, corrupt=0.01)))
    for app in outcome.apps:
        assert app.wrong == 0
        assert app.right + app.dropped == app.sent == 24
        assert app.right > 0
    collar, wrist = outcome.devices
    assert collar.swap is not None
    assert collar.swap.loads >= 3
    assert wrist.swap is None
    assert collar.resent_frames > 0


def test_a_report_has_a_memory_map_for_each_set(built: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    assert synergyc("report", str(built), "-o", str(page), "--runs", "0", "-q").returncode == 0
    text = page.read_text()
    assert "collar, weights in set 0" in text
    assert "collar, weights in set 1" in text


def test_the_command_shows_loads(built: Path) -> None:
    document = json.loads(synergyc("run", str(built), "--runs", "9", "--json", "-q").stdout)
    swap = document["devices"]["collar"]["swap"]
    assert swap["loads"] >= 2
    assert swap["load_ms"] > 1
