"""Exported networks under onnxruntime, whose integer operators are not ours, against the reference."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import zoo
from synergyc.export.onnx import run_onnxruntime, to_onnx
from synergyc.ir.network import Layer
from synergyc.reference import run
from tests.ir.networks import conv2d_layers, random_int8, single


@given(layer=conv2d_layers(), seed=st.integers(0, 1 << 16))
def test_layers(layer: Layer, seed: int) -> None:
    network = single(layer, layer.in_shape)
    inputs = {"x": random_int8((2, *layer.in_shape), seed)}
    found = run_onnxruntime(to_onnx(network), inputs)["y"]
    expected = run(network, inputs)["y"]
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("name", "chip"), [("convnet5", "MAX78000"), ("kws", "MAX78000"), ("ressimplenet", "MAX78000")]
)
def test_whole_networks(name: str, chip: str) -> None:
    network = zoo.network(name, chip)
    inputs = {network.inputs[0].name: zoo.calibration(name, 2)}
    model = to_onnx(network)
    onnx.checker.check_model(model, full_check=True)
    found, expected = run_onnxruntime(model, inputs), run(network, inputs)
    assert set(found) == set(expected)
    for key, values in expected.items():
        np.testing.assert_array_equal(found[key], values)
        assert values.any()
