"""From a folded float graph to integers.

Layer by layer, each is calibrated on what the integer layers before it really deliver.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from synergyc.diagnostics import Diagnostic, SynergyError, did_you_mean
from synergyc.ir.graph import BatchNorm, Convolution, Flatten, Graph, Linear, Node, Requantization
from synergyc.ir.types import Array, frozen_array
from synergyc.quantize.evaluate import Product, evaluate_float, evaluate_integer, product
from synergyc.quantize.rounding import Moments, RealLayer, round_layer, weight_fraction_bits
from synergyc.quantize.samples import INPUT_FRACTION_BITS, checked_calibration, quantize_input
from synergyc.quantize.scales import choose_scales
from synergyc.reference import arithmetic

WEIGHT_BITS = (8, 4, 2, 1)

MAX_SHIFT = 15
"""Largest magnitude of the programmed shift (ai8x-synthesis, POST register field of 4 bits and sign)."""

_SAMPLED_VALUES = 1 << 18
"""Values that choose a scale: more of them do not change the choice."""

_SAMPLED_POSITIONS = 1 << 12
_COLUMN_VALUES = 1 << 24
"""Window positions that make a layer's moments, and a bound on their memory for large windows."""


def quantize(graph: Graph, calibration: Array, bits: int | Mapping[str, int] = 8) -> Graph:
    """Return ``graph`` in integers: int8 weights and biases, shifts, and a scale for every value.

    Args:
        graph: float, batch normalization folded.
        calibration: typical inputs, (N, *graph.input.shape): float in [-1, 1], or int8 as a sensor delivers.
        bits: width of weights, 8, 4, 2 or 1: for all layers, or by name (others have 8).

    The graph's output is wide (raw 32-bit sums) if it is one value per channel, straight from a weighted
    layer.
    Raises SynergyError for unusable calibration data or bit widths, or for weights that are not finite.
    """
    images = checked_calibration(calibration, graph.input.shape)
    widths = _checked_bits(graph, bits)
    scales = choose_scales(graph, _samples(graph, images), INPUT_FRACTION_BITS)
    wide = _wide_node(graph)
    nodes: list[Node] = []
    real = {graph.input.name: images}
    integers: dict[str, Array] = {graph.input.name: quantize_input(images)}
    for index, node in enumerate(graph.nodes):
        if isinstance(node.operator, Convolution | Linear):
            node, scales = _quantize_weighted(
                node, node.operator, real, integers, scales, widths[node.name], node.name == wide
            )
        elif node.inputs[0] == wide:
            scales = {**scales, node.name: scales[node.inputs[0]]}
        nodes.append(node)
        real[node.name] = evaluate_float(graph.nodes[index], [real[name] for name in node.inputs])
        integers[node.name] = evaluate_integer(node, [integers[name] for name in node.inputs])
        _forget(graph, index, real, integers)
    return replace(graph, nodes=tuple(nodes), fraction_bits=scales)


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
    names = {node.origin.module: node.name for node in weighted} | {node.name: node.name for node in weighted}
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
    return {node.name: 8 for node in weighted} | {names[name]: width for name, width in asked.items()}


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
        value = evaluate_float(node, [real[name] for name in node.inputs])
        real[node.name] = value
        samples[node.name] = value.reshape(-1)[:: max(1, value.size // _SAMPLED_VALUES)].copy()
        _forget(graph, index, real)
    return samples


def _forget(graph: Graph, index: int, *tables: dict[str, Array]) -> None:
    """Drop values that nothing after node ``index`` reads."""
    needed = {name for node in graph.nodes[index + 1 :] for name in node.inputs}
    for table in tables:
        for name in [name for name in table if name not in needed]:
            del table[name]


def _wide_node(graph: Graph) -> str | None:
    """Return the weighted node whose raw sums are the graph's output, if it has one value per channel.

    Wide maps would take four times the data memory, so only vectors are kept wide.
    """
    name = graph.output
    while name != graph.input.name:
        node = graph.node(name)
        if isinstance(node.operator, Convolution | Linear):
            return name if math.prod(node.shape[1:]) == 1 else None
        if not isinstance(node.operator, Flatten) or len(graph.consumers(node.inputs[0])) > 1:
            return None
        name = node.inputs[0]
    return None


def _quantize_weighted(
    node: Node,
    operator: Convolution | Linear,
    real: Mapping[str, Array],
    integers: Mapping[str, Array],
    scales: dict[str, int],
    bits: int,
    wide: bool,
) -> tuple[Node, dict[str, int]]:
    """Return the node in integers, and the scales with that of a wide output filled in."""
    source = node.inputs[0]
    input_bits, output_bits = scales[source], scales[node.name]
    plain = product(operator)
    seen = plain.data(integers[source]).astype(np.float32) * np.float32(2.0**-input_bits)
    layer = RealLayer(
        weight=plain.weight.reshape(plain.groups, -1, math.prod(plain.weight.shape[1:])).astype(np.float64),
        bias=_corrected_bias(operator, plain, plain.data(real[source]), seen),
        moments=tuple(_moments(columns) for columns in _columns(plain, seen)),
        bits=bits,
        input_bits=input_bits,
        has_bias=operator.bias is not None,  # bias memory is scarce: a layer without bias stays without
    )
    # hardware shift = 7 + output - input - weight fraction bits, see arithmetic.requantize
    centre = 7 + output_bits - input_bits
    allowed = range(-64, 65) if wide else range(centre - MAX_SHIFT, centre + MAX_SHIFT + 1)
    chosen = weight_fraction_bits(layer, allowed)
    rounded = round_layer(layer, chosen)
    shift = 0 if wide else centre - chosen - (8 - bits)
    if wide:
        scales = {**scales, node.name: input_bits + chosen}
    return (
        replace(
            node,
            operator=replace(
                operator,
                weight=frozen_array(_own_layout(operator, plain, rounded.weight), np.int8),
                bias=frozen_array(rounded.bias, np.int8) if rounded.bias.any() else None,
                requantization=Requantization(bits, shift, wide),
            ),
        ),
        scales,
    )


def _corrected_bias(operator: Convolution | Linear, plain: Product, real: Array, seen: Array) -> Array:
    """Return the bias (out,) that makes mean sums equal those of the float model, despite input errors."""
    bias = np.zeros(len(plain.weight)) if operator.bias is None else operator.bias.astype(np.float64)
    difference = plain.sums(real - seen)
    return np.asarray(bias + difference.mean(axis=(0, 2, 3), dtype=np.float64))


def _columns(plain: Product, data: Array) -> Iterator[Array]:
    """Yield, for each group, columns (samples, K) that the weights multiply, evenly spaced over ``data``."""
    rows, columns = plain.padding
    padded = np.pad(data, ((0, 0), (0, 0), (rows, rows), (columns, columns)))
    kernel = (plain.weight.shape[2], plain.weight.shape[3])
    view = arithmetic.windows(padded, kernel, 1, plain.dilation).transpose(0, 2, 3, 1, 4, 5)
    available = math.prod(view.shape[:3])
    wanted = min(_SAMPLED_POSITIONS, _COLUMN_VALUES // math.prod(view.shape[3:]) + 1)
    positions = np.arange(0, available, max(1, available // wanted))
    picked = view[np.unravel_index(positions, view.shape[:3])]
    channels = plain.weight.shape[1]
    for group in range(plain.groups):
        part = picked[:, group * channels : (group + 1) * channels]
        yield part.reshape(len(part), -1)


def _moments(columns: Array) -> Moments:
    second = (columns.T @ columns).astype(np.float64) / len(columns)
    return Moments(columns.mean(axis=0, dtype=np.float64), second)


def _own_layout(operator: Convolution | Linear, plain: Product, weight: Array) -> Array:
    """Return correlation weights (out, K) in the operator's own layout."""
    shaped = weight.reshape(plain.weight.shape)
    if isinstance(operator, Convolution) and operator.transposed:
        return arithmetic.plain_kernel(shaped, plain.groups)  # its own inverse
    return shaped.reshape(operator.weight.shape)
