"""The trainable model: bit for bit what the integer executor computes, and it learns."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from synergyc.frontend import capture
from synergyc.ir.graph import Graph
from synergyc.ir.types import Array, Shape
from synergyc.quantize import quantize, quantize_input
from synergyc.quantize.calibrate import integer_values
from synergyc.quantize.qat import QuantizedModel
from tests.quantize.test_quantize import CASES, float_graph, inputs

BITS = [8, 4, 2, 1]


def trained(model: QuantizedModel, shape: Shape, steps: int = 3) -> QuantizedModel:
    """Take a few large steps toward random targets, so that many integers change."""
    torch.manual_seed(1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    images = torch.from_numpy(inputs(shape, seed=3, count=16))
    for _ in range(steps):
        optimizer.zero_grad()
        output = model(images)
        loss = nn.functional.mse_loss(output, torch.randn_like(output))
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return model


def assert_exact(model: QuantizedModel, images: Array) -> None:
    """Compare every value of the graph, not only its output, with the integer executor's."""
    with torch.no_grad():
        found = model.values(torch.from_numpy(images))
    for name, expected in integer_values(model.integers(), quantize_input(images)).items():
        np.testing.assert_array_equal(found[name].numpy(), expected, err_msg=name)


@pytest.mark.parametrize(("kind", "shape"), CASES, ids=["image", "signal", "vector"])
@pytest.mark.parametrize("bits", BITS)
def test_every_value_is_the_integer_executors(kind: type[nn.Module], shape: Shape, bits: int) -> None:
    _, graph = float_graph(kind, shape)
    model = QuantizedModel(quantize(graph, inputs(shape), bits), graph)
    assert_exact(model, inputs(shape, seed=1))
    before = str(model.integers())
    assert_exact(trained(model, shape), inputs(shape, seed=2))
    assert str(model.integers()) != before


@pytest.mark.parametrize("bits", BITS)
def test_training_starts_from_what_calibration_found(bits: int) -> None:
    kind, shape = CASES[0]
    _, graph = float_graph(kind, shape)
    integers = quantize(graph, inputs(shape), bits)
    assert str(QuantizedModel(integers, graph).integers()) == str(integers)
    assert str(QuantizedModel(integers).integers()) == str(integers)


def test_sums_beyond_float32_are_exact() -> None:
    """4096 products of full range reach 2**26; float32 is exact to 2**24 only."""
    torch.manual_seed(0)
    wide = nn.Linear(4096, 4)
    module = nn.Sequential(wide, nn.ReLU(), nn.Linear(4, 2))
    with torch.no_grad():
        wide.weight.abs_()
    graph = capture(module, (4096,), "net")
    images = np.full((4, 4096), 127 / 128, np.float32)
    images[1:] -= np.random.default_rng(0).uniform(0, 0.01, (3, 4096)).astype(np.float32)
    model = QuantizedModel(quantize(graph, images, 8), graph)
    first = model.integers().node("0")
    with torch.no_grad():
        sums = model.values(torch.from_numpy(images))[first.name]
    assert sums.max() > 0
    assert_exact(model, images)


def test_gradients_reach_every_weight() -> None:
    for kind, shape in CASES:
        _, graph = float_graph(kind, shape)
        model = QuantizedModel(quantize(graph, inputs(shape), 8), graph)
        model(torch.from_numpy(inputs(shape))).square().sum().backward()
        assert all(parameter.grad is not None and parameter.grad.any() for parameter in model.parameters()), (
            kind
        )


def test_the_gradient_is_that_of_the_float_model() -> None:
    """Straight-through: with 8 bits and no clipping it is the float model's, up to rounding (torch)."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(16, 3))
    graph = capture(module, (1, 6, 6), "net")
    images = torch.from_numpy(inputs((1, 6, 6)))
    model = QuantizedModel(quantize(graph, images.numpy()), graph)
    for part in (module, model):
        part(images).square().mean().backward()
    for expected, found in zip(module.parameters(), model.parameters(), strict=True):
        assert expected.grad is not None
        assert found.grad is not None
        error = (found.grad.reshape(expected.grad.shape) - expected.grad).norm() / expected.grad.norm()
        assert error < 0.1


def test_a_float_graph_is_no_model() -> None:
    graph: Graph = float_graph(*CASES[2])[1]
    with pytest.raises(ValueError, match="not quantized"):
        QuantizedModel(graph)
