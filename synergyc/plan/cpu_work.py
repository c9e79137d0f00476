"""Work of the CPU that depends on nothing but what it works on: samples, tails, lines of results."""

from __future__ import annotations

import math

from synergyc.ir.network import Network
from synergyc.ir.tail import stages
from synergyc.ir.types import Shape
from synergyc.targets import load_runtime

CONSOLE_BITS = 10
"""Start bit, eight data bits, stop bit."""


_USUAL_DIGITS = 2
"""Of a run's number: those that ``result_characters`` of the runtime counts."""


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


def result_characters(app: str, size_bytes: int, run: int | None = None) -> int:
    """Return the characters of a result's line on the console: two hexadecimal digits for each byte.

    Of large results only a digest is written, but for the first few runs; ``run`` None: one of the others.
    """
    runtime = load_runtime()
    values = 2 * size_bytes if _is_whole(size_bytes, run) else runtime.digest_characters
    more_digits = 0 if run is None else len(str(run)) - _USUAL_DIGITS
    return runtime.result_characters + more_digits + len(app) + values


def result_cycles(app: str, size_bytes: int, run: int | None = None) -> float:
    """Return the CPU cycles of writing a result's line; a digest is made of all its bytes."""
    runtime = load_runtime()
    digested_bytes = 0 if _is_whole(size_bytes, run) else size_bytes
    characters = result_characters(app, size_bytes, run)
    line = runtime.result_line_cycles + characters * runtime.result_character_cycles
    return line + digested_bytes * runtime.loop.check_byte


def whole_runs(size_bytes: int) -> int:
    """Return how many runs are reported at greater length than all others; rates are those behind them.

    Only results of which digests are written later: of the first ones a reader can compare each value.
    """
    runtime = load_runtime()
    return runtime.whole_result_runs if size_bytes > runtime.whole_result_bytes else 0


def _is_whole(size_bytes: int, run: int | None) -> bool:
    is_first = run is not None and run < whole_runs(size_bytes)
    return is_first or size_bytes <= load_runtime().whole_result_bytes
