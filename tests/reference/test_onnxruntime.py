"""Whole layers against onnxruntime, which computes the same integers from its own operators."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from synergyc.ir.network import Layer
from synergyc.reference import run
from tests.ir.networks import conv2d_layers, random_int8, single
from tests.reference.integer_onnx import run_onnx


@given(layer=conv2d_layers(), seed=st.integers(0, 1 << 16))
def test_layers_equal_onnxruntime(layer: Layer, seed: int) -> None:
    network = single(layer, layer.in_shape)
    inputs = {"x": random_int8((2, *layer.in_shape), seed)}
    np.testing.assert_array_equal(run(network, inputs)["y"], run_onnx(network, inputs)["y"])
