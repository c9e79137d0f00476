"""Integer graphs of small PyTorch modules."""

from __future__ import annotations

import numpy as np
from torch import nn

from synergyc.frontend import capture
from synergyc.ir.graph import Graph
from synergyc.ir.types import Array, Shape
from synergyc.quantize import fold_batch_norm, quantize, quantize_input
from synergyc.quantize.evaluate import evaluate_integer


def images(shape: Shape, seed: int = 0, count: int = 16) -> Array:
    """Return random inputs in [-1, 1)."""
    return np.random.default_rng(seed).uniform(-1, 1, (count, *shape)).astype(np.float32)


def integer_graph(module: nn.Module, shape: Shape, bits: int = 8) -> Graph:
    """Return ``module`` captured, folded and quantized on random inputs."""
    return quantize(fold_batch_norm(capture(module.eval(), shape, "net")), images(shape), bits)


def graph_output(graph: Graph, data: Array) -> Array:
    """Return what the graph computes, operator by operator."""
    values = {graph.input.name: quantize_input(data)}
    for node in graph:
        values[node.name] = evaluate_integer(node, [values[name] for name in node.inputs])
    return values[graph.output]
