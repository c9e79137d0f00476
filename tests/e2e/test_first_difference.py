"""The first layer that differs, found in images that were damaged on purpose: the damage is the truth."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from synergyc.diagnostics import SynergyError
from synergyc.manifest import read_manifest
from synergyc.pipeline.report import build_report
from synergyc.pipeline.run import RunOptions, run
from synergyc.report.outcome import FirstDifference
from synergyc.report.outcome_tables import verdict
from tests.e2e.command import synergyc
from tests.e2e.damage import damage, words

pytestmark = pytest.mark.e2e

_RELU = 1 << 9
"""Of a layer's LCTL register (docs/accelerator.md)."""


def _segment_source(build: Path, device: str) -> str:
    (path,) = (build / device / "src").glob("cnn_*.c")
    return path.read_text()


def _flip_weights(build: Path, device: str) -> None:
    """Flip the signs of the first weights of the segment's first layer."""
    table = _segment_source(build, device).partition("weight_values[] = {")[2].partition("}")[0]
    values = [int(word, 16) for word in re.findall(r"0x([0-9a-f]{8})u", table)[:9]]
    damage(build, device, words(*values), words(*(value ^ 0x80808080 for value in values)))


def _flip_activation(build: Path, device: str, layer: int) -> None:
    """Take the ReLU from a layer, in the registers of all quadrants."""
    pattern = rf"0x([0-9a-f]{{8}})u / 4u, (\d), 0x([0-9a-f]{{8}})u\}}, /\* layer {layer} quadrant \d LCTL \*/"
    found = re.findall(pattern, _segment_source(build, device))
    assert found
    for address, more, text in found:
        place = int(address, 16) // 4 | int(more) << 30  # bit fields of cnn_write_t
        value = int(text, 16)
        assert value & _RELU
        damage(build, device, words(place, value), words(place, value ^ _RELU))


def _found(build: Path, runs: int = 3) -> FirstDifference:
    outcome = run(build, RunOptions(runs=runs))
    app = outcome.apps[0]
    assert not outcome.ok
    assert app.first_difference is not None
    assert str(app.first_difference) in verdict(outcome)
    return app.first_difference


@pytest.mark.parametrize(("device", "layer"), [("wrist", "conv1_0"), ("chest", "classify")])
def test_wrong_weights_are_found(digits_copy: Path, device: str, layer: str) -> None:
    segment = read_manifest(digits_copy).device(device).segments[0]
    assert segment.layers[0] == layer
    _flip_weights(digits_copy, device)
    found = _found(digits_copy)
    assert (found.run, found.layer, found.device, found.segment) == (0, layer, device, segment.name)
    assert "hardware layer 0, channel" in found.message


def test_a_wrong_register_in_the_middle_is_found(digits_copy: Path) -> None:
    _flip_activation(digits_copy, "wrist", 2)
    found = _found(digits_copy)
    assert (found.layer, found.device) == ("conv3_0", "wrist")
    assert "computed -" in found.message
    assert "the reference has 0;" in found.message


def test_layers_are_not_told_for_another_placement(digits_copy: Path) -> None:
    """What lies where is not recorded, but made again: a build that is placed otherwise is refused."""
    manifest = json.loads((digits_copy / "manifest.json").read_text())
    segment = manifest["devices"][0]["segments"][0]
    segment["placement"] = segment["placement"][::-1]
    (digits_copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(SynergyError, match=r"\[placement-differs\]"):
        build_report(digits_copy, 0)


def test_the_command_names_the_layer(digits_copy: Path) -> None:
    _flip_activation(digits_copy, "wrist", 1)
    result = synergyc("run", str(digits_copy), "--runs", "2", "--json")
    assert result.returncode == 1
    app = json.loads(result.stdout)["apps"]["digits"]
    assert app["wrong"] > 0
    assert app["first_difference"]["layer"] == "conv2_0"
