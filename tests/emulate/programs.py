"""Small C programs for the emulated chip, compiled with arm-none-eabi-gcc when tests run."""

from __future__ import annotations

import subprocess
from pathlib import Path

from synergyc import targets
from synergyc.emulate.board import Board
from synergyc.emulate.elf import ElfImage, load_elf
from synergyc.emulate.simulation import Ending, Simulation
from synergyc.toolchain import cross_tool
from tests.compilers import require_cross_compiler

_COMPILER = cross_tool("gcc")
_FLAGS = (
    "-mcpu=cortex-m4 -mthumb -mfloat-abi=hard -mfpu=fpv4-sp-d16 -std=gnu11 -O2 -Wall -Werror"
    " -nostdlib -ffreestanding"
)

_SUPPORT = Path(__file__).parent / "program"

CONSOLE_DIVIDER = 54
"""50 MHz / 54 = 925926 baud, the nearest to 921600."""
CONSOLE_BYTE_PS = 10 * CONSOLE_DIVIDER * 10**12 // 50_000_000


class Programs:
    """Compiles programs, each text once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._images: dict[str, ElfImage] = {}

    def image(self, source: str) -> ElfImage:
        """Return the image of ``source`` with ``program/`` around it; skips without a cross compiler."""
        require_cross_compiler()
        if source not in self._images:
            stem = self._folder / f"program{len(self._images)}"
            stem.with_suffix(".c").write_text('#include "chip.h"\n' + source)
            files = [stem.with_suffix(".c"), self._startup()]
            command = [
                _COMPILER,
                *_FLAGS.split(),
                f"-I{_SUPPORT}",
                f"-T{_SUPPORT / 'chip.ld'}",
                *map(str, files),
            ]
            subprocess.run([*command, "-lgcc", "-o", str(stem.with_suffix(".elf"))], check=True, timeout=60)
            self._images[source] = load_elf(stem.with_suffix(".elf"))
        return self._images[source]

    def _startup(self) -> Path:
        """Return the object file of the start-up code."""
        path = self._folder / "startup.o"
        if not path.exists():
            command = [_COMPILER, *_FLAGS.split(), "-c", str(_SUPPORT / "startup.c"), "-o", str(path)]
            subprocess.run(command, check=True, timeout=60)
        return path

    def assemble(self, text: str) -> bytes:
        """Return the code of a few instructions."""
        require_cross_compiler()
        source, linked = self._folder / "instructions.s", self._folder / "instructions.elf"
        source.write_text(f".syntax unified\n.thumb\n.fpu fpv4-sp-d16\n{text}\n")
        command = [_COMPILER, "-mcpu=cortex-m4", "-nostdlib", "-Wl,-Ttext=0,-e0", str(source)]
        subprocess.run([*command, "-o", str(linked)], check=True, timeout=60)
        return load_elf(linked).segments[0].data

    def board(self, source: str, name: str = "board", *, native_clock: bool | None = None) -> Board:
        """Return a board with a program."""
        return Board(targets.load_board("max78000fthr"), self.image(source), name, native_clock=native_clock)

    def output(self, source: str, until_ns: int = 1_000_000_000) -> str:
        """Return what a program prints until it has nothing more to do."""
        board = self.board(source)
        outcome = Simulation([board]).run(until_ns)
        assert outcome.ending is Ending.IDLE, f"{outcome} printed {board.console!r}"
        return board.console.decode()
