"""Activations that the accelerator lacks: clipping at other values than zero, and slopes below zero."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from synergyc.ir.graph import (
    BatchNorm,
    Clamp,
    Concatenation,
    Convolution,
    Copy,
    Flatten,
    Graph,
    LeakyRelu,
    Linear,
    Node,
    Operator,
    Padding,
    Pooling,
    Relu,
    Reshape,
    Saturation,
)
from synergyc.ir.types import Array, Shape, frozen_array
from synergyc.legalize.rewrite.editing import Editor

_LARGEST = 127
_CARRIERS = (Pooling, Concatenation, Copy, Padding, Flatten, Reshape)
"""Operators whose results lie in the range of their operands; zeros of padding do, too."""


def saturate(graph: Graph) -> Graph:
    """Return ``graph`` with clipping done by the ends of the 8-bit range, wherever that is exact.

    The values are scaled so that the limit is the largest integer; the weights before take the factor, those
    behind its inverse.
    """
    done: set[str] = set()
    for node in graph.nodes:
        if isinstance(node.operator, Clamp) and node.name not in done:
            region = _region(graph, node)
            factor = None if region is None else _factor(node.operator)
            if region is not None and factor is not None:
                graph = _scaled(graph, region, factor)
                done |= region
    return graph


def _factor(clamp: Clamp) -> float | None:
    """Return what values are multiplied with, so that ``high`` is the largest integer of some scale."""
    low, high = clamp.low, clamp.high
    if not 0 < high < math.inf or (low != 0 and not 0.98 <= -low / high <= 1.02):
        return None
    exponent = math.log2(high)
    if low != 0:  # both ends clip: powers of two are there already, within one integer
        return 1.0 if exponent.is_integer() else 2.0 ** round(exponent) / high
    top = _LARGEST * 2.0 ** (math.ceil(exponent) - 7)
    return top / high if top >= high else 2 * top / high


def _region(graph: Graph, start: Node) -> set[str] | None:
    """Return all values that share the scale of ``start``, if scaling them is exact and costs nothing.

    Each must be made by an equal clipping of what a weighted operator computes, and read by weighted ones.
    """
    region, pending = set(), [start.name]
    while pending:
        name = pending.pop()
        if name in region:
            continue
        if name in {graph.input.name, graph.output}:
            return None
        region.add(name)
        node = graph.node(name)
        if isinstance(node.operator, Clamp):
            if node.operator != start.operator or not _makes_alone(graph, node.inputs[0]):
                return None
        elif isinstance(node.operator, _CARRIERS):
            pending += node.inputs
        else:
            return None
        for reader in graph.consumers(name):
            if isinstance(reader.operator, _CARRIERS):
                pending.append(reader.name)
            elif not isinstance(reader.operator, Convolution | Linear):
                return None
    return region


def _makes_alone(graph: Graph, name: str) -> bool:
    """Return whether ``name`` is made by a weighted operator and read by nothing but its clipping."""
    made = {node.name: node for node in graph.nodes}.get(name)
    return (
        made is not None
        and isinstance(made.operator, Convolution | Linear)
        and len(graph.consumers(name)) == 1
        and graph.output != name
    )


def _scaled(graph: Graph, region: set[str], factor: float) -> Graph:
    sources = {graph.node(name).inputs[0] for name in region if isinstance(graph.node(name).operator, Clamp)}
    nodes = []
    for node in graph.nodes:
        operator = node.operator
        if node.name in region and isinstance(operator, Clamp):
            operator = Saturation(operator.low * factor, operator.high * factor)
        elif isinstance(operator, Convolution | Linear):
            if node.inputs[0] in region:
                weight = frozen_array(operator.weight / factor, np.float32)
                operator = replace(operator, weight=weight)
            if node.name in sources:
                operator = _multiplied(operator, factor)
        nodes.append(replace(node, operator=operator))
    return replace(graph, nodes=tuple(nodes))


def _multiplied(operator: Convolution | Linear, factor: float) -> Convolution | Linear:
    bias = None if operator.bias is None else frozen_array(operator.bias * factor, np.float32)
    return replace(operator, weight=frozen_array(operator.weight * factor, np.float32), bias=bias)


def clip_in_layers(node: Node, editor: Editor) -> str | None:
    """Clip by ReLUs of differences: ``min(x, high)`` is ``high - relu(high - x)``."""
    if not isinstance(node.operator, Clamp):
        return None
    low, high = node.operator.low, node.operator.high
    if high == math.inf:  # low + relu(x - low)
        stages = [_affine(node.shape, 1, -low), Relu(), _affine(node.shape, 1, low)]
    else:
        stages = [_affine(node.shape, -1, high), Relu()]
        if low == -math.inf:
            stages.append(_affine(node.shape, -1, high))
        else:  # low + relu((high - low) - relu(high - x))
            stages += [_affine(node.shape, -1, high - low), Relu()]
            stages += [_affine(node.shape, 1, low)] if low else []
    name = node.inputs[0]
    for index, operator in enumerate(stages):
        label = node.name if index == len(stages) - 1 else f"{node.name}_{index}"
        name = editor.emit(operator, (name,), node.shape, node.origin, name=label)
    return name


def _affine(shape: Shape, factor: float, offset: float) -> Operator:
    """Return an operator that multiplies all values by ``factor`` and adds ``offset``."""
    zeros = frozen_array(np.zeros(shape[0]), np.float32)
    ones, gain, bias = (frozen_array(np.full(shape[0], value), np.float32) for value in (1.0, factor, offset))
    return BatchNorm(zeros, ones, gain, bias, epsilon=0.0)


def leaky(graph: Graph) -> Graph:
    """Return ``graph`` with each leaky ReLU as two ReLUs, of the values and of their negatives.

    The weighted operator before makes both, as twice the channels, and those behind take their difference.
    """
    for node in graph.nodes:
        if isinstance(node.operator, LeakyRelu):
            graph = _two_sided(graph, graph.node(node.name), node.operator.slope)
    return graph


def _two_sided(graph: Graph, node: Node, slope: Array) -> Graph:
    source = node.inputs[0]
    doubled_shape = (2 * node.shape[0], *node.shape[1:])
    nodes: list[Node] = []
    both = f"{node.name}_both"
    alone = _makes_alone(graph, source) and not _has_groups(graph.node(source))
    merged = all(_takes_both(reader) for reader in graph.consumers(node.name)) and graph.output != node.name
    for item in graph.nodes:
        operator = item.operator
        if alone and item.name == source and isinstance(operator, Convolution | Linear):
            nodes.append(replace(item, operator=_with_negatives(operator), shape=doubled_shape))
        elif item.name == node.name:
            if not alone:
                nodes.append(Node(both, _both(node.shape), (source,), doubled_shape, node.origin))
                source = both
            relu = Node(f"{node.name}_sides", Relu(), (source,), doubled_shape, node.origin)
            nodes.append(relu)
            if not merged:
                mixing = _difference(node.shape, slope)
                nodes.append(Node(node.name, mixing, (relu.name,), node.shape, node.origin))
        elif merged and node.name in item.inputs and isinstance(operator, Convolution | Linear):
            weight = operator.weight
            shaped = slope.reshape(1, -1, *(1,) * (weight.ndim - 2))
            joined = frozen_array(np.concatenate([weight, -weight * shaped], axis=1), np.float32)
            nodes.append(
                replace(item, operator=replace(operator, weight=joined), inputs=(f"{node.name}_sides",))
            )
        else:
            nodes.append(item)
    return replace(graph, nodes=tuple(nodes))


def _has_groups(node: Node) -> bool:
    operator = node.operator
    return isinstance(operator, Convolution) and (operator.groups > 1 or operator.transposed)


def _takes_both(reader: Node) -> bool:
    return isinstance(reader.operator, Convolution | Linear) and not _has_groups(reader)


def _with_negatives(operator: Convolution | Linear) -> Convolution | Linear:
    bias = operator.bias
    return replace(
        operator,
        weight=frozen_array(np.concatenate([operator.weight, -operator.weight])),
        bias=None if bias is None else frozen_array(np.concatenate([bias, -bias])),
    )


def _both(shape: Shape) -> Convolution | Linear:
    """Return an operator that makes the values and their negatives."""
    eye = np.eye(shape[0])
    return _pointwise(np.concatenate([eye, -eye]), len(shape) - 1)


def _difference(shape: Shape, slope: Array) -> Convolution | Linear:
    """Return an operator that subtracts the second half of the channels times ``slope`` from the first."""
    return _pointwise(np.concatenate([np.eye(shape[0]), -np.diag(slope)], axis=1), len(shape) - 1)


def _pointwise(matrix: Array, rank: int) -> Convolution | Linear:
    if rank == 0:
        return Linear(frozen_array(matrix, np.float32), None)
    weight = frozen_array(matrix.reshape(*matrix.shape, *(1,) * rank), np.float32)
    return Convolution(weight, None, (1,) * rank, (0,) * rank, (1,) * rank)
