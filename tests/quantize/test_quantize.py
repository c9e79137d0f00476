"""Whole graphs: integers near the float model, consistent scales, bad requests refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from synergyc.diagnostics import SynergyError
from synergyc.frontend import capture
from synergyc.ir.graph import Convolution, Graph, Linear
from synergyc.ir.types import Array, Shape, frozen_array
from synergyc.quantize import fold_batch_norm, quantize, quantize_input
from synergyc.quantize.evaluate import evaluate_integer
from tests.frontend.test_capture import Image, Signal, Vector, with_statistics

CASES = [(Image, (2, 10, 12)), (Signal, (3, 32)), (Vector, (3, 2, 2))]


def float_graph(kind: type[nn.Module], shape: Shape) -> tuple[nn.Module, Graph]:
    torch.manual_seed(0)
    module = with_statistics(kind()).eval()
    return module, fold_batch_norm(capture(module, shape, "net"))


def inputs(shape: Shape, seed: int = 0, count: int = 64) -> Array:
    return np.random.default_rng(seed).uniform(-1, 1, (count, *shape)).astype(np.float32)


def integer_values(graph: Graph, images: Array) -> dict[str, Array]:
    values = {graph.input.name: quantize_input(images)}
    for node in graph:
        values[node.name] = evaluate_integer(node, [values[name] for name in node.inputs])
    return values


@pytest.mark.parametrize(("kind", "shape"), CASES, ids=["image", "signal", "vector"])
@pytest.mark.parametrize(("bits", "tolerance"), [(8, 0.05), (4, 0.4)])
def test_integers_stay_near_the_float_model(
    kind: type[nn.Module], shape: Shape, bits: int, tolerance: float
) -> None:
    """On images that calibration did not see; the tolerance is relative to the outputs' deviation."""
    module, graph = float_graph(kind, shape)
    quantized = quantize(graph, inputs(shape), bits)
    images = inputs(shape, seed=1)
    with torch.no_grad():
        expected = module(torch.from_numpy(images)).numpy()
    found = (
        integer_values(quantized, images)[quantized.output]
        * 2.0 ** -quantized.fraction_bits[quantized.output]
    )
    error = float(np.sqrt(np.mean((found - expected) ** 2)))
    assert error <= tolerance * float(expected.std())


@pytest.mark.parametrize(("kind", "shape"), CASES, ids=["image", "signal", "vector"])
@pytest.mark.parametrize("bits", [8, 4, 2, 1])
def test_scales_and_shifts_are_consistent(kind: type[nn.Module], shape: Shape, bits: int) -> None:
    """output = sum * 2**(shift - 7) must be what the scales say: shift = 7 + out - in - weight."""
    _, graph = float_graph(kind, shape)
    quantized = quantize(graph, inputs(shape), bits)
    assert quantized.fraction_bits["input"] == 7
    assert set(quantized.fraction_bits) == {"input", *(node.name for node in quantized)}
    for before, node in zip(graph, quantized, strict=True):
        if not isinstance(node.operator, Convolution | Linear):
            assert quantized.fraction_bits[node.name] == quantized.fraction_bits[node.inputs[0]]
            continue
        how = node.operator.requantization
        assert how is not None
        assert isinstance(before.operator, Convolution | Linear)
        assert node.operator.weight.shape == before.operator.weight.shape
        assert node.operator.weight.dtype == np.int8
        assert np.abs(node.operator.weight.astype(int)).max() <= 1 << (bits - 1)
        assert how.weight_bits == bits
        assert how.wide == (node.name == quantized.output)
        if not how.wide:
            assert abs(how.output_shift + 8 - bits) <= 15
        elif bits == 8:
            gap = quantized.fraction_bits[node.name] - quantized.fraction_bits[node.inputs[0]]
            real = node.operator.weight * 2.0**-gap
            np.testing.assert_allclose(real, before.operator.weight, atol=2.0**-gap * 2)


def test_widths_can_be_given_for_each_layer() -> None:
    _, graph = float_graph(Vector, (3, 2, 2))
    quantized = quantize(graph, inputs((3, 2, 2)), {"body.1": 4, "head": 2})
    widths = {
        node.name: node.operator.requantization.weight_bits
        for node in quantized
        if isinstance(node.operator, Linear) and node.operator.requantization
    }
    assert widths == {"body_1": 4, "head": 2}


def test_the_result_is_repeatable() -> None:
    _, graph = float_graph(Signal, (3, 32))
    assert str(quantize(graph, inputs((3, 32)))) == str(quantize(graph, inputs((3, 32))))


def test_only_vectors_straight_from_weights_are_wide() -> None:
    maps = nn.Sequential(nn.Conv2d(1, 3, 3))
    activated = nn.Sequential(nn.Linear(4, 3), nn.ReLU())
    single = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Flatten())
    for module, shape, wide in (
        (maps, (1, 6, 6), False),
        (activated, (4,), False),
        (single, (1, 3, 3), True),
    ):
        quantized = quantize(capture(module, shape, "net"), inputs(shape))
        values = integer_values(quantized, inputs(shape))[quantized.output]
        assert values.dtype == (np.int32 if wide else np.int8)


def test_a_wide_result_keeps_its_scale_through_the_flattening() -> None:
    module = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Flatten()).eval()
    quantized = quantize(capture(module, (1, 3, 3), "net"), inputs((1, 3, 3)))
    images = inputs((1, 3, 3), 3)
    found = integer_values(quantized, images)["1"] * 2.0 ** -quantized.fraction_bits["1"]
    with torch.no_grad():
        np.testing.assert_allclose(found, module(torch.from_numpy(images)).numpy(), atol=0.02)


def test_large_biases_survive() -> None:
    """Biases of 3 with weights of 0.01: the weights' precision must give way to the bias's range."""
    module = nn.Linear(8, 4)
    nn.init.uniform_(module.weight, -0.01, 0.01)
    nn.init.constant_(module.bias, 3.0)
    quantized = quantize(capture(module, (8,), "net"), inputs((8,)))
    found = integer_values(quantized, inputs((8,)))[quantized.output]
    real = found * 2.0 ** -quantized.fraction_bits[quantized.output]
    np.testing.assert_allclose(real, 3.0, atol=0.1)


@pytest.mark.parametrize(
    ("bits", "messages"),
    [
        (3, ["8, 4, 2 or 1 bits"]),
        ({"fc": 5}, ["8, 4, 2 or 1 bits"]),
        ({"fx": 4}, ["no layer 'fx' has weights"]),
        ({"fx": 7, "fc": 0}, ["no layer 'fx'", "1 bits", "1 bits"]),
    ],
)
def test_impossible_widths_are_refused(bits: int | dict[str, int], messages: list[str]) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y: torch.Tensor = self.fc(x)
            return y

    with pytest.raises(SynergyError) as caught:
        quantize(capture(Net(), (4,), "net"), inputs((4,)), bits)
    assert len(caught.value.diagnostics) == len(messages)
    for item, message in zip(caught.value.diagnostics, messages, strict=True):
        assert item.rule == "weight-bits"
        assert message in item.message


def test_weights_that_are_not_finite_are_refused() -> None:
    graph = capture(nn.Sequential(nn.Linear(4, 2), nn.ReLU(), nn.Linear(2, 2)), (4,), "net")
    first, relu, last = graph
    assert isinstance(first.operator, Linear)
    assert isinstance(last.operator, Linear)
    broken = (
        replace(first, operator=replace(first.operator, weight=frozen_array(np.full((2, 4), np.nan)))),
        relu,
        replace(last, operator=replace(last.operator, bias=frozen_array([np.inf, 0]))),
    )
    with pytest.raises(SynergyError) as caught:
        quantize(replace(graph, nodes=broken), inputs((4,)))
    assert [(item.rule, item.layer) for item in caught.value.diagnostics] == [
        ("weight-value", "0"),
        ("weight-value", "2"),
    ]


@pytest.mark.parametrize(("first", "last"), [(1e20, 1e20), (1e19, 1e-19)])
def test_values_that_cannot_be_measured_are_refused(first: float, last: float) -> None:
    """Squares of the second kind would not fit single precision, though the result does."""
    graph = capture(nn.Sequential(nn.Linear(4, 2), nn.Linear(2, 2)), (4,), "net")
    nodes = []
    for node, scale in zip(graph, (first, last), strict=True):
        assert isinstance(node.operator, Linear)
        weight = frozen_array(np.full(node.operator.weight.shape, scale), np.float32)
        nodes.append(replace(node, operator=replace(node.operator, weight=weight)))
    with pytest.raises(SynergyError) as caught:
        quantize(replace(graph, nodes=tuple(nodes)), inputs((4,)))
    assert [item.rule for item in caught.value.diagnostics] == ["calibration-range"]
