"""The outline of a float graph: its shapes as integers, so that limits can be checked before calibration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from synergyc.ir.graph import Convolution, Graph, Linear, Node, Requantization
from synergyc.ir.types import Array

_WIDEST_BITS = 8


def outline(graph: Graph, bits: int | Mapping[str, int] = _WIDEST_BITS) -> Graph:
    """Return ``graph`` with integer weights of the right shapes, all of them 1, biases likewise, shifts 0.

    Whatever limit the outline breaks, the quantized graph breaks too: values and scales break no other limit
    than that of the shift, and the output may at most become wide.

    Args:
        graph: float, batch normalization folded.
        bits: width of weights, for all layers or by name of node or module (others have 8).
    """
    nodes = tuple(_outlined(node, bits) for node in graph.nodes)
    scales = dict.fromkeys((graph.input.name, *(node.name for node in nodes)), 0)
    return replace(graph, nodes=nodes, fraction_bits=scales)


def _outlined(node: Node, bits: int | Mapping[str, int]) -> Node:
    operator = node.operator
    if not isinstance(operator, Convolution | Linear):
        return node
    width = bits
    if not isinstance(width, int):
        width = width.get(node.name, width.get(node.origin.module, _WIDEST_BITS))
    bias = None if operator.bias is None or not operator.bias.any() else _ones(operator.bias)
    integer = replace(
        operator, weight=_ones(operator.weight), bias=bias, requantization=Requantization(width, 0)
    )
    return replace(node, operator=integer)


def _ones(values: Array) -> Array:
    """Return ones of the same shape that take no memory."""
    return np.broadcast_to(np.int8(1), values.shape)
