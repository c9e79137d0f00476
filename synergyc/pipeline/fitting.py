"""Quantizing a model with widths that are given, or chosen so that it fits the memory of few devices."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from synergyc.diagnostics import SynergyError, fail
from synergyc.ir.graph import Convolution, Graph, Linear
from synergyc.ir.network import Network
from synergyc.ir.types import Array, frozen_array
from synergyc.legalize import check_limits, legalize, outline
from synergyc.quantize import Calibrated, calibrate
from synergyc.quantize.rounding import weight_range
from synergyc.quantize.widths import Widths, fitted_widths, sensitivities, weight_counts
from synergyc.synth.placement import place
from synergyc.targets import Chip

Bits = int | str | Mapping[str, int]
"""Weight bits of all layers, by layer, or ``AUTO``."""

AUTO = "auto"

_AFFORDABLE_ERROR = 0.1
"""Squared output error, relative to the output's variance, beyond which one more device is used instead.

On the demo models, mixed widths below it cost less than half a point of accuracy (docs/quantization.md).
"""


def quantize_for(graph: Graph, calibration: Array, bits: Bits, chips: Sequence[Chip]) -> Calibrated:
    """Return the float ``graph``, batch normalization folded, in integers; raises SynergyError.

    ``chips`` are those of the devices that may share the model; only ``AUTO`` looks at them.
    """
    if isinstance(bits, str):
        bits = widths_for(graph, calibration, chips)
    return calibrate(graph, calibration, bits)


def widths_for(graph: Graph, calibration: Array, chips: Sequence[Chip]) -> dict[str, int]:
    """Return weight bits by node, as wide as possible, with which the model fits as few chips as possible.

    One more of ``chips``, the largest first, is taken when narrow weights would cost too much accuracy.
    Raises SynergyError if the model does not fit on all of them with the narrowest weights either.
    """
    ordered = sorted(chips, key=lambda chip: chip.cnn.weight_slots, reverse=True)
    names = weight_counts(graph)
    eight = dict.fromkeys(names, 8)
    sensitivity: dict[tuple[str, int], float] = {}
    for count in range(1, len(ordered) + 1):
        fits = _fits_on(graph, ordered[:count])
        if fits(eight):
            return eight
        sensitivity = sensitivity or sensitivities(graph, calibration, _widths(ordered))
        found = fitted_widths(sensitivity, names, fits)
        if found is None:
            continue
        added = sum(sensitivity[name, bits] - sensitivity[name, 8] for name, bits in found.items())
        if added <= _AFFORDABLE_ERROR or count == len(ordered):
            return found
    raise fail(
        "weight-memory",
        f"model {graph.name} does not fit on {_devices(ordered)} with the narrowest weights either",
        need=f"{sum(names.values()):,} weights",
        hint="add devices, or use fewer channels",
    )


def _devices(chips: Sequence[Chip]) -> str:
    return f"one {chips[0].name}" if len(chips) == 1 else f"{len(chips)} devices"


def _widths(chips: Sequence[Chip]) -> list[int]:
    allowed = set(chips[0].cnn.limits.weight_bits)
    return sorted(allowed.intersection(*(chip.cnn.limits.weight_bits for chip in chips)), reverse=True)


def _fits_on(graph: Graph, chips: Sequence[Chip]) -> Callable[[Widths], bool]:
    """Return a function that tells whether the layers fit on ``chips``, one after another."""

    def fits(widths: Widths) -> bool:
        try:
            network = legalize(_sketch(graph, widths), chips[0])
        except SynergyError as error:
            if any(item.rule != "layer-weights" for item in error.diagnostics):
                raise
            return False
        start = 0
        for chip in chips:
            start = _longest(network, start, chip)
            if start == len(network.layers):
                return True
        return False

    return fits


def _sketch(graph: Graph, widths: Widths) -> Graph:
    """Return ``graph`` with weights rounded without calibration, which is enough to place them.

    Their values matter only so far as layers with equal weights may share memory.
    """
    outlined = outline(graph, widths)
    nodes = []
    for node, source in zip(outlined, graph, strict=True):
        operator = source.operator
        if isinstance(operator, Convolution | Linear) and isinstance(node.operator, Convolution | Linear):
            rounded = _rounded(operator.weight, widths[node.name])
            node = replace(node, operator=replace(node.operator, weight=rounded))
        nodes.append(node)
    return replace(outlined, nodes=tuple(nodes))


def _rounded(weight: Array, bits: int) -> Array:
    low, high = weight_range(bits)
    steps = np.floor(weight * (-low / max(float(np.abs(weight).max()), 1e-30)) + 0.5)
    return frozen_array(np.clip(steps, low, high), np.int8)


def _longest(network: Network, start: int, chip: Chip) -> int:
    """Return the end (exclusive) of the longest segment from ``start`` that fits on ``chip``."""
    low, high = start, len(network.layers)
    while low < high:
        middle = (low + high + 1) // 2
        if _fits(network.segment(start, middle - 1), chip):
            low = middle
        else:
            high = middle - 1
    return low


def _fits(network: Network, chip: Chip) -> bool:
    if check_limits(network, chip):
        return False
    try:
        place(network, chip)
    except SynergyError:
        return False
    return True
