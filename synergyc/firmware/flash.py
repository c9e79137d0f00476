"""Put an image on a board: what to run for each kind of debug probe, and running it.

Both chips have the same core and debug port; what tells them apart is where their SRAM ends. A probe that
can read memory checks that before anything is written.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from synergyc.diagnostics import fail
from synergyc.targets import Chip
from synergyc.toolchain import cross_tool

Runner = Literal["openocd", "pyocd", "daplink"]
RUNNERS: tuple[Runner, ...] = ("openocd", "pyocd", "daplink")

DETAILS = "DETAILS.TXT"
"""File that every DAPLink drive shows."""

_TIMEOUT_S = 180.0
_FAULT_WORDS = ("error", "fault")
"""What pyOCD says when memory cannot be read; not all of its versions tell by their exit status."""
_PYOCD_NOT_CONNECTED = (3, 4)
"""Exit status of ``pyocd commander`` without a probe, or with one that cannot be used."""


@dataclass(frozen=True)
class Step:
    """A command; ``readable``: whether it reads memory that the right chip has, or lacks; None: no check."""

    purpose: str
    command: tuple[str, ...]
    readable: bool | None = None

    def __str__(self) -> str:
        return shlex.join(self.command)


@dataclass(frozen=True)
class Target:
    """An image, the chip that it is for, and which probe to use where there are several.

    ``drive`` is where the drive of a DAPLink probe is mounted.
    """

    device: str
    chip: Chip
    elf: Path
    probe: str | None = None
    drive: Path | None = None


def flash_steps(runner: Runner, target: Target) -> tuple[Step, ...]:
    """Return what ``runner`` has to do; raises SynergyError (``flash-drive``) if it needs to know a drive."""
    steps = {"openocd": _openocd, "pyocd": _pyocd, "daplink": _daplink}[runner]
    return tuple(steps(target))


def flash(runner: Runner, target: Target, say: Callable[[str], None]) -> None:
    """Check the chip and write the image; ``say`` gets the purpose of each step.

    Raises SynergyError: ``flash-tool`` (it is not installed), ``flash-chip`` (another chip is connected),
    ``flash-failed``, ``flash-drive``.
    """
    if runner == "daplink":
        _check_drive(target)
    for step in flash_steps(runner, target):
        say(step.purpose)
        _run(step, target)


def _openocd(target: Target) -> Iterator[Step]:
    last, after = _sram_edge(target.chip)
    probe = ("-c", f"adapter serial {target.probe}") if target.probe else ()
    wrong = f"echo {{not a {target.chip.part}}}; shutdown error"
    checks = (
        f"if {{[catch {{mdw {last:#010x}}}]}} {{{wrong}}}",
        f"if {{![catch {{mdw {after:#010x}}}]}} {{{wrong}}}",
    )
    yield Step(
        f"check that {target.device} is a {target.chip.part}, write and verify its image",
        (
            *("openocd", "-f", "interface/cmsis-dap.cfg", *probe, "-f", f"target/{target.chip.name}.cfg"),
            *("-c", "init", "-c", "reset halt", "-c", checks[0], "-c", checks[1]),
            *("-c", f"program {{{target.elf}}} verify reset exit"),
        ),
    )


def _pyocd(target: Target) -> Iterator[Step]:
    last, after = _sram_edge(target.chip)
    probe = ("--no-wait", *(("-u", target.probe) if target.probe else ()))
    read = ("pyocd", "commander", "-t", "cortex_m", *probe, "-c")
    yield Step(
        f"check that {target.device} has the SRAM of a {target.chip.part}",
        (*read, f"read32 {last:#010x}"),
        readable=True,
    )
    yield Step("check that its SRAM ends there", (*read, f"read32 {after:#010x}"), readable=False)
    yield Step("write the image", ("pyocd", "load", "-t", target.chip.name, *probe, str(target.elf)))
    yield Step("start it", ("pyocd", "reset", "-t", target.chip.name, *probe))


def _daplink(target: Target) -> Iterator[Step]:
    if target.drive is None:
        raise fail(
            "flash-drive",
            "a DAPLink probe is written to by copying a file to its drive",
            hint="--drive /media/USER/DAPLINK",
        )
    image = target.elf.with_suffix(".hex")
    convert = (cross_tool("objcopy"), "-O", "ihex", str(target.elf), str(image))
    yield Step("make a hexadecimal image", convert)
    yield Step("copy it to the probe's drive", ("cp", str(image), str(target.drive)))


def _check_drive(target: Target) -> None:
    """Refuse a folder that is not a probe's drive, and a probe that names another chip of the family."""
    drive = target.drive
    if drive is None:
        return
    details = drive / DETAILS
    if not details.is_file():
        raise fail("flash-drive", f"{drive} is not the drive of a DAPLink probe: it has no {DETAILS}")
    text = details.read_text(encoding="utf-8", errors="replace").upper()
    if "MAX7800" in text and target.chip.part.upper() not in text:
        raise _wrong_chip(target)


def _sram_edge(chip: Chip) -> tuple[int, int]:
    """Return the addresses of the chip's last word of SRAM, and of the word after it."""
    end = chip.sram.base + chip.sram.size_bytes
    return end - 4, end


def _run(step: Step, target: Target) -> None:
    if shutil.which(step.command[0]) is None:
        raise fail(
            "flash-tool",
            f"{step.command[0]} is not installed",
            hint=f"install it, or use another of {', '.join(RUNNERS)} with --runner",
        )
    try:
        done = subprocess.run(
            step.command,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise fail("flash-failed", f"{step.command[0]} did not end within {_TIMEOUT_S:.0f} s") from error
    said = done.stdout + done.stderr
    if f"not a {target.chip.part}" in said:
        raise _wrong_chip(target)
    connected = done.returncode not in _PYOCD_NOT_CONNECTED
    faulted = step.readable is not None and connected and any(word in said.lower() for word in _FAULT_WORDS)
    if done.returncode != 0 and not faulted:
        raise fail("flash-failed", f"{step.purpose}: {step.command[0]} failed\n{_last_lines(said)}")
    if faulted == step.readable:
        raise _wrong_chip(target)


def _wrong_chip(target: Target) -> Exception:
    return fail(
        "flash-chip",
        f"the chip that is connected is not the {target.chip.part} that device {target.device!r} needs",
        hint="check which board is connected (--probe), or which device it is to become (--device)",
    )


def _last_lines(text: str, count: int = 8) -> str:
    lines: Sequence[str] = text.strip().splitlines()
    return "\n".join(lines[-count:])
