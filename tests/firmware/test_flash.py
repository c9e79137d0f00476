"""Flashing: the commands for each runner, and what is done when the wrong board is connected.

No probe is needed: programs that stand in for the tools behave as the tools do with a right and a wrong chip.
"""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from synergyc.diagnostics import SynergyError
from synergyc.firmware.flash import DETAILS, Target, flash, flash_steps
from synergyc.targets import load_chip
from synergyc.toolchain import PREFIX_VARIABLE


def _target(**changes: object) -> Target:
    values: dict[str, object] = {
        "device": "wrist",
        "chip": load_chip("max78000"),
        "elf": Path("build/wrist/wrist.elf"),
    }
    return Target(**(values | changes))  # type: ignore[arg-type]


def test_openocd_checks_where_the_sram_ends() -> None:
    """128 KiB on the MAX78000, 384 KiB on the MAX78002 (max7800x.h)."""
    (step,) = flash_steps("openocd", _target(probe="0421"))
    text = str(step)
    assert "target/max78000.cfg" in text
    assert "adapter serial 0421" in text
    assert "[catch {mdw 0x2001fffc}]" in text
    assert "![catch {mdw 0x20020000}]" in text
    assert "program {build/wrist/wrist.elf} verify reset exit" in text
    (step,) = flash_steps("openocd", _target(chip=load_chip("max78002")))
    assert "mdw 0x2005fffc" in str(step)


def test_pyocd_reads_before_it_writes() -> None:
    steps = flash_steps("pyocd", _target())
    assert [step.readable for step in steps] == [True, False, None, None]
    assert "read32 0x2001fffc" in steps[0].command
    assert steps[2].command[:4] == ("pyocd", "load", "-t", "max78000")


def test_daplink_needs_a_drive(tmp_path: Path) -> None:
    with pytest.raises(SynergyError, match="drive"):
        flash_steps("daplink", _target())
    steps = flash_steps("daplink", _target(drive=tmp_path))
    assert steps[-1].command == ("cp", "build/wrist/wrist.hex", str(tmp_path))


def test_objcopy_is_of_the_compiler_that_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PREFIX_VARIABLE, "/opt/arm/bin/arm-none-eabi-")
    step = flash_steps("daplink", _target(drive=tmp_path))[0]
    assert step.command[0] == "/opt/arm/bin/arm-none-eabi-objcopy"


def test_a_folder_that_is_no_probe_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SynergyError, match=DETAILS):
        flash("daplink", _target(drive=tmp_path), lambda _: None)


def test_a_probe_of_another_chip_is_refused(tmp_path: Path) -> None:
    (tmp_path / DETAILS).write_text("Target: MAX78002EVKIT\n")
    with pytest.raises(SynergyError, match="not the MAX78000"):
        flash("daplink", _target(drive=tmp_path), lambda _: None)


def _tool(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IEXEC)


_FAULT = "echo Error: memory transfer failed; exit {status}"
"""What pyOCD does when memory cannot be read (pyocd/commands/commander.py); old versions exit with 0."""


@pytest.mark.parametrize("status", [0, 2])
@pytest.mark.parametrize(("needed", "end"), [("max78000", 0x20060000), ("max78002", 0x20020000)])
def test_the_wrong_chip_is_not_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, needed: str, end: int, status: int
) -> None:
    """Its SRAM reaches further than that of the chip that the image is for, or less far."""
    log, part = tmp_path / "log", load_chip(needed).part
    script = f'echo "$@" >> {log}; for last; do :; done; [ $((${{last#* }})) -lt {end} ] && exit 0'
    _tool(tmp_path, "pyocd", f"{script}; {_FAULT.format(status=status)}")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(SynergyError, match=f"not the {part}"):
        flash("pyocd", _target(chip=load_chip(needed)), lambda _: None)
    assert "load" not in log.read_text()


def test_a_missing_probe_is_no_wrong_chip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _tool(tmp_path, "pyocd", "echo 'Error: no probe'; exit 3")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(SynergyError, match="flash-failed"):
        flash("pyocd", _target(), lambda _: None)


def test_the_right_chip_is_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "log"
    _tool(tmp_path, "pyocd", f'echo "$@" >> {log}; case "$*" in *0x20020000*) echo Transfer fault;; esac')
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    said: list[str] = []
    flash("pyocd", _target(), said.append)
    assert len(said) == 4
    assert "load -t max78000 --no-wait build/wrist/wrist.elf" in log.read_text()


def test_a_failing_tool_shows_what_it_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _tool(tmp_path, "openocd", "echo 'no device found' >&2; exit 1")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(SynergyError, match="no device found"):
        flash("openocd", _target(), lambda _: None)


def test_a_missing_tool_is_a_diagnostic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(SynergyError, match="openocd is not installed"):
        flash("openocd", _target(), lambda _: None)
