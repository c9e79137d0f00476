"""What the other quantizers need: a model as plain torch layers, and their scales as an integer graph.

Models are chains of weighted layers, activations, pools and flattenings, as the demo models are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from synergyc.ir.graph import (
    Convolution,
    Flatten,
    Graph,
    Linear,
    Node,
    Operator,
    Pooling,
    Relu,
    Requantization,
)
from synergyc.ir.types import Array, PoolKind, frozen_array
from synergyc.quantize.quantize import wide_node
from synergyc.quantize.rounding import bias_step, weight_range
from synergyc.quantize.scales import common_scales

Widths = Mapping[str, int]
"""Weight bits by node."""


@dataclass(frozen=True, eq=False)
class Weights:
    """A layer's integer weights, of real values times 2**fraction_bits, and its real bias."""

    integers: Array
    fraction_bits: int
    bias: Array


def nearest(weight: Array, fraction_bits: int, bits: int) -> Array:
    """Return real weights rounded to the nearest integers of a width."""
    return np.clip(np.floor(weight * 2.0**fraction_bits + 0.5), *weight_range(bits))


def integer_graph(
    graph: Graph, activations: Mapping[str, int], layers: Mapping[str, Weights], widths: Widths
) -> Graph:
    """Return ``graph`` with given integers; ``activations`` are fraction bits of values that layers read."""
    groups = common_scales(graph)
    chosen = {groups[name]: bits for name, bits in activations.items()}
    scales = {name: chosen.get(group, 0) for name, group in groups.items()}
    wide = wide_node(graph)
    nodes = []
    for node in graph:
        if isinstance(node.operator, Convolution | Linear):
            made, source = layers[node.name], scales[node.inputs[0]]
            if node.name == wide:
                scales[node.name] = source + made.fraction_bits
            shift = 7 + scales[node.name] - source - made.fraction_bits - (8 - widths[node.name])
            steps = np.floor(made.bias / bias_step(source, made.fraction_bits) + 0.5)
            how = Requantization(widths[node.name], 0 if node.name == wide else shift, node.name == wide)
            operator = replace(
                node.operator,
                weight=frozen_array(made.integers.reshape(node.operator.weight.shape), np.int8),
                bias=frozen_array(np.clip(steps, -128, 127), np.int8),
                requantization=how,
            )
            node = replace(node, operator=operator)
        nodes.append(node)
    return replace(graph, nodes=tuple(nodes), fraction_bits=scales)


def weighted(graph: Graph) -> list[Node]:
    """Return the nodes with weights, in order."""
    return [node for node in graph if isinstance(node.operator, Convolution | Linear)]


def real_bias(operator: Convolution | Linear) -> Array:
    """Return a layer's bias, zeros where it has none."""
    return np.zeros(len(operator.weight)) if operator.bias is None else np.asarray(operator.bias, np.float64)


def torch_layer(operator: Operator) -> nn.Module:
    """Return the operator as a layer of torch."""
    match operator:
        case Convolution():
            kind = nn.Conv1d if operator.weight.ndim == 3 else nn.Conv2d
            outputs, inputs, *kernel = operator.weight.shape
            layer: nn.Module = kind(inputs, outputs, tuple(kernel), padding=operator.padding)  # type: ignore
            return with_weights(layer, operator)
        case Linear():
            return with_weights(nn.Linear(*operator.weight.shape[::-1]), operator)
        case Relu():
            return nn.ReLU()
        case Flatten():
            return nn.Flatten()
        case Pooling():
            pool, is_max = operator.pool, operator.pool.kind is PoolKind.MAX
            if pool.window[1] == 1:  # demo models: one-dimensional
                return nn.MaxPool1d(pool.window[0]) if is_max else nn.AvgPool1d(pool.window[0])
            return nn.MaxPool2d(pool.window) if is_max else nn.AvgPool2d(pool.window)
    raise TypeError(f"no layer of torch for {operator}")


def with_weights(layer: nn.Module, operator: Convolution | Linear) -> nn.Module:
    """Return ``layer`` with the operator's weights and bias."""
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(operator.weight.copy()))  # type: ignore[operator]
        layer.bias.copy_(torch.from_numpy(real_bias(operator)))  # type: ignore[operator]
    return layer


def power_of_two(step: float) -> int:
    """Return f: 2**-f is the next power of two above ``step``, so that nothing more is clipped."""
    return -int(np.ceil(np.log2(step) - 1e-6))
