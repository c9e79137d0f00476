"""Synthesis by both engines: time, and flash and RAM of what they write.

``python benchmarks/synth.py [CASE ...] [--bar 10]`` takes cases of the conformance data by their identifiers
(default: the vendor's example networks). Needs SYNERGYC_CONFORMANCE_DIR and AI8X_SYNTHESIS_DIR. One line of
JSON for each case; times are wall seconds of both engines in the same run: ``native_s`` inside a running
Python (best of three), ``native_command_s`` and ``izer_s`` of a whole command. Exit code 1 if ``native_s``
is not ``--bar`` times faster than the izer, or if our image is larger.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from synergyc.diagnostics import SynergyError
from synergyc.emulate.kat.build import compile_project
from synergyc.emulate.kat.project import open_project
from synergyc.pipeline.synth import project_files
from synergyc.targets import load_chip

_FILES = ("--config-file", "--checkpoint-file", "--sample-input")


def measure(case: dict[str, Any], data: Path) -> dict[str, Any]:
    """Return times and sizes for one case."""
    arguments = [
        str(data / "inputs" / word) if before in _FILES else word
        for before, word in zip(["", *case["args"]], case["args"], strict=False)
    ]
    chip = load_chip(case["device"])
    row: dict[str, Any] = {"case": case["id"]}
    row["native_s"] = min(_seconds(lambda: project_files(arguments, chip)) for _ in range(3))
    with tempfile.TemporaryDirectory() as name:
        for engine, key in (("native", "native_command_s"), ("izer", "izer_s")):
            folder = Path(name) / engine
            row[key] = _seconds(partial(_run, engine, arguments, case["device"], folder))
            row |= _sizes(engine, folder, case["device"])
    row["ratio"] = round(row["izer_s"] / row["native_s"], 1)
    return row


def _run(engine: str, arguments: list[str], device: str, folder: Path) -> None:
    command = [sys.executable, "-m", "synergyc", "synth", "--engine", engine, "--device", device]
    done = subprocess.run(
        [*command, "-o", str(folder), *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{engine} fails:\n{done.stderr}")


def _sizes(engine: str, folder: Path, device: str) -> dict[str, int | None]:
    """Return bytes of flash and RAM; None where the image does not fit the chip."""
    build = folder / "build"
    build.mkdir()
    try:
        sizes = compile_project(open_project(folder, device), build).sizes
    except SynergyError:
        return {f"{engine}_flash_bytes": None, f"{engine}_ram_bytes": None}
    return {f"{engine}_flash_bytes": sizes.flash_bytes, f"{engine}_ram_bytes": sizes.ram_bytes}


def _seconds(action: Callable[[], object]) -> float:
    begin = time.perf_counter()
    action()
    return round(time.perf_counter() - begin, 3)


def main() -> None:
    """Print one line for each case; exit code 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*")
    parser.add_argument("--bar", type=float, default=10.0)
    options = parser.parse_args()
    data = Path(os.environ["SYNERGYC_CONFORMANCE_DIR"])
    cases = json.loads((data / "index.json").read_text())
    missed = False
    for case in cases:
        chosen = case["id"] in options.cases if options.cases else case["id"].startswith("n.")
        if not chosen or not case["inputs"]:
            continue
        row = measure(case, data)
        print(json.dumps(row), flush=True)
        sizes = [(row[f"native_{kind}_bytes"], row[f"izer_{kind}_bytes"]) for kind in ("flash", "ram")]
        missed |= row["ratio"] < options.bar or any(
            ours and theirs and ours > theirs for ours, theirs in sizes
        )
    raise SystemExit(missed)


if __name__ == "__main__":
    main()
