"""``quantize`` and ``train``: what they print and write, and one diagnostic for each kind of wrong input."""

from __future__ import annotations

import json
from pathlib import Path

import click.testing
import numpy as np
import pytest
from safetensors.torch import save_file

from synergyc.cli.main import cli
from synergyc.diagnostics import SynergyError
from synergyc.ir import store
from synergyc.ir.graph import Graph
from synergyc.ir.network import Network
from tests.pipeline import small

MODEL = ["tests.pipeline.small:Small", "--input", "2,8,8"]


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """Weights, calibration, test and label files of the small model."""
    samples, labels = small.data(96, 5)
    state = {key: value for key, value in small.trained().state_dict().items() if value.is_floating_point()}
    save_file(state, tmp_path / "w.safetensors")
    for name, array in (("calibrate", small.calibration()), ("test", samples), ("labels", labels)):
        np.save(tmp_path / f"{name}.npy", array)
    names = {name: str(tmp_path / f"{name}.npy") for name in ("calibrate", "test", "labels")}
    return {**names, "weights": str(tmp_path / "w.safetensors"), "out": str(tmp_path / "q.safetensors")}


def run(*arguments: str) -> str:
    result = click.testing.CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def quantize(files: dict[str, str], *more: str, **other: str) -> str:
    named = {**files, **other}
    options = [f"--{key}={named[key]}" for key in ("weights", "calibrate", "test", "labels")]
    return run("quantize", *MODEL, *options, "-o", named["out"], *more)


def test_quantize_tells_accuracy_at_each_stage_and_writes_all_forms(files: dict[str, str]) -> None:
    found = json.loads(quantize(files, "--bits", "4", "--layer-bits", "first.0=8", "--json"))
    accuracy = found["accuracy"]
    assert accuracy["float"] == accuracy["folded"] > 0.9
    assert accuracy["fake_quantized"] == accuracy["reference"]
    asked = {"first_0": 8, "skip": 4, "last": 4}  # and the addition's activation has a layer of its own
    assert asked.items() <= {layer["name"]: layer["bits"] for layer in found["layers"]}.items()
    out = Path(files["out"])
    assert (
        asked.items() <= {layer.name: layer.weight_bits for layer in store.load(out, Network).layers}.items()
    )
    assert {path.suffix for path in out.parent.glob("q.*")} == {".safetensors", ".tar", ".yaml"}
    text = quantize(files, "--bits", "1")
    assert "integer reference" in text
    assert "folded to fake-quantized: first differs in first" in text


def test_fit_leaves_a_small_model_at_8_bits(files: dict[str, str]) -> None:
    assert "3 of 8 bits, 1 of 2 bits" in quantize(files, "--fit", "--device", "MAX78000")


def test_train_writes_integers_that_an_app_can_name(files: dict[str, str]) -> None:
    options = [f"--{key}={files[key]}" for key in ("weights", "labels")]
    text = run(
        *("train", *MODEL, *options, f"--data={files['test']}", "--bits", "2", "--epochs", "2"),
        *("-o", files["out"], "--json"),
    )
    document = json.loads(text)
    assert (document["status"], document["samples"], document["file"]) == ("ok", 19, files["out"])
    assert len(document["validation"]) == 3  # before the first epoch, too
    assert max(document["validation"]) == document["trained"] >= document["calibrated"]
    assert document["validation"][document["epoch"]] == document["trained"]
    assert store.load(Path(files["out"]), Graph).fraction_bits


@pytest.mark.parametrize(
    ("name", "array", "rule"),
    [
        ("calibrate", np.zeros((0, 2, 8, 8), np.float32), "calibration"),
        ("calibrate", np.zeros((4, 2, 8, 7), np.float32), "calibration"),
        ("calibrate", np.full((4, 2, 8, 8), np.nan, np.float32), "calibration"),
        ("calibrate", np.full((4, 2, 8, 8), np.inf, np.float32), "calibration"),
        ("calibrate", np.zeros((4, 2, 8, 8), np.int32), "calibration"),
        ("test", np.zeros((4, 2, 8, 7), np.int8), "samples-shape"),
        ("test", np.zeros((96, 2, 8, 8), np.uint8), "samples-type"),
        ("test", np.full((96, 2, 8, 8), 255.0), "samples-value"),
        ("test", np.full((96, 2, 8, 8), np.nan), "samples-value"),
        ("labels", np.zeros(95, np.int64), "labels-shape"),
        ("labels", np.zeros(96, np.float32), "labels-shape"),
    ],
)
def test_wrong_arrays_get_one_diagnostic(
    files: dict[str, str], tmp_path: Path, name: str, array: np.ndarray, rule: str
) -> None:
    np.save(tmp_path / "wrong.npy", array)
    with pytest.raises(SynergyError) as caught:
        quantize(files, **{name: str(tmp_path / "wrong.npy")})
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.rule == rule
    assert diagnostic.location is not None
    assert diagnostic.location.file.endswith("wrong.npy")
    assert not Path(files["out"]).exists()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_no_numbers_get_one_diagnostic(files: dict[str, str], value: float) -> None:
    state = {key: tensor.clone() for key, tensor in small.trained().state_dict().items()}
    state["skip.weight"][0, 0, 0, 0] = value
    save_file(state, files["weights"])
    with pytest.raises(SynergyError) as caught:
        quantize(files)
    assert [item.rule for item in caught.value.diagnostics] == ["weights-value"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--fit", "--bits", "4"],
        ["--fit", "--layer-bits", "skip=4"],
        ["--layer-bits", "skip"],
        ["--layer-bits", "skip=3"],
        ["--test", "test.npy"],
    ],
)
def test_wrong_usage(arguments: list[str]) -> None:
    result = click.testing.CliRunner().invoke(cli, ["quantize", *MODEL, "-o", "q.safetensors", *arguments])
    assert result.exit_code == 2


def test_a_layer_that_does_not_exist_is_named(files: dict[str, str]) -> None:
    with pytest.raises(SynergyError, match="no layer 'skop' has weights"):
        quantize(files, "--layer-bits", "skop=4")


def test_no_input_is_written_over(files: dict[str, str]) -> None:
    """The vendor's files beside `-o` have fixed endings: what is read may have the same name."""
    before = Path(files["weights"]).read_bytes()
    labelled = ["--data", files["test"], "--labels", files["labels"]]
    cases = (
        ["quantize", *MODEL, "--weights", files["weights"], "-o", files["weights"]],
        ["quantize", "net.pth.tar", "--network", "net.yaml", "-o", "net.safetensors"],
        ["train", *MODEL, "--weights", files["weights"], *labelled, "-o", files["weights"]],
    )
    app_file = Path(files["out"]).with_suffix(".yaml")
    app_file.write_text("synergy: 1\n")
    assert f"{app_file} is there already" in quantize(files)
    assert app_file.read_text() == "synergy: 1\n"
    for arguments in cases:
        result = click.testing.CliRunner().invoke(cli, arguments)
        assert result.exit_code == 2
        assert "is read and would be written over" in result.stderr
    assert Path(files["weights"]).read_bytes() == before
