"""The C compilers that tests need; without one, what needs it is skipped."""

from __future__ import annotations

import shutil

import pytest

from synergyc.toolchain import cross_tool

_REASON = "there is no cross-compiler (arm-none-eabi-gcc)"

NEEDS_CROSS_COMPILER = pytest.mark.skipif(shutil.which(cross_tool("gcc")) is None, reason=_REASON)
"""Of tests that compile for Arm."""


def require_cross_compiler() -> None:
    """Skip the test, or all that use the fixture, if nothing can be compiled for Arm."""
    if shutil.which(cross_tool("gcc")) is None:
        pytest.skip(_REASON)


def host_compiler() -> str:
    """Return a C compiler for this machine; skips without one."""
    found = shutil.which("gcc") or shutil.which("cc")
    if found is None:
        pytest.skip("there is no C compiler for this machine")
    return found
