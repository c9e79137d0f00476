"""A build over bad links and with devices that come and go.

Truth: the integer reference for every result; and what is sensed is delivered once or counted as dropped.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from synergyc.diagnostics import SynergyError
from synergyc.pipeline.run import RunOptions, run
from synergyc.pipeline.scenario import Incident, Scenario
from synergyc.report.outcome import AppOutcome, RunOutcome
from tests.e2e.command import synergyc

pytestmark = pytest.mark.e2e

_MS = 10**6
_RUNS = 40
"""At 275 runs a second these end 150 ms after the links are up, about 25 ms after power-up."""


def _accounted(outcome: RunOutcome) -> AppOutcome:
    """Return the app's outcome; nothing may be wrong, nothing lost without a count."""
    (app,) = outcome.apps
    assert outcome.ok
    assert app.wrong == 0
    assert app.right > 0
    assert app.sent == app.right + app.dropped
    return app


def test_lost_and_damaged_frames_are_sent_again(digits_build: Path) -> None:
    outcome = run(digits_build, RunOptions(_RUNS, scenario=Scenario(loss=0.1, corrupt=0.01, seed=3)))
    app = _accounted(outcome)
    assert (app.sent, app.dropped) == (_RUNS, 0)
    assert sum(device.resent_frames for device in outcome.devices) > 0


def test_one_seed_gives_one_outcome(digits_build: Path) -> None:
    options = RunOptions(10, scenario=Scenario(loss=0.2, seed=5))
    assert run(digits_build, options) == run(digits_build, options)


@pytest.mark.parametrize(
    "incident",
    [
        Incident("drop", "chest", 80 * _MS, 700 * _MS),
        Incident("brown-out", "wrist", 80 * _MS, 130 * _MS),
        Incident("reset", "chest", 80 * _MS),
        Incident("stuck", "chest", 80 * _MS, 700 * _MS),
    ],
    ids=lambda incident: incident.kind,
)
def test_a_device_that_comes_back_goes_on(digits_build: Path, incident: Incident) -> None:
    outcome = run(digits_build, RunOptions(_RUNS, scenario=Scenario(incidents=(incident,))))
    app = _accounted(outcome)
    assert app.sent >= _RUNS  # a sensor that was reset begins again
    assert app.right > _RUNS // 2
    devices = {device.name: device for device in outcome.devices}
    assert devices[incident.device].boots == (1 if incident.kind == "stuck" else 2)


def test_runs_after_a_device_is_lost_for_good_are_dropped_and_counted(digits_build: Path) -> None:
    outcome = run(
        digits_build, RunOptions(_RUNS, scenario=Scenario(incidents=(Incident("drop", "chest", 80 * _MS),)))
    )
    app = _accounted(outcome)
    assert app.sent == _RUNS
    assert app.dropped > 0


def test_parallel_execution_beats_sequential_execution(digits_build: Path) -> None:
    """The paper's own comparison. One run alone takes the sum of all units, many the slowest unit's time."""
    parallel = run(digits_build, RunOptions(_RUNS))
    sequential = run(digits_build, RunOptions(8, sequential=True))
    (one,), (other,) = parallel.apps, sequential.apps
    assert parallel.ok
    assert sequential.ok
    assert one.throughput_hz > 1.2 * other.throughput_hz
    assert one.throughput_hz > 0.95 * parallel.bound_hz
    assert parallel.energy_uj == pytest.approx(one.predicted_energy_uj, rel=0.1)
    assert other.latency is not None
    assert other.latency.p50_ms == pytest.approx(other.predicted_latency_ms, rel=0.1)


def test_own_samples_are_replayed(digits_build: Path, tmp_path: Path) -> None:
    shape = json.loads((digits_build / "manifest.json").read_text())["apps"][0]["input"]["shape"]
    samples = np.random.default_rng(1).integers(-128, 128, (3, *shape), dtype=np.int8)
    np.save(tmp_path / "own.npy", samples)
    outcome = run(digits_build, RunOptions(6, inputs={"digits": tmp_path / "own.npy"}))
    assert outcome.ok
    assert outcome.apps[0].right == 6


def test_inputs_that_do_not_fit_are_refused(digits_build: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "own.npy", np.zeros((2, 3, 4), dtype=np.int8))
    with pytest.raises(SynergyError, match="shape"):
        run(digits_build, RunOptions(2, inputs={"digits": tmp_path / "own.npy"}))
    with pytest.raises(SynergyError, match="no app"):
        run(digits_build, RunOptions(2, inputs={"digit": tmp_path / "own.npy"}))


def test_the_command_takes_faults_and_writes_a_timeline(digits_build: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace.json"
    faults = ("--loss", "0.05", "--corrupt", "0.001", "--delay", "1ms", "--seed", "2")
    result = synergyc("run", str(digits_build), "--runs", "6", "--json", "--trace", str(trace), *faults)
    assert result.returncode == 0, result.stderr
    outcome = json.loads(result.stdout)
    app = outcome["apps"]["digits"]
    assert set(app) >= {"sent", "right", "wrong", "dropped", "throughput_hz", "latency_ms"}
    assert 0 < app["latency_ms"]["p50"] <= app["latency_ms"]["p95"] <= app["latency_ms"]["max"]
    assert set(outcome["predicted"]["digits"]) >= {"throughput_hz", "latency_ms"}
    assert all(0 <= unit["busy"] <= 1 for units in outcome["units"].values() for unit in units.values())
    assert outcome["bound_hz"] > 0
    events = json.loads(trace.read_text())["traceEvents"]
    names = {event["args"]["name"] for event in events if event["ph"] == "M"}
    assert {"wrist", "chest", "CPU", "accelerator"} <= names
    assert any(event["ph"] == "X" and event["dur"] > 0 for event in events)


@pytest.mark.parametrize(
    "options",
    [
        ("--loss", "2"),
        ("--loss", "0.6", "--corrupt", "0.6"),
        ("--drop-device", "chest"),
        ("--stuck", "chest@1s"),
        ("--delay", "soon"),
        ("--input", "digits"),
        ("--sequential", "--reset", "chest@1s"),
    ],
)
def test_wrong_options_are_wrong_usage(tmp_path: Path, options: tuple[str, ...]) -> None:
    assert synergyc("run", str(tmp_path), *options).returncode == 2


def test_an_unknown_device_is_a_diagnostic(digits_build: Path) -> None:
    with pytest.raises(SynergyError, match="no device 'chst'"):
        run(digits_build, RunOptions(1, scenario=Scenario(incidents=(Incident("reset", "chst", 0),))))


def test_incidents_after_the_last_result_are_noted(digits_build: Path) -> None:
    """Two runs are over 60 ms after power-up: what an example does after 2 s would prove nothing."""
    result = synergyc(
        *("run", str(digits_build), "--runs", "2", "-q", "--json"),
        *("--stuck", "chest@100ms..101ms", "--stuck", "wrist@10ms..11ms"),
    )
    assert result.returncode == 0, result.stderr
    (late,) = json.loads(result.stdout)["late"]
    assert late.startswith("chest, stuck at 0.100 s: the last result came at 0.0")
    assert f"note: {late}" in result.stderr
