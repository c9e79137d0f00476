"""Choosing scales: powers of two, one for every set of values that the hardware keeps on a common scale."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from synergyc.ir.graph import Abs, Convolution, Graph, Linear, Node, Relu, Saturation
from synergyc.ir.types import Array

_CLIPPED_BITS = 3
"""How many bits of range below the largest value a scale may give up for precision."""


def common_scales(graph: Graph) -> dict[str, str]:
    """Return, for each value, the representative of the values that must share its scale.

    Only weighted operators change scales; pooling, activations, element-wise operators and concatenation
    keep that of all their operands.
    """
    parent = {graph.input.name: graph.input.name, **{node.name: node.name for node in graph.nodes}}

    def find(name: str) -> str:
        while parent[name] != name:
            name = parent[name]
        return name

    for node in graph.nodes:
        if not isinstance(node.operator, Convolution | Linear):
            for source in node.inputs:
                parent[find(node.name)] = find(source)
    return {name: find(name) for name in parent}


def weight_fraction_bits(graph: Graph, node: Node) -> int:
    """Return f: the integer weights of ``node``, weighted and quantized, are real values * 2**f.

    The programmed shift is 7 + output - input - weight fraction bits (``arithmetic.requantize``); raw sums
    have the scale of their products.
    """
    how = node.operator.requantization if isinstance(node.operator, Convolution | Linear) else None
    if how is None:
        raise ValueError(f"node {node.name} is not quantized")
    gap = graph.fraction_bits[node.name] - graph.fraction_bits[node.inputs[0]]
    return gap if how.wide else 7 + gap - (how.output_shift + 8 - how.weight_bits)


def stored_values(graph: Graph) -> tuple[str, ...]:
    """Return the values whose rounding matters: all but sums that an activation reads at once."""

    def is_stored(node: Node) -> bool:
        readers = graph.consumers(node.name)
        activated = len(readers) == 1 and isinstance(readers[0].operator, Relu | Abs | Saturation)
        return not (isinstance(node.operator, Convolution | Linear) and activated)

    return tuple(node.name for node in graph.nodes if is_stored(node))


def best_fraction_bits(samples: list[Array]) -> int:
    """Return f for which 8-bit integers value * 2**f represent ``samples`` with the least squared error.

    Each array's error counts relative to its own power, so that no value of a shared scale is drowned.
    """
    largest = max((float(np.abs(values).max(initial=0.0)) for values in samples), default=0.0)
    if largest == 0.0:
        return 7
    coarsest = math.floor(math.log2(127 / largest))
    errors = {
        bits: sum(_relative_error(values, bits) for values in samples)
        for bits in range(coarsest, coarsest + _CLIPPED_BITS + 1)
    }
    return min(errors, key=lambda bits: (errors[bits], bits))


def _relative_error(values: Array, fraction_bits: int) -> float:
    real = values.astype(np.float64)
    power = float(np.mean(real * real))
    if power == 0.0:
        return 0.0
    scale = 2.0**fraction_bits
    rounded = np.clip(np.floor(real * scale + 0.5), -128, 127) / scale
    return float(np.mean((rounded - real) ** 2)) / power


def choose_scales(graph: Graph, samples: Mapping[str, Array], input_fraction_bits: int) -> dict[str, int]:
    """Return the fraction bits of every value, given float samples of each of its values.

    The graph input's scale is fixed at ``input_fraction_bits``, and so is that of all that share it; a
    saturation fixes its own.
    """
    groups = common_scales(graph)
    members: dict[str, list[Array]] = {}
    for name in stored_values(graph):
        members.setdefault(groups[name], []).append(samples[name])
    chosen = {group: best_fraction_bits(arrays) for group, arrays in members.items()}
    for node in graph.nodes:
        if isinstance(node.operator, Saturation):
            chosen[groups[node.name]] = node.operator.fraction_bits
    chosen[groups[graph.input.name]] = input_fraction_bits
    return {name: chosen[group] for name, group in groups.items()}
