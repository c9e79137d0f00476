"""Mixed precision: narrow the weights of those layers that lose least, until the network fits.

Sensitivity is measured, not modelled: each layer alone is rounded to each width, and the error that this
adds to the network's output is what the narrowing costs. Errors of several layers are taken to add up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from synergyc.ir.graph import Convolution, Graph, Linear, Node
from synergyc.ir.types import Array
from synergyc.quantize.calibrate import float_values, integer_values, relative_error
from synergyc.quantize.evaluate import evaluate_integer
from synergyc.quantize.layers import real_layer, rounded_node
from synergyc.quantize.quantize import WEIGHT_BITS, quantize, wide_node
from synergyc.quantize.samples import checked_calibration, quantize_input

_CALIBRATING_SAMPLES = 64
_MEASURED_SAMPLES = 16
"""Calibration samples for sensitivities: every layer and width evaluates the network anew."""

Widths = Mapping[str, int]
"""Weight bits by node."""


def sensitivities(
    graph: Graph, calibration: Array, widths: Iterable[int] = WEIGHT_BITS
) -> dict[tuple[str, int], float]:
    """Return, for each weighted node and width, the output error if that node alone has that width.

    Squared, relative to the variance of the float model's output; the other nodes have 8 bits. ``graph`` is
    float, batch normalization folded. Errors as of ``quantize``.
    """
    images = checked_calibration(calibration, graph.input.shape)[:_CALIBRATING_SAMPLES]
    integers = quantize(graph, images, max(WEIGHT_BITS))
    images = images[:_MEASURED_SAMPLES]
    real, eight = float_values(graph, images), integer_values(integers, quantize_input(images))
    wide = wide_node(graph)
    found = {}
    for index, node in enumerate(graph.nodes):
        if not isinstance(node.operator, Convolution | Linear):
            continue
        source = node.inputs[0]
        scale = integers.fraction_bits[source]
        layer = real_layer(node.operator, real[source], eight[source], scale, max(WEIGHT_BITS))
        for bits in widths:
            narrow, scales = rounded_node(
                node, replace(layer, bits=bits), integers.fraction_bits, node.name == wide
            )
            output = _changed_output(integers, (narrow, *integers.nodes[index + 1 :]), eight)
            fraction_bits = scales[node.name] if node.name == wide else scales[graph.output]
            found[node.name, bits] = relative_error(output * 2.0**-fraction_bits, real[graph.output])
    return found


def _changed_output(graph: Graph, nodes: tuple[Node, ...], known: Mapping[str, Array]) -> Array:
    """Return the output if the first of ``nodes`` has changed; the rest of the graph follows it."""
    values = dict(known)
    changed = {nodes[0].name}
    for node in nodes:
        if node.name in changed or changed.intersection(node.inputs):
            values[node.name] = evaluate_integer(node, [values[name] for name in node.inputs])
            changed.add(node.name)
    return values[graph.output]


def fitted_widths(
    sensitivity: Mapping[tuple[str, int], float], counts: Mapping[str, int], fits: Callable[[Widths], bool]
) -> dict[str, int] | None:
    """Return widths by node that ``fits`` accepts, with little error; None if not even the narrowest do.

    Args:
        sensitivity: error by node and width, from ``sensitivities``.
        counts: number of weights of each node.
        fits: whether the network with given widths fits; must hold for narrower weights if for wider ones.

    From all nodes at their widest, the next narrowing is the one that costs least error for each bit it
    saves. At the end, narrowings that turn out not to be needed are taken back, the costliest first.
    """
    allowed = {
        name: sorted({bits for other, bits in sensitivity if other == name}, reverse=True) for name in counts
    }
    widths = {name: choices[0] for name, choices in allowed.items()}
    steps: list[tuple[float, str, int]] = []
    while not fits(widths):
        options = [
            (_added(sensitivity, name, widths[name], bits) / ((widths[name] - bits) * size), name, bits)
            for name, size in counts.items()
            for bits in allowed[name]
            if bits < widths[name]
        ]
        if not options:
            return None
        _, name, bits = min(options)
        steps.append((_added(sensitivity, name, widths[name], bits), name, widths[name]))
        widths[name] = bits
    for _, name, before in sorted(steps, reverse=True):
        wider = {**widths, name: before}
        if before > widths[name] and fits(wider):
            widths = wider
    return widths


def _added(sensitivity: Mapping[tuple[str, int], float], name: str, before: int, after: int) -> float:
    return max(0.0, sensitivity[name, after] - sensitivity[name, before])


def weight_counts(graph: Graph) -> dict[str, int]:
    """Return the number of weights of each weighted node."""
    return {
        node.name: node.operator.weight.size
        for node in graph
        if isinstance(node.operator, Convolution | Linear)
    }
