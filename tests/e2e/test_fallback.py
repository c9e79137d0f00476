"""Images with several plans: devices that are lost and come back, over good links and bad ones.

Truth: the integer reference for every result, by whichever device it comes; what is sensed is delivered once
or counted as dropped. The times of a change are those of the emulated clock.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from synergyc.diagnostics import SynergyError
from synergyc.firmware.framing import console_line
from synergyc.manifest import read_manifest
from synergyc.pipeline.boards import BoardOptions, run_on_boards
from synergyc.pipeline.build import BuildOptions, build
from synergyc.pipeline.expectation import expectation, packed
from synergyc.pipeline.run import RunOptions, run
from synergyc.pipeline.scenario import Incident, Scenario
from synergyc.report.outcome import PlanPhase, RunOutcome
from tests.compilers import require_cross_compiler
from tests.e2e import endings
from tests.e2e.command import ROOT, synergyc
from tests.e2e.desk import board_that_says, desk

pytestmark = pytest.mark.e2e

_MS = 10**6
_RUNS = 60
_INFERENCE_MS = 1.5
"""Longest of the two networks (71,782 cycles at 50 MHz)."""


@pytest.fixture(scope="module")
def fallback_build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build folder of examples/fallback.yaml: two apps on two devices, or both at the wrist."""
    require_cross_compiler()
    folder = tmp_path_factory.mktemp("fallback") / "build"
    build(ROOT / "examples" / "fallback.yaml", folder, BuildOptions(self_test=True), lambda _: None)
    return folder


def _right(outcome: RunOutcome) -> RunOutcome:
    """Nothing may be wrong, and nothing lost without a count."""
    for app in outcome.apps:
        assert app.wrong == 0
        assert app.right > 0
        assert app.sent == app.right + app.dropped
    assert outcome.ok
    return outcome


def _phases(outcome: RunOutcome, app: str) -> list[PlanPhase]:
    return [phase for phase in outcome.phases if phase.app == app]


def test_the_manifest_says_which_plan_serves_whom(fallback_build: Path) -> None:
    manifest = read_manifest(fallback_build)
    assert {item.present: item.plan for item in manifest.alternatives} == {("wrist",): 1, ("chest",): 0}
    (chosen, alone) = manifest.image_plans
    assert {(app.app, app.sense) for app in chosen.apps} == {("digits", "wrist"), ("keywords", "chest")}
    assert {(app.app, app.sense) for app in alone.apps} == {("digits", "wrist"), ("keywords", "wrist")}
    assert [load.device for load in alone.loads] == ["wrist"]


def test_without_a_fault_no_plan_changes(fallback_build: Path) -> None:
    outcome = _right(run(fallback_build, RunOptions(_RUNS)))
    assert outcome.changes == ()
    assert outcome.phases == ()
    for app in outcome.apps:
        assert app.dropped == 0


def test_a_lost_device_is_served_for_until_it_is_back(fallback_build: Path) -> None:
    scenario = Scenario(incidents=(Incident("drop", "chest", 80 * _MS, 700 * _MS),))
    outcome = _right(run(fallback_build, RunOptions(200, scenario=scenario)))
    away, back = outcome.changes
    assert (away.device, away.plan, away.devices) == ("wrist", 1, ("wrist",))
    assert (back.device, back.plan, back.devices) == ("wrist", 0, ("chest", "wrist"))
    assert 0.08 + 0.4 < away.at_s < 0.08 + 0.6  # ten beats, then the time to settle
    assert 0.7 + 0.5 < back.at_s < 0.7 + 0.6
    for change in outcome.changes:  # beside the weights it waits for the inference that is under way
        assert 0.9 * change.predicted_ms < change.took_ms < 1.05 * change.predicted_ms + _INFERENCE_MS
    before, during, after = _phases(outcome, "keywords")
    assert [(phase.device, phase.plan) for phase in (before, during, after)] == [
        ("chest", 0),
        ("wrist", 1),
        ("chest", 0),
    ]
    assert during.throughput_hz > 0.95 * during.predicted_hz > 0


@pytest.mark.parametrize(
    "incidents",
    [
        (Incident("reset", "chest", 100 * _MS),),
        (Incident("brown-out", "wrist", 100 * _MS, 150 * _MS),),
        (Incident("stuck", "chest", 100 * _MS, 900 * _MS),),
        (Incident("drop", "wrist", 100 * _MS),),
        tuple(Incident("drop", "chest", at * _MS, (at + 480) * _MS) for at in (100, 700, 1300)),
    ],
    ids=["reset", "brown-out", "stuck", "for good", "flapping"],
)
def test_whatever_happens_nothing_is_wrong_or_lost(
    fallback_build: Path, incidents: tuple[Incident, ...]
) -> None:
    scenario = Scenario(loss=0.1, corrupt=0.01, seed=4, incidents=incidents)
    _right(run(fallback_build, RunOptions(_RUNS, scenario=scenario)))


def test_the_command_shows_plans_and_marks_them_in_the_timeline(fallback_build: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace.json"
    options = ("--runs", "40", "--drop-device", "chest@50ms", "--json", "--trace", str(trace))
    result = synergyc("run", str(fallback_build), *options)
    assert result.returncode == 0, result.stderr
    outcome = json.loads(result.stdout)
    (change,) = outcome["changes"]
    assert (change["device"], change["plan"]) == ("wrist", 1)
    assert {phase["plan"] for phase in outcome["phases"]} == {0, 1}
    names = {event["name"] for event in json.loads(trace.read_text())["traceEvents"]}
    assert "plan 1" in names


_STAR = """
synergy: 1
objective: throughput
devices:
  wrist: {board: max78000fthr, sensors: [camera], actuators: [led]}
  chest: {board: max78000fthr, actuators: [led]}
  belt: {board: max78002evkit, actuators: [led]}
links:
  - {between: [wrist, chest], medium: uart, rate_kbps: 921.6, secure: true}
  - {between: [wrist, belt], medium: uart, rate_kbps: 921.6}
apps:
  digits:
    sense: camera
    model: {python: "MODELS/digits.py:DigitsNet", weights: MODELS/data/digits.safetensors, input: [1, 28, 28]}
    quantize: {calibrate: MODELS/data/digits_calibration.npy, bits: 8}
    samples: MODELS/data/digits_test.npy
    interact: led
    split: 2
"""


@pytest.fixture(scope="module")
def star_build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that is cut between the wrist and one of two other devices, or runs at the wrist alone."""
    require_cross_compiler()
    folder = tmp_path_factory.mktemp("star")
    (folder / "star.yaml").write_text(_STAR.replace("MODELS", str(ROOT / "models")))
    build(folder / "star.yaml", folder / "build", BuildOptions(), lambda _: None)
    return folder / "build"


def test_hand_offs_go_to_whoever_is_there(star_build: Path) -> None:
    """Devices that are not joined to each other are lost one after the other, and come back."""
    manifest = read_manifest(star_build)
    plans = {item.present: item.plan for item in manifest.alternatives}
    (helper,) = {segment[0] for segment in manifest.image_plans[0].apps[0].segments} - {"wrist"}
    (other,) = {"chest", "belt"} - {helper}
    assert plans[tuple(name for name in ("wrist", "chest", "belt") if name != other)] == 0
    assert (
        len({0, plans[("wrist",)], plans[tuple(n for n in ("wrist", "chest", "belt") if n != helper)]}) == 3
    )
    incidents = (
        Incident("drop", helper, 80 * _MS, 1500 * _MS),
        Incident("drop", other, 800 * _MS, 1900 * _MS),
    )
    outcome = _right(run(star_build, RunOptions(700, scenario=Scenario(loss=0.05, incidents=incidents))))
    with_other, alone = plans[tuple(n for n in ("wrist", "chest", "belt") if n != helper)], plans[("wrist",)]
    assert [c.plan for c in outcome.changes if c.device == "wrist"] == [with_other, alone, 0]
    assert {phase.plan for phase in outcome.phases} == {0, with_other, alone}


_SCENE = """
synergy: 1
devices:
  wrist: {board: max78000fthr, sensors: [camera], actuators: [display]}
  chest: {board: max78002evkit, sensors: [camera], actuators: [display]}
links:
  - {between: [wrist, chest], medium: uart, rate_kbps: 921.6}
apps:
  scene:
    sense: {sensor: camera, driver: host, rate_hz: 40}
    model: {exported: scene.pt2}
    quantize: {calibrate: samples.npy}
    samples: samples.npy
    interact: display
    split: 2
"""


def test_either_device_takes_over_preparation_network_and_tail(tmp_path: Path) -> None:
    """Bytes from a host are normalized where they are sensed, probabilities made where they are shown."""
    require_cross_compiler()
    torch.manual_seed(0)
    pixels = torch.zeros((1, 9, 7, 3), dtype=torch.uint8)
    torch.export.save(torch.export.export(endings.Scene().eval(), (pixels,)), tmp_path / "scene.pt2")
    samples = np.random.default_rng(0).integers(0, 256, (6, 9, 7, 3)).astype(np.uint8)
    np.save(tmp_path / "samples.npy", samples)
    (tmp_path / "scene.yaml").write_text(_SCENE)
    (app,) = build(tmp_path / "scene.yaml", tmp_path / "build", BuildOptions(), lambda _: None).apps
    assert (app.preparation[-1], app.tail) == ("normalize", ("softmax",))
    senses, shows = app.sense["on"], app.interact["on"]
    assert senses != shows
    incidents = (Incident("drop", shows, 80 * _MS, 700 * _MS), Incident("drop", senses, 1500 * _MS))
    outcome = _right(
        run(tmp_path / "build", RunOptions(80, scenario=Scenario(loss=0.05, incidents=incidents)))
    )
    phases = _phases(outcome, "scene")
    plans = {item.present: item.plan for item in read_manifest(tmp_path / "build").alternatives}
    assert [(phase.device, phase.plan) for phase in phases if phase.results > 1] == [
        (shows, 0),
        (senses, plans[(senses,)]),
        (shows, 0),
        (shows, plans[(shows,)]),
    ]


def test_boards_on_a_desk_are_judged_under_each_plan(fallback_build: Path) -> None:
    """Keywords come from the chest's microphone, from the wrist's, and from the chest's again."""
    scenario = Scenario(incidents=(Incident("drop", "chest", 80 * _MS, 300 * _MS),))
    with desk(fallback_build, scenario=scenario) as ports:
        outcome = run_on_boards(fallback_build, BoardOptions(ports, 150, silence_s=60.0))
    _right(outcome)
    digits, keywords = sorted(outcome.apps, key=lambda app: app.name)
    assert digits.right == keywords.right == 150


def test_a_desk_needs_the_consoles_of_all_plans(fallback_build: Path) -> None:
    with pytest.raises(SynergyError, match=r"app 'keywords' needs the console of device 'chest'"):
        run_on_boards(fallback_build, BoardOptions({"wrist": "/dev/none"}))


def _said(folder: Path, device: str, *lines: tuple[str, ...]) -> bytes:
    plan = f"{read_manifest(folder).plan_id:08x}"
    identity = console_line("I", device, plan, "50000000", "7")
    return "".join([identity, *(console_line(*line) for line in lines)]).encode()


def _results(folder: Path, name: str) -> list[tuple[str, ...]]:
    """Return the fields of right result lines of an app, for its first runs."""
    app = next(item for item in read_manifest(folder).apps if item.name == name)
    expected = expectation(folder, app, 8)
    outputs = [packed(output, expected).hex() for output in expected.outputs]
    return [("R", name, str(run), outputs[run % len(outputs)]) for run in range(8)]


def test_devices_that_sense_in_turn_count_their_own_runs(fallback_build: Path) -> None:
    """The chest's runs 2 to 4 never came; the wrist has runs of the same numbers."""
    right = {app: _results(fallback_build, app) for app in ("digits", "keywords")}
    runs = right["keywords"]
    chest = _said(fallback_build, "chest", runs[0], runs[1], runs[5], runs[6])
    fallen_back = ("V", "1", "1", "0", "9")
    wrist = _said(fallback_build, "wrist", fallen_back, runs[0], runs[1], runs[2], right["digits"][0])
    with board_that_says(chest) as first, board_that_says(wrist) as second:
        options = BoardOptions({"chest": first, "wrist": second}, 9, silence_s=0.3)
        outcome = run_on_boards(fallback_build, options)
    judged = {app.name: (app.sent, app.right, app.wrong, app.dropped) for app in outcome.apps}
    assert judged == {"digits": (1, 1, 0, 0), "keywords": (10, 7, 0, 3)}
