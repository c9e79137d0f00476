"""The example app files build and run as they are.

Truth: the integer reference for every result; for the plan's schedule, what the emulated devices do.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import pytest

from synergyc.config import load
from synergyc.pipeline.build import BuildOptions, build, build_system
from synergyc.pipeline.run import RunOptions, run
from synergyc.report.outcome import RunOutcome
from tests.compilers import require_cross_compiler
from tests.e2e.command import ROOT

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module", autouse=True)
def _needs_compiler() -> None:
    require_cross_compiler()


EXAMPLES = sorted(path.stem for path in (ROOT / "examples").glob("*.yaml"))

_RUNS = 100
"""As many as the schedule plays: where sensors of different rates meet, latencies are of two kinds, and which
of them is the median depends on the number of runs."""

_FEWER_RUNS = {"three_devices": 40, "replicas": 60}
"""Examples that are steady long before, and take the emulator long."""


_SATURATED = ("digits", "fallback", "motion", "radio", "replicas", "swap", "two_apps")
"""Examples whose sensors wait for nothing but room: some unit must be at work all the time."""


def _busiest(outcome: RunOutcome) -> float:
    """Return the share of the steady state for which the busiest unit works."""
    busy: defaultdict[str, float] = defaultdict(float)
    for device in outcome.devices:
        for unit in device.units:
            busy[unit.unit if unit.shared else f"{device.name}.{unit.unit}"] += unit.busy
    return max(busy.values())


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_are_right_and_as_fast_as_predicted(name: str, tmp_path: Path) -> None:
    options = BuildOptions(self_test=name == "digits")
    manifest = build(ROOT / "examples" / f"{name}.yaml", tmp_path / "build", options, lambda _: None)
    for device in manifest.devices:  # beside weights, samples and tensors; up to three apps, links included
        assert 4096 < device.own_flash_bytes < 24 * 1024
        assert 4096 < device.own_ram_bytes < 12 * 1024
    runs = _FEWER_RUNS.get(name, _RUNS)
    outcome = run(tmp_path / "build", RunOptions(runs))
    assert outcome.ok
    for app in outcome.apps:
        assert app.right == app.sent == runs
        assert app.latency is not None
        assert app.throughput_hz == pytest.approx(app.predicted_throughput_hz, rel=0.05)
        assert app.latency.p50_ms == pytest.approx(app.predicted_latency_ms, rel=0.05)
    for swap in filter(None, (device.swap for device in outcome.devices)):
        assert swap.loads == pytest.approx(swap.predicted_loads, abs=1)
        assert swap.load_ms == pytest.approx(swap.predicted_load_ms, rel=0.05)
    if name in _SATURATED:
        assert _busiest(outcome) >= 0.95
    assert all(0 < device.stack_bytes < 2048 for device in outcome.devices)


def test_two_apps_two_plans_and_encryption_stay_within_the_bounds(tmp_path: Path) -> None:
    """The most that a device with two apps can be asked for: examples/fallback.yaml with secured links."""
    system = load(ROOT / "examples" / "fallback.yaml")
    secured = replace(system, links=tuple(replace(link, secure=True) for link in system.links))
    manifest = build_system(secured, "fallback.yaml", tmp_path / "build", BuildOptions(), lambda _: None)
    assert all(link.secured for link in manifest.links)
    assert len(manifest.image_plans) == 2
    for device in manifest.devices:
        assert device.own_flash_bytes < 24 * 1024
        assert device.own_ram_bytes < 12 * 1024
