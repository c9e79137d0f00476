"""The command as users and scripts see it: output streams, JSON document, exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from synergyc.cli.main import cli
from synergyc.diagnostics import SynergyError
from tests.compilers import NEEDS_CROSS_COMPILER
from tests.emulate.kat.projects import hand_worked, write_project


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write_project(hand_worked(), tmp_path / "tiny")


def kat(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["kat", *map(str, arguments)])


@NEEDS_CROSS_COMPILER
def test_console_alone_goes_to_standard_output(project: Path) -> None:
    result = kat(project, "--device", "MAX78000")
    assert result.exit_code == 0
    assert result.stdout == "Waiting...\n\n*** PASS ***\n\n"
    assert result.stderr.startswith("pass: 1 accelerator run(s), 187 cycles")


@NEEDS_CROSS_COMPILER
def test_json_document(project: Path) -> None:
    result = kat(project, "--device", "max78000", "--json")
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    assert document["status"] == "pass"
    assert document["device"] == "MAX78000"
    assert document["cycles"] == 187
    assert document["console"] == "Waiting...\n\n*** PASS ***\n\n"
    (layer,) = document["layers"]
    assert layer["layer"] == 0
    assert layer["cycles"] == 186
    assert "3x3" in layer["summary"]
    assert document["diagnostics"] == []


@NEEDS_CROSS_COMPILER
def test_failure(project: Path) -> None:
    main = project / "main.c"
    main.write_text(main.read_text().replace("word[1]) != word[2]", "word[1]) == word[2]"))
    result = kat(project, "--device", "MAX78000", "--json")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert document["status"] == "fail"
    assert [item["rule"] for item in document["diagnostics"]] == ["kat-answer"]
    assert "[kat-answer]" in result.stderr


@NEEDS_CROSS_COMPILER
def test_layer_trace_goes_to_standard_error(project: Path) -> None:
    result = kat(project, "--device", "MAX78000", "--trace", "layers")
    assert result.exit_code == 0
    assert "layer   0:        186 cycles" in result.stderr
    assert "cycles" not in result.stdout


@NEEDS_CROSS_COMPILER
def test_limit(project: Path) -> None:
    result = kat(project, "--device", "MAX78000", "--limit-s", "0.5", "--json")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert document["status"] == "hang"
    assert document["time_s"] == pytest.approx(0.5)


@NEEDS_CROSS_COMPILER
def test_keep(project: Path) -> None:
    result = kat(project, "--device", "MAX78000", "--keep")
    assert result.exit_code == 0
    assert (project / "build-kat" / "kat.elf").is_file()
    assert kat(project, "--device", "MAX78000").exit_code == 0, "what was kept must not disturb the next run"


@NEEDS_CROSS_COMPILER
def test_nothing_can_be_kept(project: Path) -> None:
    (project / "build-kat").write_text("in the way")
    result = kat(project, "--device", "MAX78000", "--keep", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["diagnostics"][0]["rule"] == "kat-keep"


@pytest.mark.parametrize(
    ("change", "device", "status", "rule"),
    [
        ("main_riscv.c", "MAX78000", "not_modelled", "kat-riscv"),
        (None, "MAX78002", "fail", "kat-device"),
        (None, "MAX78003", "fail", "unknown-target"),
    ],
)
def test_refusals_are_json_too(
    project: Path, change: str | None, device: str, status: str, rule: str
) -> None:
    if change:
        (project / change).write_text("int nothing;\n")
    result = kat(project, "--device", device, "--json")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert document["status"] == status
    assert document["layers"] == []
    assert [item["rule"] for item in document["diagnostics"]] == [rule]
    assert f"[{rule}]" in result.stderr


def test_refusal_without_json(tmp_path: Path) -> None:
    result = kat(tmp_path / "nowhere", "--device", "MAX78000")
    assert result.exit_code == 1
    assert isinstance(result.exception, SynergyError), "main() prints it"
    assert "no such project folder" in str(result.exception)


@pytest.mark.parametrize(
    "arguments", [["--device", "MAX78000"], ["."], [".", "--device", "MAX78000", "--limit-s", "0"]]
)
def test_wrong_usage(arguments: list[str]) -> None:
    assert kat(*arguments).exit_code == 2
