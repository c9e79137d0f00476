"""What of the tools around synergyc is there: compiler, the vendor's generator and SDK, programmers."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from synergyc.diagnostics import SynergyError
from synergyc.firmware.msdk import find_sdk
from synergyc.synth.izer import PINNED_COMMIT, find_izer
from synergyc.toolchain import find_cross_compiler

_FLASH_TOOLS = {
    "openocd": ("openocd", "--version"),
    "pyOCD": ("pyocd", "--version"),
}
"""Runners of `synergyc flash` that are programs, and the argument that makes them tell their version."""
_VERSION = re.compile(r"\d+(?:\.\d+)+(?:[-+.\w]*)")
_ANSWER_TIMEOUT_S = 20.0


@dataclass(frozen=True)
class ToolStatus:
    """One tool: ``status`` is ``found``, ``missing``, or ``other`` for a version that was not tried.

    ``purpose`` says which commands use it, ``note`` what is wrong or what to do.
    """

    name: str
    purpose: str
    status: str
    path: str = ""
    version: str = ""
    note: str = ""

    def to_json(self) -> dict[str, str]:
        """Return the fields by name."""
        return asdict(self)


def toolchain_status() -> tuple[ToolStatus, ...]:
    """Return the state of every tool; asks the programs themselves for their versions."""
    return (_compiler(), _izer(), _sdk(), *_flash_tools())


def _compiler() -> ToolStatus:
    purpose = "build, kat, verify"
    try:
        compiler = find_cross_compiler()
    except SynergyError as error:
        return _missing("arm-none-eabi-gcc", purpose, error)
    return ToolStatus("arm-none-eabi-gcc", purpose, "found", str(compiler.gcc), compiler.version)


def _izer() -> ToolStatus:
    purpose = "the izer engine"
    try:
        izer = find_izer()
    except SynergyError as error:
        return _missing("ai8x-synthesis", purpose, error)
    version = izer.version()
    if PINNED_COMMIT.startswith(version):
        return ToolStatus("ai8x-synthesis", purpose, "found", str(izer.folder), version)
    note = f"comparisons were made with {PINNED_COMMIT[:12]}"
    return ToolStatus("ai8x-synthesis", purpose, "other", str(izer.folder), version, note)


def _missing(name: str, purpose: str, error: SynergyError) -> ToolStatus:
    item = error.diagnostics[0]
    note = item.message + (f" ({item.hint})" if item.hint else "")
    return ToolStatus(name, purpose, "missing", note=note)


def _sdk() -> ToolStatus:
    purpose = "build --port msdk"
    try:
        folder = find_sdk()
    except SynergyError as error:
        return _missing("MSDK", purpose, error)
    return ToolStatus("MSDK", purpose, "found", str(folder))


def _flash_tools() -> Iterator[ToolStatus]:
    for name, (program, question) in _FLASH_TOOLS.items():
        path = shutil.which(program)
        if path is None:
            yield ToolStatus(name, "flash", "missing", note=f"{program} is not on PATH")
            continue
        yield ToolStatus(name, "flash", "found", path, _answer([path, question]))


def _answer(command: list[str]) -> str:
    """Return the version in what a program says, empty if there is none."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=_ANSWER_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = _VERSION.search(done.stdout + done.stderr)
    return found[0] if found else ""
