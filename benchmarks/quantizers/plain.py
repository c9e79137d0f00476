"""Plain max-abs: the largest magnitude decides each scale, weights and biases go to the nearest integer."""

from __future__ import annotations

import math

import numpy as np

from benchmarks.quantizers.assemble import Weights, Widths, integer_graph, nearest, real_bias
from synergyc.ir.graph import Convolution, Graph, Linear
from synergyc.ir.types import Array
from synergyc.quantize import real_input
from synergyc.quantize.calibrate import float_values


def plain(graph: Graph, calibration: Array, widths: Widths) -> Graph:
    """Return ``graph`` in integers."""
    values = float_values(graph, real_input(calibration))
    activations = {graph.input.name: 7}
    layers = {}
    for node in graph:
        if isinstance(node.operator, Convolution | Linear):
            source = node.inputs[0]
            activations.setdefault(source, _fraction_bits(values[source], 127))
            weight, bits = node.operator.weight, widths[node.name]
            scale = _fraction_bits(weight, max(1, (1 << (bits - 1)) - 1))
            layers[node.name] = Weights(nearest(weight, scale, bits), scale, real_bias(node.operator))
    return integer_graph(graph, activations, layers, widths)


def _fraction_bits(values: Array, largest: int) -> int:
    return math.floor(math.log2(largest / float(np.abs(values).max())))
