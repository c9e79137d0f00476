"""``synergyc flash`` on a build, without a probe."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.command import synergyc


@pytest.mark.e2e
def test_dry_run_prints_a_command_for_each_device(digits_build: Path) -> None:
    result = synergyc("flash", str(digits_build), "--dry-run")
    assert result.returncode == 0, result.stderr
    assert len(result.stdout.splitlines()) == 2
    assert str(digits_build / "chest" / "chest.elf") in result.stdout
    result = synergyc("flash", str(digits_build), "--device", "wirst", "--dry-run")
    assert result.returncode == 1
    assert "wrist" in result.stderr


@pytest.mark.e2e
def test_the_commands_as_json(digits_build: Path) -> None:
    result = synergyc(
        "flash", str(digits_build), "--device", "chest", "--runner", "pyocd", "--dry-run", "--json"
    )
    document = json.loads(result.stdout)
    (chest,) = document["devices"]
    assert (document["ok"], document["written"], chest["device"]) == (True, False, "chest")
    assert [step["command"][:2] for step in chest["steps"]][-1] == ["pyocd", "reset"]
    assert [step["readable"] for step in chest["steps"]] == [True, False, None, None]
