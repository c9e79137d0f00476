"""From a folded float graph to integers.

Layer by layer, each is calibrated on what the integer layers before it really deliver.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from synergyc.diagnostics import Diagnostic, SynergyError, did_you_mean, fail
from synergyc.ir.graph import BatchNorm, Convolution, Flatten, Graph, Linear, Node, Reshape
from synergyc.ir.types import Array
from synergyc.quantize.evaluate import evaluate_float, evaluate_integer
from synergyc.quantize.layers import real_layer, rounded_node
from synergyc.quantize.samples import INPUT_FRACTION_BITS, checked_calibration, quantize_input
from synergyc.quantize.scales import choose_scales

WEIGHT_BITS = (8, 4, 2, 1)

_SAMPLED_VALUES = 1 << 18
"""Values that choose a scale: more of them do not change the choice."""

_CALIBRATION_MACS = 1 << 33
"""Multiplications that calibration may take for one pass over its samples: some seconds."""

_LARGEST_VALUE = 2.0**56
"""Sums of squares of thousands of larger values would not fit single precision."""

_FEWEST_SAMPLES = 32
"""Samples that are used however large the model is."""


def quantize(graph: Graph, calibration: Array, bits: int | Mapping[str, int] = 8) -> Graph:
    """Return ``graph`` in integers: int8 weights and biases, shifts, and a scale for every value.

    Args:
        graph: float, batch normalization folded.
        calibration: typical inputs, (N, *graph.input.shape): float in [-1, 1], or int8 as a sensor delivers.
        bits: width of weights, 8, 4, 2 or 1: for all layers, or by name (others have 8).

    The graph's output is wide (raw 32-bit sums) if it is one value per channel, straight from a weighted
    layer.
    Raises SynergyError for unusable calibration data or bit widths, for weights that are not finite, and for
    values that are too large to be measured.
    """
    images = _enough(graph, checked_calibration(calibration, graph.input.shape))
    widths = _checked_bits(graph, bits)
    scales = choose_scales(graph, _samples(graph, images), INPUT_FRACTION_BITS)
    wide = wide_node(graph)
    nodes: list[Node] = []
    real = {graph.input.name: images}
    integers: dict[str, Array] = {graph.input.name: quantize_input(images)}
    for index, node in enumerate(graph.nodes):
        if isinstance(node.operator, Convolution | Linear):
            source = node.inputs[0]
            layer = real_layer(
                node.operator, real[source], integers[source], scales[source], widths[node.name]
            )
            node, scales = rounded_node(node, layer, scales, node.name == wide)
        elif node.inputs[0] == wide:
            scales = {**scales, node.name: scales[node.inputs[0]]}
        nodes.append(node)
        real[node.name] = evaluate_float(graph.nodes[index], [real[name] for name in node.inputs])
        integers[node.name] = evaluate_integer(node, [integers[name] for name in node.inputs])
        _forget(graph, index, real, integers)
    return replace(graph, nodes=tuple(nodes), fraction_bits=scales)


def _enough(graph: Graph, images: Array) -> Array:
    """Return evenly spaced samples, as many as the work on them allows: a large map is many samples."""
    macs = sum(
        node.operator.weight.size * math.prod(node.shape[1:])
        for node in graph
        if isinstance(node.operator, Convolution | Linear)
    )
    count = max(_FEWEST_SAMPLES, _CALIBRATION_MACS // max(1, macs))
    return images if len(images) <= count else images[:: -(-len(images) // count)]


def _checked_bits(graph: Graph, bits: int | Mapping[str, int]) -> dict[str, int]:
    weighted = [node for node in graph.nodes if isinstance(node.operator, Convolution | Linear)]
    problems = [
        Diagnostic(
            "weight-value", "weights and biases must be finite, not NaN or infinite", layer=node.origin.module
        )
        for node in weighted
        if not _is_finite(node)
    ]
    if any(isinstance(node.operator, BatchNorm) for node in graph.nodes):
        raise ValueError("batch normalization must be folded before quantization")
    asked = {node.name: bits for node in weighted} if isinstance(bits, int) else dict(bits)
    names: dict[str, list[str]] = {}
    for node in weighted:  # a layer of the model may have become several nodes
        for name in {node.origin.module, node.name}:
            names.setdefault(name, []).append(node.name)
    for name, width in asked.items():
        if name not in names:
            problems.append(
                Diagnostic("weight-bits", f"no layer {name!r} has weights", hint=did_you_mean(name, names))
            )
        if width not in WEIGHT_BITS:
            problems.append(
                Diagnostic("weight-bits", "weights must have 8, 4, 2 or 1 bits", layer=name, have=str(width))
            )
            if isinstance(bits, int):
                break
    if problems:
        raise SynergyError(problems)
    given = {node: width for name, width in asked.items() for node in names[name]}
    return {node.name: 8 for node in weighted} | given


def _is_finite(node: Node) -> bool:
    operator = node.operator
    if not isinstance(operator, Convolution | Linear):
        return True
    return bool(
        np.isfinite(operator.weight).all() and (operator.bias is None or np.isfinite(operator.bias).all())
    )


def _samples(graph: Graph, images: Array) -> dict[str, Array]:
    """Return up to ``_SAMPLED_VALUES`` float values of each node, evenly spaced over the calibration data."""
    real = {graph.input.name: images}
    samples = {}
    for index, node in enumerate(graph.nodes):
        with np.errstate(over="ignore", invalid="ignore"):  # told of below
            value = evaluate_float(node, [real[name] for name in node.inputs])
        _check_range(node, value)
        real[node.name] = value
        samples[node.name] = value.reshape(-1)[:: max(1, value.size // _SAMPLED_VALUES)].copy()
        _forget(graph, index, real)
    return samples


def _check_range(node: Node, value: Array) -> None:
    largest = float(np.abs(value).max(initial=0.0))
    if not largest <= _LARGEST_VALUE:
        raise fail(
            "calibration-range",
            "values are too large to be measured on the calibration data",
            layer=node.origin.module,
            location=node.origin.location,
            need=f"{largest:.3g}",
            have=f"at most {_LARGEST_VALUE:.3g}",
            hint="normalize the layers before it: batch normalization, or smaller weights",
        )


def _forget(graph: Graph, index: int, *tables: dict[str, Array]) -> None:
    """Drop values that nothing after node ``index`` reads."""
    needed = {name for node in graph.nodes[index + 1 :] for name in node.inputs}
    for table in tables:
        for name in [name for name in table if name not in needed]:
            del table[name]


def wide_node(graph: Graph) -> str | None:
    """Return the weighted node whose raw sums are the graph's output, if it has one value per channel.

    Wide maps would take four times the data memory, so only vectors are kept wide.
    """
    name = graph.output
    while name != graph.input.name:
        node = graph.node(name)
        if isinstance(node.operator, Convolution | Linear):
            return name if math.prod(node.shape[1:]) == 1 else None
        if not isinstance(node.operator, Flatten | Reshape) or len(graph.consumers(node.inputs[0])) > 1:
            return None
        name = node.inputs[0]
    return None
