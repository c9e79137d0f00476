"""Numbers and files on the command line: what is refused before any work, and a disk that is full."""

from __future__ import annotations

import errno
import io
import json
import os
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from synergyc.cli import main as entry
from synergyc.cli import run, train


class Full(io.StringIO):
    """A standard output that takes nothing."""

    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--loss", "nan", "not a finite number"),
        ("--limit-s", "inf", "not a finite number"),
        ("--limit-s", "nan", "not a finite number"),
        ("--trace", "gone/trace.json", "there is no folder 'gone'"),
        ("--trace", ".", "is a folder"),
    ],
)
def test_run_refuses_before_it_looks_for_a_build(option: str, value: str, said: str) -> None:
    result = CliRunner().invoke(run.command, ["no-build", option, value])
    assert result.exit_code == 2
    assert said in result.output


def test_training_does_not_begin_without_a_place_for_its_result() -> None:
    options = ["--data", "x.npy", "--labels", "y.npy", "-o", "gone/out.safetensors"]
    result = CliRunner().invoke(train.command, ["net.py:Net", *options])
    assert result.exit_code == 2
    assert "there is no folder 'gone'" in result.output


def test_a_full_disk_is_a_diagnostic(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def fill(**_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(tmp_path / "wrist.elf"))

    monkeypatch.setattr(entry, "cli", fill)
    monkeypatch.setattr(sys, "argv", ["synergyc", "build", "--json"])
    with pytest.raises(SystemExit) as caught:
        entry.main()
    assert caught.value.code == 1
    out, shown = capsys.readouterr()
    assert json.loads(out)["diagnostics"][0]["rule"] == "file-system"
    assert shown == f"{tmp_path}/wrist.elf: error: No space left on device [file-system]\n"
    monkeypatch.setattr(sys, "stdout", Full())
    with pytest.raises(SystemExit):
        entry.main()
    assert "[file-system]" in capsys.readouterr().err
