"""The vendor's SDK for the ``msdk`` port: where it is, and which of its sources a chip's firmware needs.

Nothing of it is copied: its sources are compiled where they are.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from synergyc.diagnostics import SynergyError, fail, file_location
from synergyc.toolchain import Library

SDK_VARIABLE = "MAXIM_PATH"
"""The SDK's own environment variable for its folder."""

_DRIVERS = ("SYS", "DMA", "GPIO", "ICC", "TMR", "TRNG", "UART", "WDT")
"""Groups of the SDK's peripheral drivers that the port, or another of them, calls."""

_SOURCE = re.compile(r"C_FILES \+= \$\(SOURCE_DIR\)/(\w+)/(\w+\.c)")
_HINT = f"set {SDK_VARIABLE} to the folder of the vendor's SDK (github.com/analogdevicesinc/msdk)"
_CORE_HEADER = "core_cm4.h"
_REVISION = "0x4131"
"""TARGET_REV of the SDK's makefiles: revision A1 of either chip."""


def find_sdk() -> Path:
    """Return the folder that MAXIM_PATH names; raises SynergyError (``sdk``) if it is not an SDK."""
    name = os.environ.get(SDK_VARIABLE)
    if not name:
        raise fail("sdk", f"{SDK_VARIABLE} is not set", hint=_HINT)
    if not (Path(name) / "Libraries" / "CMSIS").is_dir():
        raise fail("sdk", f"{SDK_VARIABLE} does not name an SDK: {name}", hint=_HINT)
    return Path(name)


def sdk_library(part: str) -> Library:
    """Return what the SDK gives to firmware for the chip ``part`` (``MAX78000``): drivers and headers.

    Raises SynergyError (``sdk``): no SDK, or one without a file that is needed.
    """
    root = find_sdk() / "Libraries"
    drivers, device = root / "PeriphDrivers", root / "CMSIS" / "Device" / "Maxim" / part
    listed = _SOURCE.findall(_text(drivers / f"{part.lower()}_files.mk", part))
    sources = [drivers / "Source" / group / name for group, name in listed if group in _DRIVERS]
    sources.append(device / "Source" / f"system_{part.lower()}.c")
    core = _core_headers(root / "CMSIS")
    for path in (*sources, core / _CORE_HEADER):
        if not path.is_file():
            raise _lacks(path, part)
    groups = (drivers / "Source" / name for name in _DRIVERS)
    include = (drivers / "Include" / part, device / "Include", core, *groups)
    defines = (("TARGET", part), ("TARGET_NUM", part.removeprefix("MAX")), ("TARGET_REV", _REVISION))
    return Library(tuple(sources), include, defines)


def _core_headers(cmsis: Path) -> Path:
    """Return the folder of Arm's headers: older SDKs have one version, newer ones name it."""
    newer = sorted(path.parent for path in cmsis.glob(f"*/Core/Include/{_CORE_HEADER}"))
    return newer[-1] if newer else cmsis / "Include"


def _text(path: Path, part: str) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise _lacks(path, part) from error


def _lacks(path: Path, part: str) -> SynergyError:
    return fail(
        "sdk",
        f"the SDK that {SDK_VARIABLE} names lacks a file for the {part}",
        location=file_location(path),
        hint=_HINT,
    )
