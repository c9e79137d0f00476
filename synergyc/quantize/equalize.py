"""Cross-layer equalization: channels of a layer get equal ranges of weights (arXiv 1906.04721, section 4.1).

One scale serves all weights of a layer, and one all channels of its output. Between two weighted layers,
with only operators between them that commute with positive factors, a channel can be divided by a factor in
the first and multiplied by it in the second: the function stays the same, and small channels keep precision.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from synergyc.ir.graph import Abs, Convolution, Flatten, Graph, Linear, Node, Pooling, Relu, Reshape
from synergyc.ir.types import Array, frozen_array

_SWEEPS = 10
"""Sweeps over all pairs of layers: a factor moves one layer on in each."""


def equalize(graph: Graph) -> Graph:
    """Return a float ``graph``, batch normalization folded, that computes the same with other weights."""
    pairs = list(_pairs(graph))
    if not pairs:
        return graph
    weights = {name: _Weights(graph.node(name)) for pair in pairs for name in pair}
    for _ in range(_SWEEPS):
        for first, second in pairs:
            _balance(weights[first], weights[second])
    nodes = tuple(
        replace(node, operator=weights[node.name].operator()) if node.name in weights else node
        for node in graph.nodes
    )
    return replace(graph, nodes=nodes)


def _pairs(graph: Graph) -> Iterator[tuple[str, str]]:
    """Yield weighted nodes that follow each other, nothing else reading what is between them."""
    for node in graph.nodes:
        if not isinstance(node.operator, Convolution | Linear):
            continue
        after = _only_reader(graph, node)
        while after is not None and isinstance(after.operator, Relu | Abs | Pooling | Flatten | Reshape):
            after = _only_reader(graph, after)
        if after is not None and isinstance(after.operator, Convolution | Linear):
            yield node.name, after.name


def _only_reader(graph: Graph, node: Node) -> Node | None:
    readers = graph.consumers(node.name)
    return readers[0] if len(readers) == 1 and graph.output != node.name else None


class _Weights:
    """A layer's weights, while they change, with one axis for each of what factors are for.

    ``weight`` is (groups, out/groups, in/groups, taps); for a linear layer behind a flattening, inputs are
    channels times pixels.
    """

    def __init__(self, node: Node) -> None:
        operator = node.operator
        assert isinstance(operator, Convolution | Linear)  # noqa: S101 - only such are paired
        self._operator = operator
        self._transposed = isinstance(operator, Convolution) and operator.transposed
        groups = operator.groups if isinstance(operator, Convolution) else 1
        shape = (groups, operator.weight.shape[0] // groups, operator.weight.shape[1], -1)
        weight = operator.weight.astype(np.float64).reshape(shape)
        self.weight = weight.swapaxes(1, 2) if self._transposed else weight
        self.bias = None if operator.bias is None else operator.bias.astype(np.float64)

    @property
    def outputs(self) -> int:
        """Number of output channels."""
        return int(self.weight.shape[0] * self.weight.shape[1])

    def output_ranges(self) -> Array:
        """Return the largest magnitude of each output channel's weights."""
        return np.asarray(np.abs(self.weight).max(axis=(2, 3)).reshape(-1))

    def input_ranges(self, channels: int) -> Array:
        """Return the largest magnitude of the weights that each input channel meets."""
        ranges = np.abs(self.weight).max(axis=(1, 3))
        return np.asarray(ranges.reshape(channels, -1).max(axis=1))

    def divide_outputs(self, factors: Array) -> None:
        self.weight = self.weight / factors.reshape(len(self.weight), -1, 1, 1)
        if self.bias is not None:
            self.bias = self.bias / factors

    def multiply_inputs(self, factors: Array) -> None:
        groups, _, inputs, _ = self.weight.shape
        spread = np.repeat(factors, groups * inputs // len(factors))
        self.weight = self.weight * spread.reshape(groups, 1, inputs, 1)

    def operator(self) -> Convolution | Linear:
        """Return the operator with the weights of now."""
        weight = self.weight.swapaxes(1, 2) if self._transposed else self.weight
        return replace(
            self._operator,
            weight=frozen_array(weight.reshape(self._operator.weight.shape), np.float32),
            bias=None if self.bias is None else frozen_array(self.bias, np.float32),
        )


def _balance(first: _Weights, second: _Weights) -> None:
    """Give each channel between two layers the same range in both; channels without weights stay."""
    leaving, entering = first.output_ranges(), second.input_ranges(first.outputs)
    alive = (leaving > 0) & (entering > 0)
    factors = np.sqrt(np.where(alive, leaving, 1) / np.where(alive, entering, 1))
    first.divide_outputs(factors)
    second.multiply_inputs(factors)
