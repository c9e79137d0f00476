"""Work of the CPU that depends on nothing but what it works on: samples, tails, lines of results."""

from __future__ import annotations

import math

from synergyc.ir.network import Network
from synergyc.ir.tail import stages
from synergyc.ir.types import Shape
from synergyc.targets import load_runtime

CONSOLE_BITS = 10
"""Start bit, eight data bits, stop bit."""


def prepare_cycles(shape: Shape, *, reads_bytes: bool = False) -> float:
    """Return the CPU cycles that a sample of ``shape``, the sensor's own, takes to be prepared.

    ``reads_bytes``: it is normalized.
    """
    runtime, values = load_runtime(), math.prod(shape)
    each = runtime.prepare_value_cycles + (runtime.normalize_cycles if reads_bytes else 0.0)
    return values * each + values / shape[-1] * runtime.prepare_row_cycles


def tail_cycles(network: Network) -> float:
    """Return the CPU cycles that the tail of ``network`` takes for one run."""
    if not network.tail:
        return 0.0
    output, costs = network.tensor(network.outputs[0]), load_runtime().tail_cycles
    total = 0.0
    for stage in stages(network.tail, output.shape, output.fraction_bits, output.width_bits):
        cost = costs[str(stage.tail.op)]
        total += stage.positions * (cost.position + stage.steps * cost.value)
    return total


def result_characters(app: str, size_bytes: int) -> int:
    """Return the characters of a result's line on the console: two hexadecimal digits for each byte.

    Of large results, after the first few, only a digest is written.
    """
    runtime = load_runtime()
    whole = size_bytes <= runtime.whole_result_bytes
    values = 2 * size_bytes if whole else runtime.digest_characters
    return runtime.result_characters + len(app) + values
