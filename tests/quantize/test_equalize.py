"""Equalization: the same function with other weights, whose channels have equal ranges."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from synergyc.frontend import capture
from synergyc.ir.graph import Convolution, Graph, Linear
from synergyc.ir.types import Array, Shape
from synergyc.quantize import equalize, fold_batch_norm
from synergyc.quantize.calibrate import float_values
from tests.quantize.test_quantize import CASES, float_graph, inputs


def outputs(graph: Graph, images: Array) -> Array:
    return float_values(graph, images)[graph.output]


@pytest.mark.parametrize(("kind", "shape"), CASES, ids=["image", "signal", "vector"])
def test_the_function_stays_the_same(kind: type[nn.Module], shape: Shape) -> None:
    _, graph = float_graph(kind, shape)
    images = inputs(shape, count=8)
    expected = outputs(graph, images)
    np.testing.assert_allclose(outputs(equalize(graph), images), expected, atol=1e-5 * np.abs(expected).max())


class Chain(nn.Module):
    """Every kind of pair: plain, grouped, depthwise, transposed, and through pooling and a flattening."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(2, 6, 3, padding=1)
        self.b = nn.Conv2d(6, 6, 3, padding=1, groups=6)
        self.c = nn.Conv2d(6, 4, 1, groups=2)
        self.d = nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2)
        self.e = nn.Conv2d(6, 5, 3, bias=False)
        self.f = nn.Linear(5 * 9, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.b(torch.relu(self.a(x))))
        x = torch.relu(self.d(torch.relu(self.c(x))))
        x = nn.functional.max_pool2d(torch.relu(self.e(x)), 2)
        y: torch.Tensor = self.f(x.flatten(1))
        return y


def chain() -> Graph:
    torch.manual_seed(0)
    module = Chain()
    with torch.no_grad():  # channels of very different ranges
        for part in (module.a, module.b, module.c, module.e):
            part.weight.mul_(10 ** torch.empty(len(part.weight), 1, 1, 1).uniform_(-2, 1))
    return capture(module, (2, 4, 4), "chain")


def test_all_kinds_of_pairs_compute_the_same() -> None:
    images = inputs((2, 4, 4), count=8)
    expected = outputs(chain(), images)
    np.testing.assert_allclose(
        outputs(equalize(chain()), images), expected, atol=1e-5 * float(np.abs(expected).max())
    )


def spread(graph: Graph, name: str) -> float:
    """Return how many times larger the widest output channel's weights are than the narrowest's."""
    operator = graph.node(name).operator
    assert isinstance(operator, Convolution | Linear)
    ranges = np.abs(operator.weight).reshape(len(operator.weight), -1).max(axis=1)
    return float(ranges.max() / ranges.min())


def test_ranges_become_alike() -> None:
    before, after = chain(), equalize(chain())
    for name in ("a", "b", "e"):
        assert spread(before, name) > 20
        assert spread(after, name) < spread(before, name) / 4


def test_a_channel_without_weights_stays() -> None:
    first = nn.Conv2d(1, 2, 1)
    module = nn.Sequential(first, nn.ReLU(), nn.Conv2d(2, 1, 1))
    with torch.no_grad():
        first.weight[0] = 0
    graph = equalize(fold_batch_norm(capture(module, (1, 2, 2), "net")))
    assert all(np.isfinite(values).all() for values in float_values(graph, inputs((1, 2, 2))).values())


def test_values_that_others_read_are_left_alone() -> None:
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Conv2d(2, 2, 1), nn.Conv2d(2, 2, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = torch.relu(self.a(x))
            y: torch.Tensor = x + self.b(x)
            return y

    graph = capture(Residual(), (2, 2, 2), "net")
    assert equalize(graph) is graph
