"""What the planner reckons with in RAM and flash. Truth: the queues, buffers and programs of the firmware."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from synergyc.diagnostics import Diagnostic, SynergyError
from synergyc.firmware.sizing import may_stay, rings
from synergyc.firmware.spec import FirmwareSpec, Storage
from synergyc.ir.network import Network
from synergyc.plan.cost import CostModel
from synergyc.plan.costing import candidate_of
from synergyc.plan.instance import make_instance
from synergyc.plan.memory import Need, needs_of
from synergyc.plan.problem import PlanApp, PlanDevice, PlanLink, PlanProblem
from synergyc.plan.selectors.base import Budget
from synergyc.plan.selectors.exact import exact
from synergyc.plan.space import Candidate
from synergyc.targets import load_board, load_chip, load_runtime
from tests.e2e.random_systems import RandomSystem, random_system
from tests.plan.problems import CHIP, UART, chain, device, pair, wire


def _problem(system: RandomSystem) -> PlanProblem:
    devices = tuple(
        PlanDevice(name, load_chip(load_board(board).chip)) for name, board in system.boards.items()
    )
    links = tuple(PlanLink(join.name, join.ends, join.medium, join.rate_kbps) for join in system.joins)
    apps = tuple(PlanApp(app.app, "any", "any") for app in system.plan.apps)
    return PlanProblem(devices, links, apps)


def _fewest_bytes(spec: FirmwareSpec) -> int:
    """Return the RAM of one tensor in each queue; results that may stay in the accelerator stay there."""
    queues = [queue for queue in spec.queues if queue.storage is Storage.RAM]
    return sum(4 * queue.words for queue in queues if not may_stay(spec, queue))


# Systems without relays, which the planner has not; four at least with inputs of multiples of four channels.
SEEDS = [*((seed, False) for seed in (1, 4, 6, 7, 8, 9, 25)), *((seed, True) for seed in (6, 11, 19, 21))]


@pytest.mark.parametrize(("seed", "replicated"), SEEDS)
def test_needs_are_those_of_the_firmware(seed: int, replicated: bool) -> None:
    system = random_system(seed, replicated=replicated)
    problem = _problem(system)
    needs: dict[str, list[Need]] = {}
    for app, plan in zip(problem.apps, system.plan.apps, strict=True):
        network = system.networks[app.name]
        for name, need in needs_of(CostModel(problem, app, network), candidate_of(plan, network)).items():
            needs.setdefault(name, []).append(need)
    # An input of other numbers of channels takes less where it lies channel by channel.
    exact = all(network.inputs[0].shape[0] % 4 == 0 for network in system.networks.values())
    for spec in system.specs(1):
        found = needs[spec.device]
        tensor_bytes, least_bytes = _fewest_bytes(spec), sum(need.tensor_bytes for need in found)
        assert least_bytes == tensor_bytes if exact else least_bytes <= tensor_bytes
        names = {name for need in found for name in need.links}
        reckoned = sum(2 * link.medium.ring_bytes for link in problem.links if link.name in names)
        buffers = sum(ring.out_bytes + ring.in_bytes for ring in rings(spec)[1:])
        secured = any(link.key for link in spec.links)
        assert reckoned <= buffers if secured else reckoned == buffers
        words = sum(infer.program.weight_words for infer in spec.infers)
        assert sum(need.weight_bytes for need in found) <= 4 * words
        samples = sum(4 * len(sense.samples[0]) for sense in spec.senses)
        least_samples = sum(need.sample_bytes for need in found)
        assert least_samples == samples if exact else least_samples <= samples


NETWORK = chain("n", (4, 64, 16, 4), side=48)
"""Between its layers cross 64, then 16 channels of 48 x 48 pixels: 147,456 and 36,864 bytes."""


def everything_fits(networks: object, chip: object) -> tuple[Diagnostic, ...]:
    """Return that accelerators have room for all."""
    return ()


def chosen(problem: PlanProblem, networks: Mapping[str, Network]) -> list[Candidate]:
    """Return the best plan by latency; no schedule is played."""
    instance = make_instance(problem, networks, everything_fits, "latency")
    selection = exact(instance, Budget.of(10.0))
    found = selection.grown or instance
    return [found.candidate(j, row) for j, row in enumerate(selection.rows)]


def test_a_cut_where_more_crosses_than_ram_holds_is_refused() -> None:
    problem = replace(pair(split=2), device_memories=True)
    (candidate,) = chosen(problem, {"a": NETWORK})
    assert candidate.cuts == (1,)
    with pytest.raises(SynergyError) as caught:
        chosen(problem, {"a": chain("n", (4, 64, 4), side=48)})
    head, *reasons = caught.value.diagnostics
    assert head.rule == "plan-fits-nowhere"
    assert [reason.rule for reason in reasons] == ["device-ram", "device-ram"]
    assert reasons[0].message.startswith("device 'wrist': tensors of 'a'")
    # 128 KiB without stack, console, and the buffers of a UART.
    assert reasons[0].have == f"{131072 - load_runtime().ram_least_bytes - 2 * UART.ring_bytes:,} bytes"
    assert reasons[0].need == "147,456 bytes"


def test_a_result_may_stay_in_the_accelerator_of_the_device_that_shows_it() -> None:
    alone = PlanProblem(
        (device("wrist", ("imu",), ("led",)),), (), (PlanApp("a", "imu", "led"),), device_memories=True
    )
    assert chosen(alone, {"a": chain("n", (4, 64), side=48)})
    with pytest.raises(SynergyError, match="device-ram"):  # here it crosses the wire
        chosen(replace(pair(forbid=("chest",)), device_memories=True), {"a": chain("n", (4, 64), side=48)})


def test_apps_that_ram_has_no_room_for_together_are_named() -> None:
    """Each receives 64 channels of 36 x 36 pixels, 82,944 bytes, on the only device that shows results."""
    devices = (device("wrist", ("imu",)), device("chest", (), ("led",)))
    apps = tuple(PlanApp(name, "imu", "led", forbid=("chest",)) for name in "ab")
    problem = PlanProblem(
        devices, (wire("wrist", "chest"),), apps, shared_accelerators=True, device_memories=True
    )
    networks = {name: chain(name, (4, 64), side=36) for name in "ab"}
    assert chosen(replace(problem, apps=apps[:1]), networks)
    with pytest.raises(SynergyError) as caught:
        chosen(problem, networks)
    head, *reasons = caught.value.diagnostics
    assert head.rule == "apps-conflict"
    assert {(reason.rule, reason.need) for reason in reasons} == {("device-ram", "165,888 bytes")}


def test_a_sample_that_flash_has_no_room_for_is_refused_unless_a_driver_delivers_it() -> None:
    """48 channels of 104 x 104 pixels: 519,168 bytes; flash has 524,288."""
    network = chain("n", (48, 4), side=104)
    apps = (PlanApp("a", "imu", "led"),)
    problem = PlanProblem((device("wrist", ("imu",), ("led",)),), (), apps, device_memories=True)
    with pytest.raises(SynergyError) as caught:
        chosen(problem, {"a": network})
    _, reason = caught.value.diagnostics
    weights = sum(layer.weight.size for layer in network.layers if layer.weight is not None)
    assert (reason.rule, reason.need) == ("flash-weights", f"{519168 + weights:,} bytes")
    driven = replace(problem, apps=(replace(apps[0], prepares=True),))
    with pytest.raises(SynergyError, match="device-ram"):  # then samples wait in RAM
        chosen(driven, {"a": network})


def test_two_apps_that_only_sense_on_a_device_share_its_flash() -> None:
    """They infer on devices of their own; a sample of each takes 112,896 bytes."""
    names = ("wrist", "chest", "belt")
    devices = (device("wrist", ("imu",)), *(device(name, (), ("led",)) for name in names[1:]))
    links = (wire("wrist", "chest"), wire("wrist", "belt"))
    apps = tuple(
        PlanApp(name, "imu", "led", interact_on=place, forbid=tuple({*names} - {place}))
        for name, place in (("a", "chest"), ("b", "belt"))
    )
    networks = {app.name: chain(app.name, (36, 4), side=56) for app in apps}
    problem = PlanProblem(devices, links, apps, device_memories=True)
    assert chosen(problem, networks)
    flash = CHIP.flash.model_copy(update={"size_bytes": 2 * 112_896})
    small = replace(devices[0], chip=CHIP.model_copy(update={"flash": flash}))
    with pytest.raises(SynergyError, match="apps 'a', 'b' cannot run together"):
        chosen(replace(problem, devices=(small, *devices[1:])), networks)
