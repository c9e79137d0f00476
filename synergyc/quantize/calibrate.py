"""Post-training quantization: equalize where it pays, quantize, and choose widths where that is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from synergyc.ir.graph import Graph
from synergyc.ir.types import Array
from synergyc.quantize.equalize import equalize
from synergyc.quantize.evaluate import evaluate_float, evaluate_integer
from synergyc.quantize.quantize import quantize
from synergyc.quantize.samples import quantize_input, real_input

_COMPARED_SAMPLES = 64
"""Calibration samples on which two quantizations are compared."""

_NO_VARIANCE = 1e-12
"""Keeps the relative error of a constant output finite."""


@dataclass(frozen=True, eq=False)
class Calibrated:
    """A quantized model: ``real`` is the float graph whose weights were rounded to those of ``integers``."""

    real: Graph
    integers: Graph


def calibrate(graph: Graph, calibration: Array, bits: int | Mapping[str, int] = 8) -> Calibrated:
    """Return ``graph`` in integers; arguments and errors as of ``quantize``.

    Where weights are narrow, both the graph and its equalized form are quantized with a part of the data, and
    the one whose outputs are nearer to the float model's is taken: equal ranges help weights but cost biases.
    """
    equalized = equalize(graph) if _is_narrow(bits) else graph
    if equalized is not graph:
        part = calibration[:_COMPARED_SAMPLES]
        candidates = [(form, quantize(form, part, bits)) for form in (graph, equalized)]
        samples = real_input(part)
        expected = float_values(graph, samples)[graph.output]
        errors = [output_error(integers, samples, expected) for _, integers in candidates]
        graph = candidates[int(np.argmin(errors))][0]
    return Calibrated(graph, quantize(graph, calibration, bits))


def float_values(graph: Graph, samples: Array) -> dict[str, Array]:
    """Return every value of a float graph, float32, for real inputs (N, *input shape)."""
    values = {graph.input.name: samples}
    for node in graph:
        values[node.name] = evaluate_float(node, [values[name] for name in node.inputs])
    return values


def integer_values(graph: Graph, samples: Array) -> dict[str, Array]:
    """Return every value of an integer graph, int8 or int32, for int8 inputs (N, *input shape)."""
    values = {graph.input.name: samples}
    for node in graph:
        values[node.name] = evaluate_integer(node, [values[name] for name in node.inputs])
    return values


def output_error(integers: Graph, samples: Array, expected: Array) -> float:
    """Return the relative squared error of the output for real inputs against ``expected``."""
    found = integer_values(integers, quantize_input(samples))[integers.output]
    return relative_error(found * 2.0 ** -integers.fraction_bits[integers.output], expected)


def relative_error(found: Array, expected: Array) -> float:
    """Return the mean squared difference, relative to the variance of ``expected``."""
    return float(np.mean((found - expected) ** 2) / (np.var(expected) + _NO_VARIANCE))


def _is_narrow(bits: int | Mapping[str, int]) -> bool:
    return (bits if isinstance(bits, int) else min(bits.values(), default=8)) < 8
