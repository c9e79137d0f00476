"""Captured graphs: the right operators, and the same numbers as the module itself gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from synergyc.frontend import capture
from synergyc.ir.graph import Abs, BatchNorm, Convolution, Flatten, Graph, Linear, Pooling, Relu
from synergyc.ir.types import PoolKind, Shape
from synergyc.quantize import fold_batch_norm
from synergyc.quantize.evaluate import evaluate_float


class Image(nn.Module):
    """Every two-dimensional operator, branches, a functional call and an in-place one."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(2, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(inplace=True))
        self.pool = nn.MaxPool2d(2, stride=1)
        self.same = nn.Conv2d(6, 6, 3, padding="same", bias=False)
        self.norm = nn.BatchNorm2d(6, affine=False)
        self.drop = nn.Dropout(0.5)
        self.average = nn.AvgPool2d((2, 3), stride=2)
        self.up = nn.ConvTranspose2d(12, 4, 3, stride=2, padding=1, output_padding=1)
        self.whole = nn.AdaptiveAvgPool2d(1)
        self.last = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.pool(self.first(x))
        y = functional.relu(self.norm(self.same(x)))
        z = torch.cat([x + y, (x - self.drop(y)).abs()], dim=1)
        scores: torch.Tensor = self.last(torch.flatten(self.whole(self.up(self.average(z))), 1))
        return scores


class Signal(nn.Module):
    """One-dimensional operators."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(3, 8, 5, padding=2)
        self.norm = nn.BatchNorm1d(8)
        self.wide = nn.Conv1d(8, 4, 3, dilation=2)
        self.last = nn.Linear(4 * 6, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.max_pool1d(torch.relu(self.norm(self.conv(x))), 2)
        x = functional.avg_pool1d(self.wide(x), 2)
        scores: torch.Tensor = self.last(x.view(x.size(0), -1))
        return scores


class Vector(nn.Module):
    """Fully connected layers only, one of them normalized."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(12, 7), nn.BatchNorm1d(7), nn.ReLU(), nn.Identity())
        self.head = nn.Linear(7, 2, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.head(self.body(x))
        return scores


def with_statistics(module: nn.Module) -> nn.Module:
    """Give batch norms statistics that are not those of a fresh module."""
    torch.manual_seed(1)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            assert part.running_mean is not None
            assert part.running_var is not None
            part.running_mean.uniform_(-0.5, 0.5)
            part.running_var.uniform_(0.5, 2.0)
            if part.affine:
                nn.init.uniform_(part.weight, -1.5, 1.5)
                nn.init.uniform_(part.bias, -0.5, 0.5)
    return module


def evaluated(graph: Graph, images: torch.Tensor) -> np.ndarray:
    values = {graph.input.name: images.numpy()}
    for node in graph:
        values[node.name] = evaluate_float(node, [values[name] for name in node.inputs])
    return values[graph.output]


@pytest.mark.parametrize(
    ("kind", "shape"), [(Image, (2, 10, 12)), (Signal, (3, 32)), (Vector, (3, 2, 2))], ids=str
)
def test_captured_and_folded_graph_computes_what_the_module_does(kind: type[nn.Module], shape: Shape) -> None:
    module = with_statistics(kind())
    graph = fold_batch_norm(capture(module, shape, "net"))
    images = torch.rand((4, *shape)) * 2 - 1
    with torch.no_grad():
        expected = module.eval()(images).numpy()
    np.testing.assert_allclose(evaluated(graph, images), expected, rtol=1e-4, atol=1e-5)


def test_nodes_carry_names_shapes_and_places() -> None:
    graph = capture(Image(), (2, 10, 12), "image")
    assert [(node.name, node.shape) for node in graph][:4] == [
        ("first_0", (6, 10, 12)),
        ("first_1", (6, 10, 12)),
        ("first_2", (6, 10, 12)),
        ("pool", (6, 9, 11)),
    ]
    assert graph.node("first_0").origin.module == "first.0"
    assert graph.node("relu").origin.file == "test_capture.py"
    line = graph.node("relu").origin.line
    assert "functional.relu" in Path(__file__).read_text().splitlines()[line - 1]


def test_operators_keep_their_parameters() -> None:
    graph = capture(Image(), (2, 10, 12), "image")
    kinds = [type(node.operator) for node in graph]
    assert kinds.count(BatchNorm) == 2
    assert {Abs, Flatten, Linear, Relu} <= set(kinds)
    average = graph.node("average").operator
    assert isinstance(average, Pooling)
    assert (average.pool.kind, average.pool.window, average.pool.stride) == (PoolKind.AVERAGE, (2, 3), 2)
    up = graph.node("up").operator
    assert isinstance(up, Convolution)
    assert (up.transposed, up.stride, up.output_padding) == (True, (2, 2), (1, 1))
    same = graph.node("same").operator
    assert isinstance(same, Convolution)
    assert (same.padding, same.bias) == ((1, 1), None)
    whole = graph.node("whole").operator
    assert isinstance(whole, Pooling)
    assert whole.pool.window == graph.node("up").shape[1:]


def test_weights_computed_from_parameters_are_folded() -> None:
    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.rand(3, 2, 1, 1))
            self.mask = nn.Buffer(torch.tensor([1.0, 0.0]).reshape(1, 2, 1, 1))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return functional.conv2d(x, self.weight * self.mask + torch.ones(3, 2, 1, 1))

    module = Masked()
    (node,) = capture(module, (2, 4, 4), "masked")
    assert isinstance(node.operator, Convolution)
    expected = module.weight.detach().numpy() * np.array([1.0, 0.0]).reshape(1, 2, 1, 1) + 1
    np.testing.assert_allclose(node.operator.weight, expected, rtol=1e-6)


def test_a_module_used_twice_gives_two_nodes_with_equal_weights() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(2, 2, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y: torch.Tensor = self.conv(self.conv(x))
            return y

    graph = capture(Twice(), (2, 4, 4), "twice")
    assert [node.name for node in graph] == ["conv", "conv_2"]
    first, second = (node.operator for node in graph)
    assert isinstance(first, Convolution)
    assert isinstance(second, Convolution)
    np.testing.assert_array_equal(first.weight, second.weight)


def test_capture_leaves_the_module_in_its_mode_and_is_repeatable() -> None:
    module = with_statistics(Image())
    module.get_submodule("first").eval()
    first, second = (str(capture(module, (2, 10, 12), "net")) for _ in range(2))
    assert first == second
    assert module.training
    assert not module.get_submodule("first").training
    assert module.get_submodule("pool").training
