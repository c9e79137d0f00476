"""Folding against torch's own batch normalization; placements that cannot be folded."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from synergyc.frontend import capture
from synergyc.ir.graph import BatchNorm
from synergyc.ir.types import Shape
from synergyc.quantize import fold_batch_norm
from synergyc.quantize.evaluate import evaluate_float


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("layer", "norm", "shape"),
    [
        (lambda bias: nn.Conv2d(4, 6, 3, groups=2, bias=bias), nn.BatchNorm2d, (4, 5, 5)),
        (lambda bias: nn.Conv1d(4, 6, 3, bias=bias), nn.BatchNorm1d, (4, 9)),
        (lambda bias: nn.Linear(4, 6, bias=bias), nn.BatchNorm1d, (4,)),
        (
            lambda bias: nn.ConvTranspose2d(4, 6, 3, 2, 1, 1, groups=2, bias=bias),
            nn.BatchNorm2d,
            (4, 3, 3),
        ),
    ],
)
def test_folded_layer_equals_layer_and_norm(
    layer: type[nn.Module], norm: type[nn.BatchNorm2d], shape: Shape, bias: bool, affine: bool
) -> None:
    torch.manual_seed(0)
    normalization = norm(6, affine=affine)
    assert normalization.running_mean is not None
    assert normalization.running_var is not None
    normalization.running_mean.normal_()
    normalization.running_var.uniform_(0.1, 3.0)
    if affine:
        nn.init.normal_(normalization.weight)
        nn.init.normal_(normalization.bias)
    module = nn.Sequential(layer(bias), normalization).eval()
    graph = fold_batch_norm(capture(module, shape, "net"))
    (node,) = graph
    images = torch.randn(3, *shape)
    with torch.no_grad():
        expected = module(images).numpy()
    np.testing.assert_allclose(evaluate_float(node, [images.numpy()]), expected, rtol=1e-4, atol=1e-5)
    assert graph.output == node.name


def test_readers_of_the_norm_read_the_layer() -> None:
    module = nn.Sequential(
        nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.ReLU(), nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2)
    )
    graph = fold_batch_norm(capture(module, (1, 4, 4), "net"))
    assert [(node.name, node.inputs) for node in graph] == [
        ("0", ("input",)),
        ("2", ("0",)),
        ("3", ("2",)),
    ]
    assert not any(isinstance(node.operator, BatchNorm) for node in graph)


class Shared(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(x)
        y: torch.Tensor = x + self.norm(x)
        return y


@pytest.mark.parametrize(
    "module",
    [
        nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 2, 1), nn.ReLU()),
        nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 3, padding=1)),
        nn.Sequential(nn.BatchNorm2d(3), nn.MaxPool2d(2), nn.BatchNorm2d(3)),
        nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.BatchNorm2d(4), nn.Conv2d(4, 6, 3, groups=2)),
        Shared(),
    ],
    ids=["in front", "behind relu", "around a pool", "before groups", "shared"],
)
def test_norms_elsewhere_join_what_follows_or_become_layers(module: nn.Module) -> None:
    torch.manual_seed(0)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            assert part.running_mean is not None
            assert part.running_var is not None
            nn.init.normal_(part.running_mean)
            nn.init.uniform_(part.running_var, 0.5, 2.0)
    graph = fold_batch_norm(capture(module.eval(), (3, 6, 6), "net"))
    assert not any(isinstance(node.operator, BatchNorm) for node in graph)
    images = torch.randn(4, 3, 6, 6)
    values = {"input": images.numpy()}
    for node in graph:
        values[node.name] = evaluate_float(node, [values[name] for name in node.inputs])
    with torch.no_grad():
        expected = module(images).numpy()
    np.testing.assert_allclose(values[graph.output], expected, rtol=1e-4, atol=1e-5)
