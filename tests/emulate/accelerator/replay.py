"""Recorded bus writes of the vendor's programs, and their known answers.

The data is described in its own README. Its folder is SYNERGYC_CONFORMANCE_DIR, else shared/data/conformance
beside the repository; tests that need it are skipped where it is not there.
"""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pytest

from synergyc.emulate.accelerator import Accelerator
from synergyc.targets import Cnn, load_chip

Write = tuple[str, int, int, int]
"""Function of the program, address, size in bytes, value."""

DONE = 1 << 12
DIGITS = {"w8": 2, "w16": 4, "w32": 8, "f32": 8}


@dataclass(frozen=True)
class Case:
    """One recorded program: writes in program order, known answer as (address, mask, value)."""

    name: str
    cnn: Cnn
    writes: tuple[Write, ...]
    expected: tuple[tuple[int, int, int], ...]
    continues: bool
    """The program goes on after each layer (one-shot mode)."""


def folder() -> Path:
    """Return where the data should be."""
    beside = Path(__file__).parents[4] / "shared" / "data" / "conformance"
    return Path(os.environ.get("SYNERGYC_CONFORMANCE_DIR", beside))


def index() -> list[dict[str, object]]:
    """Return the list of cases, empty without the data."""
    path = folder() / "index.json"
    return json.loads(path.read_text()) if path.is_file() else []


@lru_cache(maxsize=4)
def load(name: str) -> Case:
    """Return a case; skips the test where the data is missing."""
    path = folder() / "traces" / f"{name}.json.gz"
    if not path.is_file():
        pytest.skip("the conformance data is not here (SYNERGYC_CONFORMANCE_DIR)")
    with gzip.open(path, "rt", encoding="utf-8") as file:
        trace = json.load(file)
    functions = trace["functions"]
    order = [function for function in trace["main_sequence"] if function in functions]
    expected = tuple(
        (int(address, 16) + 4 * i, int(mask, 16), value)
        for address, mask, values in trace["expected"]
        for i, value in enumerate(_groups(values, 8))
    )
    writes = tuple(write for function in order for write in _writes(function, functions[function]))
    cnn = load_chip(trace["device"].lower()).cnn
    return Case(name, cnn, writes, expected, "cnn_continue" in trace["main_sequence"])


def _writes(function: str, entries: list[tuple[str, str, str]]) -> Iterator[Write]:
    for kind, address, values in entries:
        size = DIGITS[kind] // 2
        step = 0 if kind == "f32" else size
        for i, value in enumerate(_groups(values, DIGITS[kind])):
            yield function, int(address, 16) + i * step, size, value


def _groups(text: str, digits: int) -> list[int]:
    return [int(text[i : i + digits], 16) for i in range(0, len(text), digits)]


def run(case: Case, writes: tuple[Write, ...] | None = None) -> Accelerator:
    """Return an accelerator after the program (or ``writes`` in its place) has run to its end."""
    accelerator = Accelerator(case.cnn)
    accelerator.set_power((1 << case.cnn.quadrants) - 1)
    for _, address, size, value in case.writes if writes is None else writes:
        accelerator.write(address, size, value)
    assert accelerator.running
    assert accelerator.cycles_to_done()
    accelerator.finish()
    count = case.cnn.limits.layers if case.continues else 0
    last = accelerator.read(case.cnn.register_address(0, "LCNT"), 4) & 0xFF
    for _ in range(min(count, last)):
        acknowledge(case.cnn, accelerator)
        control = case.cnn.register_address(0, "CTL")
        accelerator.write(control, 4, accelerator.read(control, 4) | 1)
        accelerator.finish()
    return accelerator


def acknowledge(cnn: Cnn, accelerator: Accelerator) -> None:
    """Clear the done bits as the vendor's one-shot handler does."""
    for quadrant in range(cnn.quadrants):
        control = cnn.register_address(quadrant, "CTL")
        accelerator.write(control, 4, accelerator.read(control, 4) & ~DONE)


def wrong_words(case: Case, accelerator: Accelerator) -> list[str]:
    """Return the words of the known answer that differ."""
    found = ((address, mask, value, accelerator.read(address, 4)) for address, mask, value in case.expected)
    return [
        f"0x{address:08X}: 0x{got & mask:08X}, must be 0x{value & mask:08X}"
        for address, mask, value, got in found
        if (got ^ value) & mask
    ]
