"""Folding batch normalization into the layer before it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from synergyc.diagnostics import Diagnostic, SynergyError
from synergyc.ir.graph import BatchNorm, Convolution, Graph, Linear, Node
from synergyc.ir.types import Array, frozen_array


def fold_batch_norm(graph: Graph) -> Graph:
    """Return ``graph`` without batch normalization: weights and biases (float32) take its place.

    Raises SynergyError for each normalization that does not directly follow a convolution or linear layer, or
    whose layer has other readers.
    """
    nodes = {node.name: node for node in graph.nodes}
    renamed: dict[str, str] = {}
    problems: list[Diagnostic] = []
    for node in graph.nodes:
        if not isinstance(node.operator, BatchNorm):
            nodes[node.name] = replace(
                node, inputs=tuple(renamed.get(name, name) for name in node.inputs), operator=node.operator
            )
            continue
        target = nodes.get(renamed.get(node.inputs[0], node.inputs[0]))
        if target is None or not isinstance(target.operator, Convolution | Linear) or _shared(graph, node):
            problems.append(_misplaced(node))
            continue
        nodes[target.name] = replace(target, operator=_folded(target.operator, node.operator))
        renamed[node.name] = target.name
        del nodes[node.name]
    if problems:
        raise SynergyError(problems)
    output = renamed.get(graph.output, graph.output)
    return replace(graph, nodes=tuple(nodes.values()), output=output)


def _shared(graph: Graph, node: Node) -> bool:
    source = node.inputs[0]
    return len(graph.consumers(source)) > 1 or graph.output == source


def _misplaced(node: Node) -> Diagnostic:
    return Diagnostic(
        "batch-norm-place",
        "batch normalization must directly follow a convolution or linear layer that nothing else reads",
        layer=node.origin.module,
        hint="move it in front of the activation and the pooling",
    )


def _folded(operator: Convolution | Linear, norm: BatchNorm) -> Convolution | Linear:
    ones = np.ones(norm.mean.shape)
    gain = ones if norm.gain is None else norm.gain.astype(np.float64)
    factor = gain / np.sqrt(norm.variance.astype(np.float64) + norm.epsilon)
    bias = 0.0 if operator.bias is None else operator.bias.astype(np.float64)
    offset = 0.0 if norm.offset is None else norm.offset.astype(np.float64)
    folded = (bias - norm.mean.astype(np.float64)) * factor + offset
    return replace(
        operator,
        weight=frozen_array(operator.weight * _per_output(operator, factor), np.float32),
        bias=frozen_array(folded, np.float32),
    )


def _per_output(operator: Convolution | Linear, factor: Array) -> Array:
    """Return one factor per output channel, shaped to multiply the operator's weights."""
    if isinstance(operator, Convolution) and operator.transposed:
        inputs, outputs = operator.weight.shape[:2]
        spread = factor.reshape(operator.groups, 1, outputs)
        per_input = np.broadcast_to(spread, (operator.groups, inputs // operator.groups, outputs)).reshape(
            inputs, outputs
        )
        return per_input[:, :, None, None]
    return factor.reshape(-1, *(1,) * (operator.weight.ndim - 1))
