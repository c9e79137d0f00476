"""Folding batch normalization into the layer before it, or after it; what is left becomes a layer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from synergyc.ir.graph import BatchNorm, Convolution, Graph, Linear, Node
from synergyc.ir.types import Array, Shape, frozen_array


def fold_batch_norm(graph: Graph) -> Graph:
    """Return ``graph`` without batch normalization: weights and biases (float32) take its place.

    It joins the weighted layer before it, if nothing else reads that one; else those that read it, where
    their padding allows; else it becomes a convolution of single weights, one for each channel.
    """
    nodes = {node.name: node for node in graph.nodes}
    renamed: dict[str, str] = {}
    for name in [node.name for node in graph.nodes]:
        node = nodes[name]
        node = nodes[name] = replace(
            node, inputs=tuple(renamed.get(source, source) for source in node.inputs)
        )
        if not isinstance(node.operator, BatchNorm):
            continue
        factor, offset = affine(node.operator)
        target = nodes.get(node.inputs[0])
        readers = graph.consumers(name)
        if target is not None and _takes_it_behind(graph, target, renamed):
            nodes[target.name] = replace(target, operator=_folded(target.operator, factor, offset))
            renamed[name] = target.name
            del nodes[name]
        elif readers and name != graph.output and all(_takes_it_before(item, offset) for item in readers):
            for reader in readers:
                nodes[reader.name] = replace(reader, operator=_preceded(reader.operator, factor, offset))
            renamed[name] = node.inputs[0]
            del nodes[name]
        else:
            nodes[name] = replace(node, operator=_alone(node.shape, factor, offset))
    output = renamed.get(graph.output, graph.output)
    return replace(graph, nodes=tuple(nodes.values()), output=output)


def affine(norm: BatchNorm) -> tuple[Array, Array]:
    """Return factor and offset by channel, float64: the normalization is ``x * factor + offset``."""
    gain = np.ones(norm.mean.shape) if norm.gain is None else norm.gain.astype(np.float64)
    factor = gain / np.sqrt(norm.variance.astype(np.float64) + norm.epsilon)
    offset = np.zeros(norm.mean.shape) if norm.offset is None else norm.offset.astype(np.float64)
    return factor, offset - norm.mean.astype(np.float64) * factor


def _takes_it_behind(graph: Graph, target: Node, renamed: dict[str, str]) -> bool:
    """Return whether ``target`` is a weighted layer that only one node reads."""
    names = {target.name, *(name for name, new in renamed.items() if new == target.name)}
    readers = [node for name in names for node in graph.consumers(name) if node.name not in names]
    return (
        isinstance(target.operator, Convolution | Linear) and len(readers) == 1 and graph.output not in names
    )


def _takes_it_before(reader: Node, offset: Array) -> bool:
    """Return whether ``reader`` can apply the normalization to its weights: padding must stay zero."""
    operator = reader.operator
    if isinstance(operator, Linear):
        return True
    if not isinstance(operator, Convolution) or operator.transposed:
        return False
    return not any(operator.padding) or not offset.any()


def _folded(operator: object, factor: Array, offset: Array) -> Convolution | Linear:
    assert isinstance(operator, Convolution | Linear)  # noqa: S101  the caller's condition
    bias = 0.0 if operator.bias is None else operator.bias.astype(np.float64)
    return replace(
        operator,
        weight=frozen_array(operator.weight * _per_output(operator, factor), np.float32),
        bias=frozen_array(bias * factor + offset, np.float32),
    )


def _preceded(operator: object, factor: Array, offset: Array) -> Convolution | Linear:
    assert isinstance(operator, Convolution | Linear)  # noqa: S101  the caller's condition
    weight = operator.weight.astype(np.float64)
    groups = operator.groups if isinstance(operator, Convolution) else 1
    taps = (1,) * (weight.ndim - 2)
    outputs = len(weight) // groups
    by_group = (values.reshape(groups, -1).repeat(outputs, axis=0) for values in (factor, offset))
    factors, offsets = (values.reshape(len(weight), -1, *taps) for values in by_group)
    added = (weight * offsets).reshape(len(weight), -1).sum(axis=1)
    bias = operator.bias
    if bias is not None or added.any():
        bias = frozen_array(added + (0.0 if bias is None else bias), np.float32)
    return replace(operator, weight=frozen_array(weight * factors, np.float32), bias=bias)


def _alone(shape: Shape, factor: Array, offset: Array) -> Convolution | Linear:
    bias = frozen_array(offset, np.float32) if offset.any() else None
    rank = len(shape) - 1
    if rank == 0:
        return Linear(frozen_array(np.diag(factor), np.float32), bias)
    weight = frozen_array(factor.reshape(-1, *(1,) * (rank + 1)), np.float32)
    return Convolution(weight, bias, (1,) * rank, (0,) * rank, (1,) * rank, groups=shape[0])


def _per_output(operator: Convolution | Linear, factor: Array) -> Array:
    """Return one factor per output channel, shaped to multiply the operator's weights."""
    if isinstance(operator, Convolution) and operator.transposed:
        inputs, outputs = operator.weight.shape[:2]
        spread = factor.reshape(operator.groups, 1, outputs)
        per_input = np.broadcast_to(spread, (operator.groups, inputs // operator.groups, outputs)).reshape(
            inputs, outputs
        )
        return per_input.reshape(inputs, outputs, *(1,) * (operator.weight.ndim - 2))
    return factor.reshape(-1, *(1,) * (operator.weight.ndim - 1))
