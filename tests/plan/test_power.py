"""Mean power of devices. Truth: sums by hand of the targets' figures; tests/e2e/test_power.py emulates."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from synergyc.plan.document import plan_document
from synergyc.plan.power import device_powers
from synergyc.plan.problem import PlanLink, PlanProblem
from synergyc.plan.selector import PlanResult, choose
from synergyc.report.terminal import power_table
from synergyc.targets import load_medium
from tests.plan.problems import chain, pair
from tests.plan.test_selector import at_most

NETWORK = chain("n", (3, 8, 16, 4))
RADIO = load_medium("esp8266")

EMPTY_FRAME_US = 163 * 8
"""163 bytes on air at 1 Mbit/s."""
ANSWER_PART = 41 / 163
"""An acknowledgement stands for four tensors."""
BEAT_US = 8 * 541 * 8 / 0.9216 + 10_000
"""A window of full frames of 541 bytes at 921.6 kbit/s to the module, and a busy peer."""


def _on_radio(problem: PlanProblem, battery_mwh: float | None = None) -> PlanProblem:
    devices = tuple(replace(device, battery_mwh=battery_mwh) for device in problem.devices)
    return replace(problem, devices=devices, links=(PlanLink("air", ("wrist", "chest"), RADIO, 1000.0),))


def _planned(problem: PlanProblem) -> PlanResult:
    return choose(problem, {"a": NETWORK}, at_most(2))


def test_devices_that_exchange_tensors_also_pay_for_silence() -> None:
    result = _planned(_on_radio(pair(rate_hz=2.0)))
    assert [item.device for item in result.power] == ["wrist", "chest"]
    of_wrist, of_chest = 1e6 / BEAT_US - 2.0, 1e6 / BEAT_US - 2.0 * ANSWER_PART
    expected_mw = (of_wrist * 560 + of_chest * 185, of_wrist * 185 + of_chest * 560)
    for item, milliwatts in zip(result.power, expected_mw, strict=True):
        assert item.idle_mw == pytest.approx(9.4 + 231.0)
        assert item.links_mw == pytest.approx(milliwatts * EMPTY_FRAME_US / 1e6, rel=1e-3)
        assert item.mean_mw == item.idle_mw + item.runs_mw + item.links_mw
        assert item.battery_h is None
    energy_uj = result.plan.apps[0].predicted.energy_uj
    assert sum(item.runs_mw for item in result.power) == pytest.approx(2.0 * energy_uj / 1000)


def test_a_link_that_always_speaks_needs_no_heartbeats() -> None:
    assert all(item.links_mw == 0.0 for item in _planned(_on_radio(pair(rate_hz=100.0))).power)


def test_wires_and_devices_that_are_not_used_take_nothing() -> None:
    result = _planned(pair(rate_hz=2.0))
    assert [item.links_mw for item in result.power] == [0.0, 0.0]
    spare = replace(result.plan.apps[0], hand_offs=(), interact_device="wrist")
    assert [item.device for item in device_powers(pair(rate_hz=2.0), [spare]) if item.links_mw] == []


def test_a_battery_that_links_empty_too_soon_is_warned_of() -> None:
    problem = _on_radio(pair(rate_hz=2.0), battery_mwh=450.0)
    power = _planned(problem).power[0]
    without_h = 450.0 / (power.idle_mw + power.runs_mw)
    assert power.battery_h is not None
    assert power.battery_h < 0.97 * without_h
    assert _planned(replace(problem, battery_h=0.99 * power.battery_h)).warnings == ()
    result = _planned(replace(problem, battery_h=0.99 * without_h))
    assert {warning.rule for warning in result.warnings} == {"battery-short"}
    assert result.warnings[0].have == f"{power.battery_h:.4g} h"
    told = json.loads(json.dumps(plan_document(result)["power"]))
    assert told[0]["battery_h"] == pytest.approx(power.battery_h)
    assert power_table(result.power).row_count == 2
