"""Plans for absent devices."""

from __future__ import annotations

from dataclasses import replace

import pytest

from synergyc.plan.availability import Alternative, alternatives, without
from synergyc.plan.problem import PlanApp, PlanPin, PlanProblem
from synergyc.plan.selector import choose
from tests.plan.problems import CHIP, chain, device, wire
from tests.plan.test_selector import at_most, everything_fits

NETWORK = chain("n", (3, 8, 16, 4))

TRIANGLE = PlanProblem(
    (device("a", ("imu",), ("led",)), device("b", (), ("led",)), device("c", ("imu",), ("led",))),
    (wire("a", "b"), wire("b", "c"), wire("a", "c")),
    (PlanApp("one", "imu", "led", sense_on="a"), PlanApp("two", "imu", "led", sense_on="c")),
    shared_accelerators=True,
)
NETWORKS = {"one": NETWORK, "two": NETWORK}


def found(layers: int = 0, problem: PlanProblem = TRIANGLE) -> dict[tuple[str, ...], Alternative]:
    fits = at_most(layers) if layers else everything_fits
    chosen = choose(problem, NETWORKS, fits, "latency").plan
    return {item.away: item for item in alternatives(problem, NETWORKS, fits, "latency", chosen)}


def test_every_set_that_can_serve_has_a_plan() -> None:
    plans = found()
    # Without a and c nothing senses.
    assert set(plans) == {("a",), ("b",), ("c",), ("a", "b"), ("b", "c")}
    assert next(iter(plans)) == ("b",)  # both apps go on
    assert plans["a",].served == ("two",)
    assert plans["a",].dropped == ("one",)
    for away, item in plans.items():
        used = {segment.device for app in item.plan.apps for segment in app.segments}
        assert not used & set(away)


def test_an_alternative_is_the_best_plan_of_its_devices() -> None:
    item = found()["b",]
    best = choose(without(TRIANGLE, ("a", "c")), NETWORKS, everything_fits, "latency").plan
    assert item.plan == best


def test_switching_costs_the_weights_that_were_not_there() -> None:
    # Two layers at most fit a chip: the whole network needs two devices.
    problem = replace(TRIANGLE, apps=TRIANGLE.apps[:1], shared_accelerators=False)
    chosen = choose(problem, NETWORKS, at_most(2), "latency").plan
    helper = next(part.device for part in chosen.apps[0].segments if part.device != "a")
    plans = found(2, problem)
    other = plans[helper,]
    (switch,) = other.switches
    (segment,) = switch.segments
    layers = NETWORK.layers[segment.first : segment.last + 1]
    size_bytes = sum(layer.weight.size for layer in layers if layer.weight is not None)
    assert switch.weight_bytes == size_bytes
    assert other.switch_ms == pytest.approx(size_bytes * CHIP.cnn.timing.weight_byte_ns / 1e6)


def test_the_app_of_lower_priority_is_left_out() -> None:
    apps = (replace(TRIANGLE.apps[0], priority=1), replace(TRIANGLE.apps[1], sense_on=None))
    problem = replace(TRIANGLE, apps=apps, shared_accelerators=False)
    only = found(0, problem)["b", "c"]
    assert only.served == ("one",)
    assert [reason.rule for reason in only.reasons]


def test_what_an_app_asks_of_an_absent_device_is_forgotten() -> None:
    app = PlanApp("one", "imu", "led", pins=(PlanPin(0, 0, "b"),), forbid=("b",), split=3)
    (kept,) = without(replace(TRIANGLE, apps=(app,)), ("a", "c")).apps
    assert (kept.pins, kept.forbid, kept.split) == ((), (), None)
