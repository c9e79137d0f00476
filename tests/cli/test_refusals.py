"""How refusals are shown: one table for a model's layers, one line for anything else."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rich.table import Table

from synergyc.cli.console import table_console
from synergyc.cli.refusals import show
from synergyc.diagnostics import Diagnostic, Location

LAYERS = [
    Diagnostic("conv2d-kernel", "kernel", Location("net.py", 7), "stem", "4x4", "1x1 or 3x3", "use 3x3"),
    Diagnostic("channels", "too many", Location("net.py", 9), "head", "2000", "at most 1024", "use 3x3"),
]


def test_several_layers_are_one_table_with_each_hint_once(capsys: pytest.CaptureFixture[str]) -> None:
    show(LAYERS)
    out, shown = capsys.readouterr()
    assert out == ""
    (stem,) = [line for line in shown.splitlines() if "net.py:7" in line]
    assert all(part in stem for part in ("stem", "kernel [conv2d-kernel]", "4x4", "1x1 or 3x3"))
    assert shown.count("use 3x3") == 1
    assert "hint (stem, head): use 3x3" in shown
    assert shown.endswith("2 errors\n")


def test_columns_of_numbers_are_there_only_if_there_are_some(capsys: pytest.CaptureFixture[str]) -> None:
    show([replace(item, need=None, have=None) for item in LAYERS])
    shown = capsys.readouterr().err
    assert "kernel" in shown
    assert "need" not in shown


def test_pipes_get_tables_in_which_nothing_is_cut(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    table = Table("device", "unit", "us")
    table.add_row("w" * 32, "accelerator", "1.0")
    table.add_row("c" * 32, "x" * 70, "1.0")
    table_console().print(table)
    assert "x" * 70 in capsys.readouterr().out


def test_one_reason_is_shown_as_a_diagnostic(capsys: pytest.CaptureFixture[str]) -> None:
    show(LAYERS[:1])
    assert capsys.readouterr().err == LAYERS[0].render() + "\n"
