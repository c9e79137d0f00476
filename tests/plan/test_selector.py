"""The exhaustive selector against a plain search over all combinations, and what it says when none fits."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synergyc.diagnostics import Diagnostic, Location, SynergyError
from synergyc.ir.network import Network
from synergyc.plan import selector
from synergyc.plan.cost import CostModel
from synergyc.plan.costing import app_plans
from synergyc.plan.document import plan_document
from synergyc.plan.problem import Objective, PlanApp, PlanPin, PlanProblem
from synergyc.plan.selector import choose
from synergyc.plan.selectors import exhaustive
from synergyc.plan.space import enumerate_candidates
from synergyc.plan.types import AppPlan
from synergyc.targets import Chip
from tests.plan.problems import chain, device, pair, residual, wire

NETWORK = chain("n", (3, 8, 16, 4))


def everything_fits(networks: Sequence[Network], chip: Chip) -> tuple[Diagnostic, ...]:
    return ()


def at_most(layers: int) -> selector.Fits:
    """Return a check that allows segments of so many layers."""

    def fits(networks: Sequence[Network], chip: Chip) -> tuple[Diagnostic, ...]:
        (network,) = networks
        have, need = f"{layers} layers", f"{len(network.layers)} layers"
        wrong = Diagnostic("layers", "too many layers", layer=network.layers[-1].name, need=need, have=have)
        return (wrong,) if len(network.layers) > layers else ()

    return fits


def value(apps: tuple[AppPlan, ...], objective: Objective) -> float:
    """Return what is to be made small."""
    if objective == "latency":
        return sum(app.predicted.latency_ms for app in apps)
    return -sum(app.predicted.throughput_hz for app in apps)


@settings(max_examples=40, deadline=None)
@given(
    networks=st.lists(
        st.sampled_from([NETWORK, residual("r"), chain("m", (1, 16, 2))]), min_size=1, max_size=2
    ),
    rates=st.tuples(*[st.sampled_from([9.6, 921.6, 12_000.0])] * 2),
    objective=st.sampled_from(["throughput", "latency"]),
    banned=st.sets(st.sampled_from(["l0", "l1", "l2", "l3"]), max_size=2),
)
def test_choice_is_the_best_that_fits(
    networks: list[Network], rates: tuple[float, float], objective: Objective, banned: set[str]
) -> None:
    apps = tuple(PlanApp(f"app{i}", "imu", "led") for i in range(len(networks)))
    problem = PlanProblem(
        (device("a", ("imu",)), device("b"), device("c", ("imu",), ("led",))),
        (wire("a", "b", rates[0]), wire("b", "c", rates[1])),
        apps,
    )
    named = {app.name: network for app, network in zip(apps, networks, strict=True)}

    def fits(networks: Sequence[Network], chip: Chip) -> tuple[Diagnostic, ...]:
        (network,) = networks
        bad = len(network.layers) > 1 and {layer.name for layer in network.layers} & banned
        return (Diagnostic("banned", "must be alone"),) if bad else ()

    models = [CostModel(problem, app, named[app.name]) for app in apps]
    best = min(
        (
            value(app_plans([m.cost(c) for m, c in zip(models, each, strict=True)]), objective)
            for each in product(*(enumerate_candidates(problem, m.app, m.network) for m in models))
            if len({name for item in each for name in item.devices})
            == sum(len(item.devices) for item in each)
            and not any(
                fits([model.network.segment(part.first, part.last)], problem.device(part.device).chip)
                for model, candidate in zip(models, each, strict=True)
                for part in candidate.segments
            )
        ),
        default=None,
    )
    if best is None:
        with pytest.raises(SynergyError):
            choose(problem, named, fits, objective)
        return
    result = choose(problem, named, fits, objective)
    ranked = [value(plan.apps, objective) for plan in (result.plan, *result.alternatives)]
    assert ranked[0] == pytest.approx(best)
    assert ranked == pytest.approx(sorted(ranked))
    assert result.optimal
    assert result.gap == 0


def test_objectives_can_disagree() -> None:
    # Two heavy layers before a narrow waist, two behind it: two devices work on two runs at once, but for a
    # single run the second one only adds a load and an unload.
    network = chain("n", (4, 512, 4, 512, 4))
    problem = replace(pair(), links=(wire("wrist", "chest", 12_000.0),))
    fast = choose(problem, {"a": network}, everything_fits, "throughput").plan.apps[0]
    quick = choose(problem, {"a": network}, everything_fits, "latency").plan.apps[0]
    assert [str(part) for part in fast.segments] == ["a_s0: layers 0-1 on wrist", "a_s1: layers 2-3 on chest"]
    assert len(quick.segments) == 1
    assert fast.predicted.throughput_hz > 1.25 * quick.predicted.throughput_hz
    assert quick.predicted.latency_ms < fast.predicted.latency_ms


def test_equal_plans_take_fewer_devices() -> None:
    result = choose(pair(rate_hz=1.0), {"a": NETWORK}, everything_fits)
    assert len(result.plan.apps[0].segments) == 1


def test_split_is_honoured() -> None:
    result = choose(pair(split=2), {"a": NETWORK}, everything_fits)
    assert {len(plan.apps[0].segments) for plan in (result.plan, *result.alternatives)} == {2}
    assert result.plan.considered == 4


def test_rejected_plans_are_kept_with_reasons() -> None:
    result = choose(pair(), {"a": NETWORK}, at_most(2))
    assert len(result.plan.apps[0].segments) == 2
    first = result.rejected[0]
    assert [str(part) for part in first.apps[0].segments] == ["a_s0: layers 0-2 on wrist"]
    assert [(reason.need, reason.have) for reason in first.reasons] == [("3 layers", "2 layers")]


def test_each_segment_is_checked_once_for_a_chip() -> None:
    asked: list[tuple[str, ...]] = []

    def fits(networks: Sequence[Network], chip: Chip) -> tuple[Diagnostic, ...]:
        asked.append((*(network.name for network in networks), chip.name))
        return ()

    choose(pair(), {"a": NETWORK}, fits)
    assert len(asked) == len(set(asked))


def test_none_fits() -> None:
    with pytest.raises(SynergyError) as caught:
        choose(pair(), {"a": chain("n", (1, 2, 3, 4, 5))}, at_most(1))
    assert str(caught.value) == (
        "error: none of 8 plans fits; the nearest one (a_s0: layers 0-1 on wrist; a_s1: layers 2-3 on chest)"
        " breaks these limits: [plan-fits-nowhere]\n"
        "  hint: more or larger devices, narrower weights (quantize: bits), a smaller network\n"
        "error: layer 'l1': too many layers [layers]\n"
        "  need: 2 layers  have: 1 layers\n"
        "error: layer 'l3': too many layers [layers]\n"
        "  need: 2 layers  have: 1 layers"
    )


def test_pin_beyond_the_network() -> None:
    place = Location("app.yaml", 3, 4)
    problem = pair(pins=(PlanPin(2, 9, "wrist", place),))
    with pytest.raises(SynergyError) as caught:
        choose(problem, {"a": NETWORK}, everything_fits)
    assert str(caught.value) == (
        "app.yaml:3:4: error: app 'a': pinned layers must exist [pin-range]\n"
        "  need: layer 9  have: layers 0-2"
    )


def test_no_candidate_at_all() -> None:
    with pytest.raises(SynergyError) as caught:
        choose(pair(sense_on="chest"), {"a": NETWORK}, everything_fits)
    assert caught.value.diagnostics[0].rule == "no-device-with-sensor"


def refused(problem: PlanProblem) -> Diagnostic:
    with pytest.raises(SynergyError) as caught:
        choose(problem, {"a": NETWORK}, everything_fits)
    (diagnostic,) = caught.value.diagnostics
    return diagnostic


def test_a_deadline_that_no_plan_keeps() -> None:
    """The figure is the latency of the best plan without the deadline, and that as a deadline is kept."""
    (fastest,) = choose(pair(), {"a": NETWORK}, everything_fits, "latency").plan.apps
    reached_ms = fastest.predicted.latency_ms
    missed = refused(pair(deadline_ms=reached_ms * 0.99))
    assert missed.rule == "deadline-missed"
    assert missed.have == f"{reached_ms:.3f} ms"
    assert choose(pair(deadline_ms=reached_ms * 1.01), {"a": NETWORK}, everything_fits)


def test_a_rate_that_no_plan_reaches() -> None:
    (quickest,) = choose(pair(), {"a": NETWORK}, everything_fits).plan.apps
    reached_hz = quickest.predicted.throughput_hz
    missed = refused(pair(wanted_hz=2 * reached_hz))
    assert (missed.rule, missed.have) == ("rate-missed", f"{reached_hz:.1f} runs/s")
    assert choose(pair(wanted_hz=0.99 * reached_hz), {"a": NETWORK}, everything_fits)


def test_a_battery_that_no_plan_spares() -> None:
    base = pair(wanted_hz=5.0)
    worn = replace(base, devices=tuple(replace(item, battery_mwh=100.0) for item in base.devices))
    longest_h = choose(worn, {"a": NETWORK}, everything_fits, "battery").value
    missed = refused(replace(worn, battery_h=2 * longest_h))
    assert (missed.rule, missed.have) == ("battery-missed", f"{longest_h:.1f} h")
    assert choose(replace(worn, battery_h=0.99 * longest_h), {"a": NETWORK}, everything_fits)


def test_unknown_selector() -> None:
    with pytest.raises(SynergyError) as caught:
        choose(pair(), {"a": NETWORK}, everything_fits, selector="exakt")
    assert caught.value.diagnostics[0].hint == "did you mean 'exact'?"


def test_too_many_plans(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exhaustive, "MAX_PLANS", 10)
    base = pair()
    apps = tuple(replace(base.apps[0], name=name) for name in "ab")
    assert choose(base, {"a": NETWORK}, everything_fits, selector="exhaustive").plan.considered == 6
    with pytest.raises(SynergyError) as caught:
        choose(
            replace(base, apps=apps),
            {"a": NETWORK, "b": NETWORK},
            everything_fits,
            selector="exhaustive",
        )
    (diagnostic,) = caught.value.diagnostics
    assert (diagnostic.rule, diagnostic.have) == ("plan-space-size", "10 plans")


def test_two_apps_keep_apart() -> None:
    apps = (PlanApp("p", "imu", "led"), PlanApp("q", "imu", "led"))
    both = [device(name, ("imu",), ("led",)) for name in "ab"]
    problem = PlanProblem(tuple(both), (wire("a", "b"),), apps)
    plan = choose(problem, {"p": NETWORK, "q": NETWORK}, everything_fits).plan
    assert sorted(part.device for app in plan.apps for part in app.segments) == ["a", "b"]
    assert [part.app for part in plan.segments_on("a")] == ["p"]


def test_two_apps_on_one_device_are_refused() -> None:
    apps = (PlanApp("p", "imu", "led"), PlanApp("q", "imu", "led"))
    problem = PlanProblem((device("a", ("imu",), ("led",)),), (), apps)
    with pytest.raises(SynergyError) as caught:
        choose(problem, {"p": NETWORK, "q": NETWORK}, everything_fits)
    assert caught.value.diagnostics[1].render() == (
        "error: device 'a' must run one segment, not p_s0, q_s0 [shared-accelerator]\n"
        "  need: 2 segments  have: 1 segment\n"
        "  hint: forbid the device for all apps but one, or add a device"
    )


def test_same_question_same_answer() -> None:
    one, two = (choose(pair(), {"a": NETWORK}, at_most(2)) for _ in range(2))
    assert str(one.plan) == str(two.plan)
    documents = [plan_document(result) | {"solve_s": 0} for result in (one, two)]
    assert json.dumps(documents[0]) == json.dumps(documents[1])


def test_document() -> None:
    result = choose(pair(), {"a": NETWORK}, at_most(2))
    document = json.loads(json.dumps(plan_document(result)))
    assert set(document) >= {"plan", "predicted", "optimal", "gap", "solve_s", "alternatives", "rejected"}
    assert document["optimal"] is True
    predicted, scheduled = document["predicted"]["a"], result.plan.apps[0].predicted.scheduled
    assert scheduled is not None
    assert predicted["throughput_hz"] == scheduled.throughput_hz
    assert predicted["latency_ms"] == scheduled.latency_ms
    assert predicted["guaranteed"] == {
        "throughput_hz": result.plan.apps[0].predicted.throughput_hz,
        "latency_ms": result.plan.apps[0].predicted.latency_ms,
    }
    for other in document["alternatives"]:  # of these no schedule is played
        figures = other["predicted"]["a"]
        assert figures["guaranteed"] == {name: figures[name] for name in ("throughput_hz", "latency_ms")}
    (app,) = document["plan"]["apps"]
    assert [part["device"] for part in app["segments"]] == ["wrist", "chest"]
    assert document["rejected"][0]["reasons"][0]["need"] == "3 layers"
    assert document["alternatives"][0]["plan"]["apps"]
