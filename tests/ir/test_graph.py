"""Graphs: text form and look-ups."""

from __future__ import annotations

import numpy as np
import pytest

from synergyc.ir.graph import Convolution, Flatten, Graph, GraphInput, Linear, Node, Relu, Requantization
from synergyc.ir.types import Origin, frozen_array


def small() -> Graph:
    """Return an integer graph: conv, relu, flatten, linear."""
    conv = Convolution(
        frozen_array(np.arange(18).reshape(2, 1, 3, 3), np.int8),
        frozen_array([1, -1], np.int8),
        (1, 1),
        (1, 1),
        (1, 1),
        requantization=Requantization(4, -1),
    )
    linear = Linear(frozen_array(np.ones((3, 8)), np.int8), None, Requantization(8, 0, wide=True))
    nodes = (
        Node("conv", conv, ("input",), (2, 2, 2), Origin("conv", "net.py", 7)),
        Node("relu", Relu(), ("conv",), (2, 2, 2), Origin("relu")),
        Node("flatten", Flatten(), ("relu",), (8,), Origin("flatten")),
        Node("fc", linear, ("flatten",), (3,), Origin("fc")),
    )
    bits = {"input": 7, "conv": 5, "relu": 5, "flatten": 5, "fc": 12}
    return Graph("small", GraphInput("input", (1, 2, 2)), nodes, "fc", bits)


def test_text_form() -> None:
    assert str(small()) == (
        "graph small\n"
        "  %input: 1x2x2 q7\n"
        "  %conv: 2x2x2 q5 = conv 3x3, stride 1x1 pad 1x1, weight i8[2,1,3,3]#dd1c8064,"
        " bias i8[2]#bb8495a2, shift -1, 4 bit (%input)  # conv\n"
        "  %relu: 2x2x2 q5 = relu (%conv)  # relu\n"
        "  %flatten: 8 q5 = flatten (%relu)  # flatten\n"
        "  %fc: 3 q12 = linear, weight i8[3,8]#6da50998, bias none, wide, 8 bit (%flatten)  # fc\n"
        "  return %fc\n"
    )


def test_lookups() -> None:
    graph = small()
    assert graph.node("relu").inputs == ("conv",)
    assert [node.name for node in graph.consumers("relu")] == ["flatten"]
    assert [node.name for node in graph] == ["conv", "relu", "flatten", "fc"]
    with pytest.raises(KeyError):
        graph.node("nothing")
