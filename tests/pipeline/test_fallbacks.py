"""Which plans for absent devices images hold. Truth: the sizes of programs, and the placement rules."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from synergyc import config
from synergyc.config import System
from synergyc.firmware.assign import FallbackPlan
from synergyc.pipeline import firmware_specs as specs
from synergyc.pipeline.build import BuildOptions, plan_system, synthesize
from synergyc.pipeline.fallbacks import Fallbacks, choose_fallbacks
from synergyc.pipeline.models import PreparedModel
from synergyc.pipeline.planning import plan_alternatives
from synergyc.plan.availability import Alternative
from synergyc.plan.types import HandOff, Plan
from synergyc.synth import native
from synergyc.targets import load_runtime
from tests.e2e.command import ROOT

Case = tuple[System, dict[str, PreparedModel], FallbackPlan, tuple[Alternative, ...]]


@pytest.fixture(scope="module")
def case() -> Case:
    """examples/fallback.yaml up to its plans: without the chest the wrist does both apps."""
    system = config.load(ROOT / "examples" / "fallback.yaml")
    models, result = plan_system(system, BuildOptions(), lambda _: None)
    programs = synthesize(system, models, result.plan, lambda _: None)
    found = plan_alternatives(system, list(models.values()), result.plan)
    return system, models, FallbackPlan(result.plan, programs), found


def _choose(case: Case) -> Fallbacks:
    system, models, chosen, found = case
    return choose_fallbacks(system, models, chosen, found, native.generate)


def test_a_plan_that_fits_beside_the_chosen_one_shares_its_set(case: Case) -> None:
    found = _choose(case)
    (fallback,) = found.plans
    assert {item.alternative.present: item.plan for item in found.taken} == {("wrist",): 1, ("chest",): 0}
    kept = case[2].programs["digits_s0"]
    assert fallback.programs["digits_s0"] is kept
    assert {segment.residency for segment in fallback.plan.segments_on("wrist")} == {0}


def test_a_plan_serves_another_one_in_the_same_places_whatever_its_tensors_take(case: Case) -> None:
    """A build knows how samples lie, which the planner does not: its hand-offs may be smaller."""
    system, models, chosen, found = case

    def handing(size_bytes: int) -> Plan:
        hand_off = HandOff("digits", 0, "chest", "wrist", "wire", ("x",), size_bytes)
        return replace(
            chosen.plan, apps=tuple(replace(app, hand_offs=(hand_off,)) for app in chosen.plan.apps)
        )

    built, planned = replace(chosen, plan=handing(100)), replace(found[0], plan=handing(400))
    (taken,) = choose_fallbacks(system, models, built, [planned], native.generate).taken
    assert taken.plan == 0


def test_without_room_for_weights_the_reason_is_told(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("synergyc.pipeline.fallbacks.flash_left_bytes", lambda *_: 1000)
    found = _choose(case)
    assert found.plans == ()
    reasons = {item.alternative.present: item.reason for item in found.taken}
    reason = reasons["wrist",]
    assert reason is not None
    assert reason.rule == "fallback-flash"
    assert reason.have == "1000 B"
    assert reasons["chest",] is None  # the plan for all devices serves


def test_samples_give_way_to_plans_on_every_device_that_may_sense_them(case: Case) -> None:
    system, models, chosen, _ = case
    found = _choose(case)
    alone = specs.firmware_specs(system, models, chosen.plan, chosen.programs)
    images = specs.firmware_specs(system, models, chosen.plan, chosen.programs, found.plans, found.cases)
    before = {sense.app: len(sense.samples) for spec in alone for sense in spec.all_senses}
    counts = [{sense.app: len(sense.samples) for sense in spec.all_senses} for spec in images]
    chest, wrist = counts
    assert chest["keywords"] == wrist["keywords"]
    assert 4 <= wrist["digits"] < before["digits"]
    for spec in images:
        for sense in spec.all_senses:
            assert np.shape(sense.samples)[1] == sense.layout.words


def test_a_small_sample_leaves_room_for_a_large_one(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wrist may sense both apps; half of what is free is less than a sample of keywords takes."""
    system, models, chosen, _ = case
    found = _choose(case)
    arguments = (system, models, chosen.plan, chosen.programs, found.plans, found.cases)
    sizes = {
        sense.app: 4 * sense.layout.words
        for spec in specs.firmware_specs(*arguments)
        for sense in spec.all_senses
    }
    assert 2 * sizes["digits"] < sizes["keywords"]
    runtime, plans = load_runtime(), (chosen, *found.plans)
    spare_bytes = specs.flash_left_bytes(system, plans, "wrist") * 2 - sum(sizes.values())
    full = runtime.model_copy(
        update={"flash_reserve_bytes": runtime.flash_reserve_bytes + spare_bytes - sizes["digits"]}
    )
    monkeypatch.setattr(specs, "load_runtime", lambda: full)
    for self_test, digits in ((False, 2), (True, 1)):
        _, wrist = specs.firmware_specs(*arguments, self_test=self_test)
        assert {sense.app: len(sense.samples) for sense in wrist.all_senses} == {
            "digits": digits,
            "keywords": 1,
        }


def test_a_device_without_peers_has_one_plan(case: Case) -> None:
    system, models, chosen, _ = case
    found = _choose(case)
    apart = replace(system, links=())
    for spec in specs.firmware_specs(apart, models, chosen.plan, chosen.programs, found.plans, found.cases):
        assert spec.group is None
        assert spec.fallbacks == ()
