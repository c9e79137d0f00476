"""Files of integers: they come back, belong to one model, and the vendor's tool reads its form of them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from synergyc.diagnostics import SynergyError
from synergyc.frontend import capture
from synergyc.ir.network import Layer
from synergyc.ir.types import Array
from synergyc.legalize import legalize, rewrite
from synergyc.pipeline.integer_files import read_trained, write_stored, write_vendor_files
from synergyc.quantize import calibrate
from synergyc.synth.izer.tool import find_izer
from synergyc.synth.vendor import parse_options, read_vendor
from synergyc.targets import load_chip
from tests.pipeline import small

WIDTHS = {"first.0": 8, "skip": 2, "last": 4}


def test_trained_integers_come_back_under_the_name_of_the_app(tmp_path: Path) -> None:
    made = calibrate(small.graph(), small.calibration(), 4).integers
    write_stored(made, tmp_path / "integers.safetensors")
    named = replace(small.graph(), name="gesture")
    assert str(read_trained(tmp_path / "integers.safetensors", named)) == str(replace(made, name="gesture"))


def test_integers_of_another_model_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "integers.safetensors"
    write_stored(calibrate(small.graph(), small.calibration(), 8).integers, path)
    other = rewrite(capture(torch.nn.Sequential(torch.nn.Conv2d(2, 4, 3)), (2, 8, 8), "other"))
    with pytest.raises(SynergyError, match="of another model") as caught:
        read_trained(path, other)
    (found,) = caught.value.diagnostics
    assert (found.layer, found.need) == ("0", "0 = convolution, weights 4x2x3x3 (input)")
    write_stored(small.graph(), path)
    with pytest.raises(SynergyError, match="of another model"):
        read_trained(path, small.graph())


def test_what_quantize_wrote_is_no_trained_model(tmp_path: Path) -> None:
    integers = calibrate(small.graph(), small.calibration(), 8).integers
    write_stored(legalize(integers, load_chip("max78000")), tmp_path / "net.safetensors")
    with pytest.raises(SynergyError, match="`synergyc quantize` writes layers") as caught:
        read_trained(tmp_path / "net.safetensors", small.graph())
    assert "synergyc train" in str(caught.value.diagnostics[0].hint)


@pytest.mark.parametrize("content", [b"", b"no safetensors", None])
def test_damaged_files_are_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "integers.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SynergyError, match="not a readable Graph file"):
        read_trained(path, small.graph())


@pytest.fixture
def vendor_files(tmp_path: Path) -> tuple[Path, Path]:
    made = calibrate(small.graph(), small.calibration(), WIDTHS)
    chip = load_chip("max78000")
    return write_vendor_files(legalize(made.integers, chip), chip, tmp_path / "small.safetensors")


def test_the_vendors_form_holds_the_same_network(vendor_files: tuple[Path, Path], tmp_path: Path) -> None:
    checkpoint, description = vendor_files
    np.save(tmp_path / "sample.npy", small.data(1, 9)[0][0].astype(np.int64))
    files = ("--checkpoint-file", checkpoint, "--config-file", description)
    options = parse_options([*map(str, files), "--sample-input", str(tmp_path / "sample.npy")])
    read = read_vendor(options, load_chip("max78000")).execution
    made = calibrate(small.graph(), small.calibration(), WIDTHS).integers
    assert parameters(read) == parameters(legalize(made, load_chip("max78000")).layers)


def parameters(layers: Sequence[Layer]) -> list[tuple[object, ...]]:
    """Return what decides the values that weighted layers make."""
    return [
        (layer.weight_bits, layer.output_shift, layer.activation, _values(layer.weight), _values(layer.bias))
        for layer in layers
        if layer.weight is not None
    ]


def _values(array: Array | None) -> list[int]:
    return [] if array is None else array.ravel().tolist()


@pytest.mark.skipif(not os.environ.get("AI8X_SYNTHESIS_DIR"), reason="AI8X_SYNTHESIS_DIR is not set")
def test_the_vendors_tool_reads_it(vendor_files: tuple[Path, Path], tmp_path: Path) -> None:
    checkpoint, description = vendor_files
    sample = tmp_path / "sample.npy"
    np.save(sample, small.data(1, 9)[0][0].astype(np.int64))
    find_izer().run(
        [
            *("--device", "MAX78000", "--test-dir", str(tmp_path / "out"), "--prefix", "small"),
            *("--checkpoint-file", str(checkpoint), "--config-file", str(description)),
            *("--sample-input", str(sample), "--no-version-check", "--no-progress", "--yamllint", "none"),
        ],
        timeout_s=300.0,
    )
    assert (tmp_path / "out" / "small" / "cnn.c").is_file()
    shutil.rmtree(tmp_path / "out")
