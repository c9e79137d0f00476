"""Replicas: one network on three devices that get its runs in turn, over good links and bad ones.

Truth: the integer reference for every result; and what is sensed is delivered once or counted as dropped.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from synergyc.manifest import read_manifest
from synergyc.pipeline.boards import BoardOptions, run_on_boards
from synergyc.pipeline.build import BuildOptions, build
from synergyc.pipeline.report import build_report
from synergyc.pipeline.run import RunOptions, run
from synergyc.pipeline.scenario import Incident, Scenario
from synergyc.report.html import html_report
from synergyc.report.outcome import AppOutcome, RunOutcome
from tests.compilers import require_cross_compiler
from tests.e2e.command import ROOT
from tests.e2e.desk import desk

pytestmark = pytest.mark.e2e

_MS = 10**6
_LOST_MS = 200
_BACK_MS = 700


@pytest.fixture(scope="module")
def replicas_build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build folder of examples/replicas.yaml, the wrist and two helpers, with samples from a host."""
    require_cross_compiler()
    folder = tmp_path_factory.mktemp("replicas")
    text = (ROOT / "examples" / "replicas.yaml").read_text().replace("../models", str(ROOT / "models"))
    assert "sense: camera\n" in text
    text = text.replace("sense: camera\n", "sense: {sensor: camera, driver: host}\n")
    (folder / "app.yaml").write_text(text)
    build(folder / "app.yaml", folder / "build", BuildOptions(self_test=True), lambda _: None)
    return folder / "build"


def _right(outcome: RunOutcome) -> AppOutcome:
    """Nothing may be wrong, and nothing lost without a count."""
    (app,) = outcome.apps
    assert outcome.ok
    assert app.wrong == 0
    assert app.sent == app.right + app.dropped
    return app


def test_the_manifest_says_who_takes_turns(replicas_build: Path) -> None:
    manifest = read_manifest(replicas_build)
    (app,) = manifest.apps
    assert app.replicas == ("wrist", "chest", "belt")
    assert app.cut_after == ()
    assert {device.name: len(device.segments) for device in manifest.devices} == {
        "wrist": 1,
        "chest": 1,
        "belt": 1,
    }
    assert app.predicted.throughput_hz > 2 * 29  # what one of these chips infers


def test_the_report_plays_replicas(replicas_build: Path) -> None:
    report = build_report(replicas_build, runs=0)
    runs = [span.run for span in report.schedule.spans if span.task == "infer"]
    assert sorted(runs) == list(range(max(runs) + 1))
    assert report.schedule.apps["warmth"].throughput_hz > 2 * 29
    assert "runs in turn on wrist, chest, belt" in html_report(report)


def test_frames_that_are_lost_or_damaged_cost_no_run(replicas_build: Path) -> None:
    outcome = run(replicas_build, RunOptions(24, scenario=Scenario(loss=0.1, corrupt=0.01, seed=3)))
    app = _right(outcome)
    assert (app.sent, app.dropped) == (24, 0)
    units = [unit for device in outcome.devices for unit in device.units if unit.unit == "accelerator"]
    assert len(units) == 3
    assert all(unit.busy > 0.5 for unit in units)


def test_a_host_feeds_boards_with_replicas(replicas_build: Path) -> None:
    """Only the wrist's console is needed: it senses and shows, under every plan."""
    with desk(replicas_build) as ports:
        outcome = run_on_boards(replicas_build, BoardOptions({"wrist": ports["wrist"]}, 6, silence_s=60.0))
    assert [(app.sent, app.right, app.dropped) for app in outcome.apps] == [(6, 6, 0)]
    assert outcome.ok


def test_runs_of_a_lost_replica_are_dropped_and_counted(replicas_build: Path) -> None:
    """Until the plan without it comes into force, and again from when it is back."""
    scenario = Scenario(incidents=(Incident("drop", "chest", _LOST_MS * _MS, _BACK_MS * _MS),))
    outcome = run(replicas_build, RunOptions(80, scenario=scenario))
    app = _right(outcome)
    assert app.sent == 80
    assert 0 < app.dropped < 30
    assert [change.plan for change in outcome.changes if change.device == "wrist"] == [1, 0]
