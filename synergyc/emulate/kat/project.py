"""A project folder of the vendor's shape: find its sources, and refuse what cannot be run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from synergyc.diagnostics import Location, fail, file_location
from synergyc.targets import Chip, known, load_chip

# A constant cast to a pointer; the accelerator's blocks all lie in this 256 MB region of the bus.
_ADDRESS = re.compile(r"\*\s*\)\s*\(?0x(5[0-9a-f]{7})\b", re.IGNORECASE)
# Included by the first core's main.c only where the second core runs the network.
_SECOND_CORE = re.compile(r'^\s*#\s*include\s+"(?:fcr_regs|sema_regs)\.h"', re.MULTILINE)
# Included where the input comes from a camera (--input-csv).
_CAMERA = re.compile(r'^\s*#\s*include\s+"(?:pcif|camera)\w*\.h"', re.MULTILINE)
_START = re.compile(r"\b\w*cnn_start\s*\(\s*(?:void)?\s*\)\s*\{")
_BLOCK_BYTES = 0x1000


@dataclass(frozen=True)
class Project:
    """Sources of a known-answer program, in compiling order, and the chip it was generated for."""

    folder: Path
    sources: tuple[Path, ...]
    chip: Chip


def open_project(folder: Path, device: str) -> Project:
    """Return the project in ``folder``, checked to be one for ``device``.

    Raises SynergyError: ``kat-folder`` (no such folder), ``kat-project`` (not of the vendor's shape),
    ``kat-riscv`` (runs on the second core), ``kat-camera`` (reads a camera), ``kat-device`` (generated for
    another chip), ``unknown-target``.
    """
    chip = load_chip(device)
    if not folder.is_dir():
        raise fail("kat-folder", "no such project folder", location=file_location(folder))
    sources = tuple(sorted(folder.glob("*.c")))
    _check_shape(folder, sources)
    _check_core(sources)
    _check_input(sources)
    _check_chip(sources, chip)
    return Project(folder, sources, chip)


def _check_shape(folder: Path, sources: tuple[Path, ...]) -> None:
    hint = "name a folder that ai8xize.py or `synergyc synth` wrote: it holds main.c, cnn.c and their headers"
    if not any(source.name == "main.c" for source in sources):
        raise fail("kat-project", "there is no main.c", location=file_location(folder), hint=hint)
    if not any(_START.search(_text(source)) for source in sources):
        raise fail(
            "kat-project",
            "no source file defines cnn_start(), which cnn.c of a generated project does",
            location=file_location(folder),
            hint=hint,
        )


def _check_core(sources: tuple[Path, ...]) -> None:
    for source in sources:
        if source.name == "main_riscv.c" or _SECOND_CORE.search(_text(source)):
            raise fail(
                "kat-riscv",
                "the project runs the network on the RISC-V core, which is not emulated",
                location=file_location(source),
                hint="generate the project again without --riscv",
            )


def _check_input(sources: tuple[Path, ...]) -> None:
    for source in sources:
        if _CAMERA.search(_text(source)):
            raise fail(
                "kat-camera",
                "the project reads its input from a camera, which is not emulated",
                location=file_location(source),
                hint="generate the project again without --input-csv",
            )


def _check_chip(sources: tuple[Path, ...], chip: Chip) -> None:
    """Refuse a project whose accelerator addresses suit another chip's memory map better."""
    found = list(_addresses(sources))
    if all(_belongs(address, chip) for address, _ in found):
        return
    fits = {name: sum(_belongs(address, load_chip(name)) for address, _ in found) for name in known("chips")}
    best = max(fits, key=lambda name: (fits[name], name == chip.name))
    if best == chip.name:
        return  # some stray address: the bus will tell
    address, place = next((address, place) for address, place in found if not _belongs(address, chip))
    part = load_chip(best).part
    raise fail(
        "kat-device",
        f"0x{address:08x} is not an accelerator address of {chip.part}",
        location=place,
        hint=f"the project was generated for {part}: use --device {part}",
    )


def _addresses(sources: tuple[Path, ...]) -> Iterator[tuple[int, Location]]:
    for source in sources:
        for number, line in enumerate(_text(source).splitlines(), 1):
            for match in _ADDRESS.finditer(line):
                yield int(match[1], 16), file_location(source, number, match.start(1) - 1)


def _belongs(address: int, chip: Chip) -> bool:
    addresses, quadrants = chip.cnn.addresses, chip.cnn.quadrants
    first, stride = addresses.quadrant.offset, addresses.quadrant.stride
    blocks = ((addresses.fifo, _BLOCK_BYTES), (addresses.aon, _BLOCK_BYTES), (first, quadrants * stride))
    return any(base <= address < base + size for base, size in blocks)


def _text(source: Path) -> str:
    return source.read_text(encoding="utf-8", errors="replace")
