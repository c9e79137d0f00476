"""Fusing: the expected layers, computing the same integers as the graph operator by operator."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from synergyc.diagnostics import SynergyError
from synergyc.frontend import capture
from synergyc.ir.network import LayerOp, Network
from synergyc.ir.types import Activation, EltwiseOp, PoolKind, Shape
from synergyc.legalize import legalize
from synergyc.legalize.fuse import fuse
from synergyc.quantize import quantize_input
from synergyc.reference import run
from synergyc.targets import load_chip
from tests.frontend.test_capture import Image, Signal, Vector, with_statistics
from tests.legalize.graphs import graph_output, images, integer_graph

CHIP = load_chip("max78002")


class Branches(nn.Module):
    """A pool read twice, a residual, an activation of a sum, a concatenation, and pools on their own."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = (nn.Conv2d(4, 4, 3, padding=1) for _ in range(3))
        self.last = nn.Conv2d(8, 3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.max_pool2d(torch.relu(self.a(x)), 2)
        y, z = self.b(x), torch.abs(self.c(x))
        joined = torch.cat([torch.relu(x + y), z - y], dim=1)
        return functional.max_pool2d(functional.avg_pool2d(self.last(joined), 2), 2)


class Vectors(nn.Module):
    """Sums, activations and concatenations of flattened maps, and of vectors."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(2, 3, 3), nn.Conv2d(2, 3, 3)
        self.c, self.d, self.e = nn.Linear(48, 5), nn.Linear(96, 5), nn.Linear(10, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a, b = self.a(x).flatten(1), self.b(x).flatten(1)
        c = self.c(torch.relu(a + b))
        d = self.d(torch.cat([a, b], dim=1))
        y: torch.Tensor = self.e(torch.cat([c, torch.relu(c + d)], dim=1))
        return y


@pytest.mark.parametrize("bits", [8, 2])
@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        (Image, (2, 10, 12)),
        (Signal, (3, 32)),
        (Vector, (3, 2, 2)),
        (Branches, (4, 10, 12)),
        (Vectors, (2, 6, 6)),
    ],
    ids=["image", "signal", "vector", "branches", "vectors"],
)
def test_layers_compute_what_the_graph_does(kind: type[nn.Module], shape: Shape, bits: int) -> None:
    torch.manual_seed(0)
    graph = integer_graph(with_statistics(kind()), shape, bits)
    network = legalize(graph, CHIP)
    data = images(shape, seed=1)
    (name,) = network.outputs
    found = run(network, {"input": quantize_input(data)})[name]
    np.testing.assert_array_equal(found, graph_output(graph, data))
    assert network.tensor(name).fraction_bits == graph.fraction_bits[graph.output]


def fused(module: nn.Module, shape: Shape, chip: str = "max78002") -> Network:
    return fuse(integer_graph(module, shape), load_chip(chip).cnn)


def test_pool_and_activation_join_the_convolution() -> None:
    module = nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(3, 5, 3, padding=1), nn.BatchNorm2d(5), nn.ReLU())
    (layer,) = fused(module, (3, 8, 6)).layers
    assert (layer.op, layer.name, layer.inputs) == (LayerOp.CONV2D, "1", ("input",))
    assert layer.pool is not None
    assert layer.pool.kind is PoolKind.MAX
    assert (layer.in_shape, layer.pooled_shape, layer.output.shape) == ((3, 8, 6), (3, 4, 3), (5, 4, 3))
    assert layer.activation is Activation.RELU
    assert [origin.module for origin in layer.origins] == ["0", "1", "3"]


def test_pooling_at_the_end_becomes_a_layer() -> None:
    layers = fused(nn.Sequential(nn.Conv2d(3, 5, 1), nn.AvgPool2d(2)), (3, 8, 6)).layers
    assert [(layer.op, layer.name) for layer in layers] == [
        (LayerOp.CONV2D, "0"),
        (LayerOp.PASSTHROUGH, "1"),
    ]
    assert layers[1].output.shape == (5, 4, 3)
    assert layers[1].weight is None


def test_of_two_pools_in_a_row_the_first_becomes_a_layer() -> None:
    layers = fused(nn.Sequential(nn.MaxPool2d(2), nn.AvgPool2d(3), nn.Conv2d(2, 4, 1)), (2, 12, 12)).layers
    assert [layer.op for layer in layers] == [LayerOp.PASSTHROUGH, LayerOp.CONV2D]
    assert layers[1].pool is not None
    assert layers[1].pool.kind is PoolKind.AVERAGE


def test_flattening_joins_the_linear_layer_but_pooling_then_does_not() -> None:
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(18, 4))
    layers = fused(module, (1, 8, 8)).layers
    assert [layer.op for layer in layers] == [LayerOp.CONV2D, LayerOp.PASSTHROUGH, LayerOp.LINEAR]
    assert layers[2].flatten
    assert layers[2].in_shape == (2, 3, 3)
    assert layers[2].pool is None


def test_pooling_to_one_pixel_joins_the_linear_layer() -> None:
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 4))
    layers = fused(module, (1, 8, 8)).layers
    assert [layer.op for layer in layers] == [LayerOp.CONV2D, LayerOp.LINEAR]
    assert layers[1].pool is not None
    assert not layers[1].flatten


def test_a_linear_layer_on_a_vector_reads_one_pixel() -> None:
    layers = fused(nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2)), (6,)).layers
    assert [(layer.in_shape, layer.output.shape, layer.flatten) for layer in layers] == [
        ((6, 1, 1), (4,), False),
        ((4, 1, 1), (2,), False),
    ]


def test_a_sum_is_a_layer_and_its_activation_an_identity_convolution() -> None:
    network = legalize(integer_graph(Branches(), (4, 10, 12)), CHIP)
    by_name = {layer.name: layer for layer in network.layers}
    assert by_name["add"].eltwise is EltwiseOp.ADD
    assert by_name["add"].inputs == ("max_pool2d", "b")
    identity = by_name["relu_2"]
    assert (identity.op, identity.activation) == (LayerOp.CONV2D, Activation.RELU)
    assert identity.hardware_shift == 7
    assert identity.weight is not None
    np.testing.assert_array_equal(identity.weight[:, :, 0, 0], np.eye(4))
    assert by_name["last"].inputs == ("relu_2", "sub")
    assert by_name["last"].in_shape == (8, 5, 6)


def test_many_channels_are_pooled_by_an_identity_convolution_where_the_chip_needs_one() -> None:
    module = nn.Sequential(nn.Conv2d(1, 70, 1), nn.MaxPool2d(2))
    graph = integer_graph(module, (1, 4, 4))
    data = images((1, 4, 4), 1)
    for chip, op in (("max78000", LayerOp.CONV2D), ("max78002", LayerOp.PASSTHROUGH)):
        network = legalize(graph, load_chip(chip))
        assert network.layers[1].op is op
        found = run(network, {"input": quantize_input(data)})["1"]
        np.testing.assert_array_equal(found, graph_output(graph, data))


def test_a_value_that_is_also_the_output_keeps_its_own_layer() -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 1, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.conv(x)
            z: torch.Tensor = y + torch.relu(y)
            return z

    names = [layer.name for layer in fused(Both(), (1, 3, 3)).layers]
    assert names == ["conv", "relu", "add"]


def test_vectors_and_flattened_maps_are_told_apart() -> None:
    network = legalize(integer_graph(Vectors(), (2, 6, 6)), CHIP)
    by_name = {layer.name: layer for layer in network.layers}
    assert by_name["add"].in_shape == (3, 4, 4)
    assert (by_name["c"].in_shape, by_name["c"].flatten) == ((3, 4, 4), True)
    assert (by_name["d"].inputs, by_name["d"].in_shape, by_name["d"].flatten) == (("a", "b"), (6, 4, 4), True)
    assert (by_name["e"].inputs, by_name["e"].in_shape) == (("c", "relu_2"), (10, 1, 1))


class Mixed(nn.Module):
    """Joins a flattened map with a vector of as many values as another map has."""

    def __init__(self, *, add: bool) -> None:
        super().__init__()
        self.add = add
        self.conv, self.fc, self.last = nn.Conv2d(1, 1, 1), nn.Linear(16, 16), nn.Linear(16 if add else 32, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a = self.conv(x).flatten(1)
        b = self.fc(a)
        y: torch.Tensor = self.last(a + b if self.add else torch.cat([a, b], dim=1))
        return y


@pytest.mark.parametrize(("add", "rule"), [(True, "eltwise-shape"), (False, "concat-shape")])
def test_maps_and_vectors_cannot_be_joined(add: bool, rule: str) -> None:
    with pytest.raises(SynergyError) as caught:
        legalize(integer_graph(Mixed(add=add), (1, 4, 4)), CHIP)
    assert caught.value.diagnostics[0].rule == rule


def test_float_graphs_are_refused() -> None:
    graph = capture(nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2)), (1, 4, 4), "net")
    with pytest.raises(SynergyError, match="weights must be quantized"):
        fuse(graph, CHIP.cnn)
