"""Plans that load weights in turn: when they are taken, which sets they make, and what stands against them.

Truth: hand-made checks of what fits together, and the published order of turns (docs/firmware.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from synergyc.diagnostics import Diagnostic, SynergyError
from synergyc.ir.network import Network
from synergyc.plan.availability import alternatives
from synergyc.plan.checks import Fits
from synergyc.plan.cost import CostModel, weight_bytes
from synergyc.plan.document import plan_document
from synergyc.plan.instance import make_instance
from synergyc.plan.problem import PlanApp, PlanProblem
from synergyc.plan.selector import PlanResult, choose_or_swap
from synergyc.plan.selectors import BASELINES, Budget, find_selector
from synergyc.plan.selectors.base import ConflictError
from synergyc.plan.selectors.loading import all_loading, loading
from synergyc.plan.timeline import RUNS
from synergyc.targets import Chip, load_runtime
from tests.plan.instances import random_case
from tests.plan.problems import CHIP, chain, device, wire

NETWORKS = {name: chain(name, (16, 64, 64), side=4) for name in ("a", "b", "c")}
BYTES = {name: weight_bytes(network.layers) for name, network in NETWORKS.items()}


def one_device(*apps: PlanApp) -> PlanProblem:
    named = apps or tuple(PlanApp(name, "imu", "led") for name in NETWORKS)
    return PlanProblem((device("wrist", ("imu",), ("led",)),), (), named, shared_accelerators=True)


def at_most(together: int) -> Fits:
    """Return a check that allows so many segments in an accelerator's memories."""

    def fits(networks: Sequence[Network], chip: Chip) -> tuple[Diagnostic, ...]:
        need, have = f"{len(networks)} networks", f"{together} networks"
        wrong = Diagnostic("weight-memory", "too many weights", need=need, have=have)
        return (wrong,) if len(networks) > together else ()

    return fits


def plan_with(together: int, problem: PlanProblem | None = None, **options: str) -> PlanResult:
    return choose_or_swap(problem or one_device(), NETWORKS, at_most(together), **options)  # type: ignore[arg-type]


def residency(result: PlanResult) -> list[int]:
    return [part.residency for app in result.plan.apps for part in app.segments]


def test_apps_that_fit_together_never_wait_for_weights() -> None:
    result = plan_with(3)
    assert not any(part.swapped for app in result.plan.apps for part in app.segments)
    assert residency(result) == [0, 0, 0]
    assert result.resident_reasons == ()
    assert plan_document(result)["loads"] == []


@pytest.mark.parametrize(("together", "sets"), [(2, [0, 0, 1]), (1, [0, 1, 2])])
def test_apps_that_do_not_fit_together_are_divided_into_few_sets(together: int, sets: list[int]) -> None:
    result = plan_with(together)
    assert all(part.swapped for app in result.plan.apps for part in app.segments)
    assert residency(result) == sets
    assert result.resident_reasons[0].rule == "apps-conflict"
    assert [len(part) for part in result.plan.residency_sets("wrist")] == [
        sets.count(number) for number in range(max(sets) + 1)
    ]


def test_builds_place_the_very_sets_that_were_asked_about() -> None:
    """In the order of the apps, whatever their names: placement tries some orders only."""
    asked: set[tuple[str, ...]] = set()

    def fits(networks: Sequence[Network], chip: Chip) -> tuple[Diagnostic, ...]:
        asked.add(tuple(network.name for network in networks))
        return at_most(2)(networks, chip)

    problem = one_device(*(PlanApp(name, "imu", "led") for name in "cab"))
    plan = choose_or_swap(problem, NETWORKS, fits).plan
    sets = [
        tuple(NETWORKS[part.app].segment(part.first, part.last).name for part in segments)
        for segments in plan.residency_sets("wrist")
    ]
    assert [len(names) for names in sets] == [2, 1]
    assert asked.issuperset(sets)


def test_a_round_of_all_apps_loads_every_weight_once() -> None:
    """The figures that objectives compare: no app waits longer than that, whatever the sets."""
    result = plan_with(2)
    load_us = sum(BYTES.values()) * CHIP.cnn.timing.weight_byte_ns / 1000
    resident_us = 1e6 / plan_with(3).plan.apps[0].predicted.throughput_hz
    for app in result.plan.apps:
        assert 1e6 / app.predicted.throughput_hz == pytest.approx(resident_us + load_us, rel=0.2)


def test_the_schedule_has_eight_runs_of_each_segment_between_loads() -> None:
    result = plan_with(2)
    assert result.plan.schedule is not None
    loads = result.plan.schedule.loads_per_run
    assert {key: round(value * RUNS) for key, value in loads.items()} == {
        ("wrist", 0): pytest.approx(RUNS / 8, abs=1),
        ("wrist", 1): pytest.approx(RUNS / 8, abs=1),
    }
    weights = [term for term in result.plan.apps[0].predicted.terms if term.task == "weights"]
    alone_us = CostModel(one_device(), PlanApp("a", "imu", "led"), NETWORKS["a"]).segment_cost(0, 1, CHIP)
    assert [term.unit for term in weights] == ["wrist.accelerator", "wrist.cpu"]
    assert weights[0].duration_us == pytest.approx(alone_us.weights_us * loads["wrist", 0])


def test_a_second_device_is_better_than_loading_weights() -> None:
    problem = one_device()
    both = replace(
        problem,
        devices=(*problem.devices, device("chest", ("imu",), ("led",))),
        links=(wire("wrist", "chest"),),
    )
    result = plan_with(2, both)
    assert not any(part.swapped for app in result.plan.apps for part in app.segments)


def _beside_a_slow_wire(rate_kbps: float) -> PlanProblem:
    """Return two apps that sense and interact on a device, and another one behind a wire."""
    problem = one_device(PlanApp("a", "imu", "led"), PlanApp("b", "imu", "led"))
    link = wire("wrist", "chest", rate_kbps)
    return replace(problem, devices=(*problem.devices, device("chest")), links=(link,))


@pytest.mark.parametrize(
    ("rate_kbps", "objective", "swaps"),
    [(2000.0, "ratio", False), (9.6, "ratio", True), (9.6, "latency", True)],
)
def test_weights_are_loaded_in_turn_where_a_wire_takes_longer(
    rate_kbps: float, objective: str, swaps: bool
) -> None:
    """At 9.6 kBd the 1,280 bytes of a run take 1.3 s, a load of weights takes milliseconds."""
    result = plan_with(1, _beside_a_slow_wire(rate_kbps), objective=objective)
    segments = [part for app in result.plan.apps for part in app.segments]
    assert any(part.swapped for part in segments) == swaps
    assert {part.device for part in segments} == ({"wrist"} if swaps else {"wrist", "chest"})
    assert [reason.rule for reason in result.resident_reasons] == ["resident-worse"] * swaps
    assert result.optimal
    assert result.gap == 0


def test_apps_go_on_with_swapped_weights_when_a_device_is_away() -> None:
    problem = one_device()
    both = replace(
        problem,
        devices=(*problem.devices, device("chest", ("imu",), ("led",))),
        links=(wire("wrist", "chest"),),
    )
    chosen = plan_with(2, both).plan
    found = alternatives(both, NETWORKS, at_most(2), "throughput", chosen)
    assert [(item.away, item.served) for item in found] == [
        (("wrist",), ("a", "b", "c")),
        (("chest",), ("a", "b", "c")),
    ]
    for item in found:
        (switch,) = item.switches
        assert [segment.residency for segment in switch.segments] == [0, 0, 1]
        assert switch.weight_bytes == BYTES["a"] + BYTES["b"]


def test_flash_limits_what_can_be_swapped() -> None:
    flash = CHIP.flash.model_copy(update={"size_bytes": 49_152 + sum(BYTES.values())})
    small = CHIP.model_copy(update={"flash": flash})
    problem = one_device()
    problem = replace(problem, devices=(replace(problem.devices[0], chip=small),))
    with pytest.raises(SynergyError) as caught:
        plan_with(1, problem)
    head, *reasons = caught.value.diagnostics
    assert head.rule == "apps-conflict"
    assert "nor where weights are loaded for each run" in head.message
    assert [reason.rule for reason in reasons] == ["weight-memory", "flash-weights"]
    # Weights of all, and a sample of each app: 4 x 4 pixels of 16 channels.
    assert reasons[1].need == f"{sum(BYTES.values()) + 3 * 256:,} bytes"


def test_samples_in_flash_count_though_the_app_runs_elsewhere() -> None:
    """Weights of two apps fill the flash of ``wrist``, which senses for a third one on ``chest``."""
    flash = CHIP.flash.model_copy(update={"size_bytes": 49_152 + BYTES["a"] + BYTES["b"] + 2 * 256})
    wrist = replace(device("wrist", ("imu",), ("led",)), chip=CHIP.model_copy(update={"flash": flash}))
    problem = PlanProblem(
        (wrist, device("chest")),
        (wire("wrist", "chest"),),
        tuple(PlanApp(name, "imu", "led") for name in NETWORKS),
        shared_accelerators=True,
        weight_swap=True,
    )
    instance = make_instance(problem, NETWORKS, at_most(1), "latency")

    def row(j: int, device: str, *, swapped: bool) -> int:
        wanted = [
            i
            for i, chain in enumerate(instance.tables[j].chain_list)
            if chain.devices == (device,) and any(chain.swapped) == swapped
        ]
        return int(np.flatnonzero(instance.tables[j].chain == wanted[0])[0])

    rows = row(0, "wrist", swapped=True), row(1, "wrist", swapped=True), row(2, "chest", swapped=False)
    assert [reason.rule for reason in instance.reasons_of(rows)] == ["flash-weights"]
    assert instance.admits({0: rows[0]}, 1, rows[1])
    assert not instance.admits({0: rows[0], 1: rows[1]}, 2, rows[2])
    assert not instance.admits({2: rows[2], 1: rows[1]}, 0, rows[0])


def test_two_apps_that_flash_has_no_room_for_are_the_smallest_conflict() -> None:
    flash = CHIP.flash.model_copy(update={"size_bytes": 49_152 + BYTES["a"] + BYTES["b"] - 1})
    problem = one_device()
    small = CHIP.model_copy(update={"flash": flash})
    with pytest.raises(SynergyError, match="apps 'a', 'b' cannot run together"):
        plan_with(1, replace(problem, devices=(replace(problem.devices[0], chip=small),)))


def test_a_rate_that_loading_weights_cannot_keep_is_refused() -> None:
    fast = [PlanApp(name, "imu", "led", wanted_hz=300.0) for name in NETWORKS]
    assert plan_with(3, one_device(*fast))
    with pytest.raises(SynergyError) as caught:
        plan_with(1, one_device(*fast))
    head, *reasons = caught.value.diagnostics
    assert head.rule == "apps-conflict"
    assert [reason.rule for reason in reasons] == ["weight-memory", "rate-missed", "rate-missed"]
    assert reasons[1].need == "300 runs/s"


def test_selectors_that_know_no_swap_say_that_apps_do_not_fit() -> None:
    with pytest.raises(SynergyError) as caught:
        plan_with(1, selector="progressive")
    assert caught.value.diagnostics[0].rule == "no-place-left"


def test_plans_that_do_not_fit_together_are_not_better_once_they_load_weights() -> None:
    """Whatever another selector chooses, as it can run: ``exact`` has it, or a better plan."""
    compared = longest = 0
    for seed in range(60):
        case = random_case(seed)
        problem = replace(case.problem, shared_accelerators=True, weight_swap=True)
        try:
            instance = make_instance(problem, case.networks, case.fits, case.objective)
            found = find_selector("exact")(instance, Budget.of(60.0))
        except SynergyError:
            continue
        best = (found.grown or instance).score(found.rows)
        for name in (*BASELINES, "progressive"):
            try:
                find_selector(name)(instance, Budget.of(60.0))
            except ConflictError as error:
                running = loading(instance, error.rows)
                if running is not None:
                    larger, rows = running
                    candidates = [larger.candidate(j, row) for j, row in enumerate(rows)]
                    assert not larger.checks.reasons(candidates), (seed, name)
                    assert larger.score(rows) >= best, (seed, name)
                    compared += 1
                    longest = max(longest, *(len(c.swapped) for c in candidates if any(c.swapped)), 0)
            except SynergyError:
                continue
    assert compared > 20
    assert longest == 3, "chains for which tables list no plans that load weights"


def test_replicas_do_not_load_weights() -> None:
    apps = tuple(PlanApp(name, "imu", "led", replicas=2) for name in ("a", "b"))
    devices = (device("wrist", ("imu",), ("led",)), device("chest", ("imu",), ("led",)))
    links = (wire("wrist", "chest"),)
    problem = PlanProblem(devices, links, apps, shared_accelerators=True, weight_swap=True)
    instance = make_instance(problem, NETWORKS, at_most(1), "throughput")
    replicated = [int(np.flatnonzero(table.segments == 2)[0]) for table in instance.tables]
    assert loading(instance, replicated) is None


def test_a_plan_is_found_where_only_flash_divided_rightly_has_room() -> None:
    apps = tuple(PlanApp(name, "imu", "led", priority=-i) for i, name in enumerate("abcd"))
    networks = {app.name: NETWORKS["a"] for app in apps}
    room_bytes = 2 * BYTES["a"] + 4 * 16 * 4 * 4 + load_runtime().flash_reserve_bytes
    chip = CHIP.model_copy(update={"flash": CHIP.flash.model_copy(update={"size_bytes": room_bytes})})
    devices = (device("wrist", ("imu",), ("led",)), device("chest"))
    problem = PlanProblem(
        tuple(replace(item, chip=chip) for item in devices),
        (wire("wrist", "chest"),),
        apps,
        shared_accelerators=True,
        weight_swap=True,
    )
    instance = make_instance(problem, networks, at_most(1), "throughput")
    for name in ("MinDev", "IndE2E", "progressive"):
        with pytest.raises(ConflictError) as error:
            find_selector(name)(instance, Budget.of(60.0))
        assert loading(instance, error.value.rows) is None, name
    assert not instance.reasons_of(all_loading(instance, Budget.of(60.0)).rows)
    found = find_selector("exact")(instance, Budget.of(5.0))
    assert not (found.grown or instance).reasons_of(found.rows)
