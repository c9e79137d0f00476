"""Synthesis by both engines: time, and flash and RAM of what they write.

``python benchmarks/synth.py [NAME ...] [--device MAX78000] [--bar 10]`` takes the networks in the folder
``networks`` of AI8X_SYNTHESIS_DIR that have a checkpoint of their architecture in ``trained`` (or those whose
names are given, without ``.yaml``). One line of JSON for each; times are wall seconds of both engines in the
same run: ``native_s`` inside a running Python (best of three), ``native_command_s`` and ``izer_s`` of a whole
command. Sizes are those of the image that ``synergyc kat`` builds. Exit code 1 if ``native_s`` is not
``--bar`` times faster than the izer, or if our image is larger in flash or RAM.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from synergyc.diagnostics import SynergyError
from synergyc.emulate.kat.build import compile_project
from synergyc.emulate.kat.project import open_project
from synergyc.pipeline.synth import project_files
from synergyc.synth.vendor.checkpoint import load_checkpoint
from synergyc.synth.vendor.config import load_config
from synergyc.targets import load_chip

_ENGINES = ("native", "izer")


def cases(folder: Path, names: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield name and options of the vendor's example networks that have a checkpoint."""
    checkpoints: dict[str, Path] = {}
    for path in sorted((folder / "trained").glob("*.pth.tar")):
        checkpoints.setdefault(load_checkpoint(path).arch.lower(), path)
    for path in sorted((folder / "networks").glob("*.yaml")):
        if names and path.stem not in names:
            continue
        try:
            config = load_config(path)
        except SynergyError:
            continue
        checkpoint = checkpoints.get(config.arch.lower())
        if checkpoint is None:
            continue
        options = ["--config-file", str(path), "--checkpoint-file", str(checkpoint), "--overlap-data"]
        yield path.stem, [*options, *(["--fifo"] if config.layers[0].streaming else [])]


def measure(name: str, options: list[str], device: str) -> dict[str, Any]:
    """Return times and sizes for one network; raises SynergyError if ours refuses it."""
    chip = load_chip(device)
    row: dict[str, Any] = {"network": name, "device": device}
    row["native_s"] = min(_seconds(lambda: project_files(options, chip)) for _ in range(3))
    with tempfile.TemporaryDirectory() as folder:
        for engine, key in zip(_ENGINES, ("native_command_s", "izer_s"), strict=True):
            project = Path(folder) / engine
            row[key] = _seconds(partial(_run, engine, options, device, project))
            row |= _sizes(engine, project, device)
    row["ratio"] = round(row["izer_s"] / row["native_s"], 1)
    return row


def _run(engine: str, options: list[str], device: str, folder: Path) -> None:
    command = [sys.executable, "-m", "synergyc", "synth", "--engine", engine, "--device", device]
    done = subprocess.run(
        [*command, "-o", str(folder), *options], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{engine} fails: {done.stderr.strip().splitlines()[-1]}")


def _sizes(engine: str, folder: Path, device: str) -> dict[str, int | None]:
    """Return bytes of flash and RAM; None where the image cannot be linked."""
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
    """Print one line for each network; exit code 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--device", action="append")
    parser.add_argument("--bar", type=float, default=10.0)
    arguments = parser.parse_args()
    missed = False
    for name, options in cases(Path(os.environ["AI8X_SYNTHESIS_DIR"]), arguments.names):
        for device in arguments.device or ["MAX78000", "MAX78002"]:
            try:
                row = measure(name, options, device)
            except (SynergyError, RuntimeError) as error:
                print(json.dumps({"network": name, "device": device, "skipped": str(error)}), flush=True)
                continue
            print(json.dumps(row), flush=True)
            sizes = [(row[f"native_{kind}_bytes"], row[f"izer_{kind}_bytes"]) for kind in ("flash", "ram")]
            larger = any(ours and theirs and ours > theirs for ours, theirs in sizes)
            missed |= larger or row["ratio"] < arguments.bar
    raise SystemExit(missed)


if __name__ == "__main__":
    main()
