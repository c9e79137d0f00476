"""The vendor's SDK on the emulated boards: its start-up, drivers and board support, unchanged.

Truth: the SDK's sources, compiled here; the emulator must satisfy every loop in them that waits for a bit.
Needs MAXIM_PATH, the SDK's own variable for its folder.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from synergyc import targets
from synergyc.emulate.board import Board
from synergyc.emulate.elf import load_elf
from synergyc.emulate.simulation import Ending, Simulation
from synergyc.toolchain import cross_tool

_MAIN = Path(__file__).parent / "program" / "msdk_main.c"
_COMPILER = cross_tool("gcc")
_DRIVERS = ("SYS", "DMA", "FLC", "GPIO", "ICC", "TMR", "UART", "TRNG", "LP")
_FLAGS = (
    "-mcpu=cortex-m4 -mthumb -mfloat-abi=hard -mfpu=fpv4-sp-d16 -O1 -w -ffunction-sections -fdata-sections"
)


def compile_main(chip: str, board: str, board_macro: str, folder: Path) -> Path:
    """Return the linked program; skips without the SDK or the compiler."""
    root = Path(os.environ.get("MAXIM_PATH", "")) / "Libraries"
    if "MAXIM_PATH" not in os.environ or not root.is_dir() or shutil.which(_COMPILER) is None:
        pytest.skip("MAXIM_PATH (the vendor's SDK) or arm-none-eabi-gcc is not there")
    drivers, device = root / "PeriphDrivers", root / "CMSIS" / "Device" / "Maxim" / chip
    makefile = (drivers / f"{chip.lower()}_files.mk").read_text()
    names = re.findall(r"C_FILES \+= \$\(SOURCE_DIR\)/(\w+)/(\w+\.c)", makefile)
    sources = [drivers / "Source" / group / name for group, name in names if group in _DRIVERS]
    # Releases may lack the random number driver that their own makefile names; a sister chip's is the same.
    sources = [path if path.is_file() else path.with_name("trng_me14.c") for path in sources]
    misc = root / "MiscDrivers"
    sources += [
        root / "Boards" / chip / board / "Source" / "board.c",
        *(misc / name for name in ("stdio.c", "LED/led.c", "PushButton/pb.c")),
        device / "Source" / f"system_{chip.lower()}.c",
        device / "Source" / "heap.c",
        device / "Source" / "GCC" / f"startup_{chip.lower()}.S",
        _MAIN,
    ]
    includes = [
        drivers / "Include" / chip,
        device / "Include",
        root / "CMSIS" / "Include",
        root / "Boards" / chip / board / "Include",
        root / "Boards" / chip / "Include",
        *(misc / name for name in (".", "LED", "PushButton", "PMIC")),
        *(drivers / "Source" / name for name in (*_DRIVERS, "I2C")),
    ]
    macros = [f"-DTARGET={chip}", f"-DTARGET_NUM={chip[3:]}", "-DTARGET_REV=0x4131", f"-D{board_macro}"]
    script = device / "Source" / "GCC" / f"{chip.lower()}.ld"
    elf = folder / f"{chip}.elf"
    options = [*_FLAGS.split(), *macros, *(f"-I{path}" for path in includes)]
    linking = ["-T", str(script), "-Wl,--gc-sections", "--entry=Reset_Handler", "-o", str(elf)]
    subprocess.run([_COMPILER, *options, *map(str, sources), *linking], check=True, timeout=120)
    return elf


@pytest.mark.parametrize(
    ("chip", "board", "macro", "name", "led"),
    [
        ("MAX78000", "FTHR_RevA", "BOARD_FTHR_REVA", "max78000fthr", 1),
        ("MAX78002", "EvKit_V1", "BOARD_EVKIT_V1", "max78002evkit", 5),
    ],
)
def test_vendor_sdk_runs_unchanged(
    tmp_path: Path, chip: str, board: str, macro: str, name: str, led: int
) -> None:
    image = load_elf(compile_main(chip, board, macro, tmp_path))
    emulated = Board(targets.load_board(name), image, "board")
    uart = emulated.uart("uart2")
    uart.on_transmit = uart.receive  # loop-back
    outcome = Simulation([emulated]).run(1_000_000_000)
    assert outcome.ending is Ending.IDLE, outcome.report
    lines = dict(line.split(maxsplit=1) for line in emulated.console.decode().splitlines())
    assert int(lines["clock"]) == emulated.chip.target.clocks.cpu_hz
    assert int(lines["delay"]) == pytest.approx(3000, abs=10)
    assert lines["float"] == "15707"
    assert lines["uart"] == "0 ping!"
    assert lines["random"] == "1"
    before, after = [0, *(level for _, level in emulated.output_changes["gpio2"])][-2:]
    assert before ^ after == 1 << led
