"""Compile a project's unchanged sources together with the stand-in headers and runtime."""

from __future__ import annotations

import string
from dataclasses import dataclass
from pathlib import Path

from synergyc.diagnostics import Diagnostic, SynergyError, fail
from synergyc.emulate.kat.project import Project
from synergyc.targets import Board, Chip, known, load_board
from synergyc.toolchain import CompileResult, Sizes, find_cross_compiler

STANDIN = Path(__file__).parent / "standin"

# Ours, for C of a generator: GNU C, whose warnings are not the user's. Of the optimizations, those that
# keep the image small; the passes that are left out, and debug information, take minutes on cnn_unload()
# functions of 20,000 statements. GCC must not turn word loops over accelerator memory into calls of memcpy.
_FLAGS = (
    "-std=gnu11",
    "-Og",
    "-g0",
    "-w",
    "-fno-tree-fre",
    "-fno-tree-dse",
    "-fno-tree-loop-distribute-patterns",
)


_ROOM = 8
"""Ours: how many times the chip's flash and SRAM an image may take; both stay within their bus regions."""


@dataclass(frozen=True)
class Image:
    """A linked known-answer program and what it takes of the memories of ``chip``.

    ``excess`` tells what does not fit the real chip; ``chip`` then is one with more flash and SRAM.
    """

    elf: Path
    board: Board
    chip: Chip
    sizes: Sizes
    excess: tuple[Diagnostic, ...] = ()


def compile_project(project: Project, folder: Path) -> Image:
    """Compile ``project`` into ``folder`` (which must exist) and return the image.

    A known-answer program holds sample input, expected output and a buffer for the results besides the
    network; where these are too large for the chip, the image is linked for one with more memory. Raises
    SynergyError: ``cross-compiler``, ``compile-error``, ``link-error``, ``memory-overflow``.
    """
    board = board_of(project.chip)
    try:
        result = _compile(project, project.chip, board, folder)
    except SynergyError as error:
        if any(item.rule != "memory-overflow" for item in error.diagnostics):
            raise
        excess = error.diagnostics
    else:
        return Image(result.elf, board, project.chip, result.sizes)
    chip = _with_room(project.chip)
    try:
        result = _compile(project, chip, board, folder)
    except SynergyError:
        raise SynergyError(excess) from None
    return Image(result.elf, board, chip, result.sizes, excess)


def _with_room(chip: Chip) -> Chip:
    flash = chip.flash.model_copy(update={"size_bytes": _ROOM * chip.flash.size_bytes})
    sram = chip.sram.model_copy(update={"size_bytes": _ROOM * chip.sram.size_bytes})
    return chip.model_copy(update={"flash": flash, "sram": sram})


def _compile(project: Project, chip: Chip, board: Board, folder: Path) -> CompileResult:
    (folder / "chip.h").write_text(render_chip_header(chip, board), encoding="utf-8")
    script = folder / "link.ld"
    script.write_text(render_linker_script(chip), encoding="utf-8")
    return find_cross_compiler().compile(
        [*project.sources, *sorted(STANDIN.glob("*.c"))],
        [project.folder, STANDIN, folder],
        script,
        folder / "kat.elf",
        extra_flags=_FLAGS,
        cwd=project.folder,
    )


def board_of(chip: Chip) -> Board:
    """Return the first board (by name) that carries ``chip``; raises SynergyError if there is none."""
    for name in known("boards"):
        board = load_board(name)
        if board.chip == chip.name:
            return board
    raise fail("kat-board", f"no board is known that carries {chip.part}", hint="add one to targets/boards")


def render_chip_header(chip: Chip, board: Board) -> str:
    """Return ``chip.h``: base addresses, interrupt numbers and clock rates of ``chip`` as C macros."""
    oscillators = chip.clocks.oscillators_hz
    console = chip.peripherals[board.console_uart]
    port, pins = console.pins or ("gpio0", 0)
    macros = {f"BASE_{name.upper()}": f"0x{block.base:08x}u" for name, block in chip.peripherals.items()}
    macros |= {
        "BASE_CONSOLE": f"0x{console.base:08x}u",
        "BASE_CONSOLE_PORT": f"0x{chip.peripherals[port].base:08x}u",
        "CONSOLE_PINS": f"0x{pins:x}u",
        "IRQ_CONSOLE": str(console.irq),
        "IRQ_CNN": str(chip.cnn.irq),
        "INTERRUPTS": str(chip.interrupts),
        "CONSOLE_BD": f"{board.console_rate_bd}u",
        "HAS_IPLL": str(int("ipll" in oscillators)),
    }
    macros |= {f"{name.upper()}_HZ": f"{hz}u" for name, hz in oscillators.items()}
    lines = [f"#define CHIP_{name} {value}" for name, value in sorted(macros.items())]
    return "\n".join([f"/* {chip.part}, as synergyc's targets describe it. */", "#pragma once", *lines, ""])


def render_linker_script(chip: Chip) -> str:
    """Return the linker script for ``chip``'s flash and SRAM."""
    return string.Template((STANDIN / "link.ld").read_text(encoding="utf-8")).substitute(
        flash_base=hex(chip.flash.base),
        flash_bytes=hex(chip.flash.size_bytes),
        sram_base=hex(chip.sram.base),
        sram_bytes=hex(chip.sram.size_bytes),
    )
