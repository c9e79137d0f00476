"""``synergyc plan`` with a network that needs no training; the planning itself is tested elsewhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from synergyc.cli.plan import command
from synergyc.config import System
from synergyc.diagnostics import SynergyError
from synergyc.pipeline import build
from synergyc.pipeline.problem import plan_problem
from synergyc.plan.selector import PlanResult, choose
from tests.config.files import GOOD, write
from tests.plan.problems import chain
from tests.plan.test_selector import at_most


def plan_system(
    system: System, options: build.BuildOptions, progress: build.Progress
) -> tuple[dict[str, object], PlanResult]:
    progress("choose a plan")
    goal = options.objective or "throughput"
    return {}, choose(plan_problem(system), {"digits": chain("n", (1, 8, 4))}, at_most(1), goal)


@pytest.fixture
def app_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(build, "plan_system", plan_system)
    return str(write(tmp_path, GOOD))


def test_json_is_alone_on_standard_output(app_file: str) -> None:
    result = CliRunner().invoke(command, [app_file, "--json", "--objective", "latency"])
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    assert document["plan"]["objective"] == "latency"
    assert "choose a plan" in result.stderr


def test_tables(app_file: str) -> None:
    result = CliRunner().invoke(command, [app_file, "--quiet"])
    assert result.exit_code == 0
    assert "wrist -> chest" in result.stdout
    assert result.stderr == ""


def test_wrong_file_is_a_diagnostic(tmp_path: Path) -> None:
    result = CliRunner().invoke(command, [str(tmp_path / "none.yaml")])
    assert isinstance(result.exception, SynergyError)
    assert result.stdout == ""


def test_wrong_usage(app_file: str) -> None:
    assert CliRunner().invoke(command, [app_file, "--objective", "speed"]).exit_code == 2
