"""The outline of a float graph breaks the same limits as the quantized graph, without calibration."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from synergyc.diagnostics import SynergyError
from synergyc.frontend import capture
from synergyc.legalize import legalize, outline
from synergyc.quantize import fold_batch_norm
from synergyc.targets import load_chip
from tests.legalize.graphs import integer_graph

CHIP = load_chip("max78000")


class Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.norm = nn.BatchNorm2d(width)
        self.classify = nn.Linear(width * 16, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.first(x))
        x = torch.relu(self.norm(self.second(x))) + x
        scores: torch.Tensor = self.classify(torch.flatten(nn.functional.max_pool2d(x, 2), 1))
        return scores


def test_same_layers_as_the_quantized_graph() -> None:
    torch.manual_seed(0)
    module = Residual(8)
    found = legalize(outline(fold_batch_norm(capture(module.eval(), (3, 8, 8), "net")), 4), CHIP)
    expected = legalize(integer_graph(module, (3, 8, 8), bits=4), CHIP)
    for mine, theirs in zip(found.layers, expected.layers, strict=True):
        assert (mine.name, mine.op, mine.in_shape, mine.pool) == (
            theirs.name,
            theirs.op,
            theirs.in_shape,
            theirs.pool,
        )
        assert mine.weight_bits == theirs.weight_bits
        assert mine.output.shape == theirs.output.shape


def test_limits_are_found_without_calibration() -> None:
    graph = fold_batch_norm(capture(nn.Conv2d(3, 1100, 3, padding=3).eval(), (3, 8, 8), "net"))
    with pytest.raises(SynergyError) as caught:
        legalize(outline(graph), CHIP)
    assert {item.rule for item in caught.value.diagnostics} >= {"channels", "padding-size"}


def test_width_of_weights_decides_by_layer() -> None:
    modules = nn.Sequential(nn.Conv2d(64, 1024, 3, bias=False), nn.MaxPool2d(2), nn.Conv2d(1024, 4, 3)).eval()
    graph = fold_batch_norm(capture(modules, (64, 8, 8), "net"))
    weighted = [node.origin.module for node in graph.nodes]
    with pytest.raises(SynergyError) as caught:
        legalize(outline(graph, 8), CHIP)  # 1024 slots in each processor, of 768
    assert {item.rule for item in caught.value.diagnostics} == {"layer-weights"}
    legalize(outline(graph, dict.fromkeys(weighted, 2)), CHIP)
