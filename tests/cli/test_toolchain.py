"""``synergyc toolchain``: what status tells, and how a failed installation ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from synergyc.pipeline import toolchain
from tests.e2e.command import synergyc


def test_status_names_every_tool(tmp_path: Path) -> None:
    (tmp_path / "ai8xize.py").touch()
    environment = {"AI8X_SYNTHESIS_DIR": str(tmp_path), "MAXIM_PATH": str(tmp_path)}
    result = synergyc("toolchain", "status", "--json", env=environment)
    assert result.returncode == 0, result.stderr
    tools = {tool["name"]: tool for tool in json.loads(result.stdout)["tools"]}
    assert {"arm-none-eabi-gcc", "ai8x-synthesis", "MSDK", "openocd"} <= set(tools)
    assert (tools["ai8x-synthesis"]["status"], tools["ai8x-synthesis"]["version"]) == ("other", "unknown")
    assert tools["MSDK"]["status"] == "missing"
    assert "does not name an SDK" in tools["MSDK"]["note"]


def test_versions_are_what_programs_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "openocd"
    program.write_text("#!/bin/sh\necho 'Open On-Chip Debugger 0.12.0+dev-1' >&2\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    tools = {tool.name: tool for tool in toolchain.toolchain_status()}
    assert (tools["openocd"].status, tools["openocd"].version) == ("found", "0.12.0+dev-1")
    assert tools["arm-none-eabi-gcc"].status == "missing"


def test_a_failed_installation_is_a_diagnostic(tmp_path: Path) -> None:
    environment = {"SYNERGYC_HOME": str(tmp_path / "home")}
    missing = f"file://{tmp_path}/gone.git"
    result = synergyc("toolchain", "install", "ai8x", "--from", missing, "--json", env=environment)
    assert result.returncode == 1
    assert "cannot be fetched" in json.loads(result.stdout)["diagnostics"][0]["message"]
    assert "Traceback" not in result.stderr
    assert synergyc("toolchain", "install", "other", env=environment).returncode == 2
