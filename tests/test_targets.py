"""Target files: all load, and names that are no targets are refused, whatever they would mean as paths."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from synergyc.diagnostics import SynergyError
from synergyc.targets import data_folder, files, known, load_board, load_chip, load_medium, load_runtime


def test_every_target_loads_under_its_own_name() -> None:
    assert [load_chip(name).name for name in known("chips")] == ["max78000", "max78002"]
    assert {load_board(name).chip for name in known("boards")} <= set(known("chips"))
    assert [load_medium(name).name for name in known("links")] == list(known("links"))
    assert load_runtime().seal.overhead_bytes > 0
    assert load_board("MAX78000FTHR") == load_board("max78000fthr")


@pytest.mark.parametrize("name", ["", "../max78000", "max78000", "m" * 5000, "max\0", "."])
def test_a_name_that_is_no_board_is_refused(name: str) -> None:
    with pytest.raises(SynergyError, match=r"board must be a known one.*\[unknown-target\]"):
        load_board(name)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("name: [", "expected the node content"),
        ("name: uart\nname: uart\n", "duplicate key"),
        ("name: uart\nspeed: 3\n", "speed"),
        ("mtu_bytes: '244'\n", "valid integer"),
        ("", "valid dictionary"),
        ("name: \0", "special characters"),
    ],
)
def test_a_damaged_file_is_named(
    text: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    targets = tmp_path / "targets"
    shutil.copytree(data_folder("targets"), targets)
    (targets / "links" / "torn.yaml").write_text(text)
    monkeypatch.setattr(files, "data_folder", lambda name: tmp_path / name)
    with pytest.raises(SynergyError) as caught:
        load_medium("torn")
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.rule == "target-file"
    assert reason in diagnostic.message
    assert diagnostic.location is not None
    assert Path(diagnostic.location.file) == targets / "links" / "torn.yaml"
