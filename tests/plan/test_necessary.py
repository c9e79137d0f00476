"""Necessary conditions: what they refuse must have no plan, by every plan scored and by real placement."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from synergyc.diagnostics import SynergyError
from synergyc.ir.network import Network
from synergyc.plan.instance import Instance, make_instance
from synergyc.plan.necessary import covered, too_many, weight_memory_bytes
from synergyc.plan.problem import PlanApp, PlanProblem
from synergyc.plan.selectors import Budget, find_selector
from synergyc.synth.resident import place_beside
from tests.plan.instances import at_most_together, random_case
from tests.plan.problems import CHIP, chain, device, wire
from tests.synth.networks import Spec
from tests.synth.networks import network as placeable

HALF = chain("h", (64, 64, 384), 2)
"""Weights of about 58 % of a MAX78000's 442,368 bytes."""


def test_only_apps_without_a_candidate_that_fits_are_not_covered() -> None:
    # Truth: every candidate asked.
    refused = 0
    for seed in range(100):
        case = random_case(seed)
        try:
            instance = make_instance(case.problem, case.networks, case.fits, case.objective)
        except SynergyError:
            continue
        for j, table in enumerate(instance.tables):
            fits = any(instance.checks.alone(table.candidate(row)) for row in range(len(table)))
            refused += not covered(instance, j)
            assert covered(instance, j) or not fits, (seed, j)
    assert refused


def system(count: int, *networks: Network, swap: bool = False) -> Instance:
    """Return ``count`` wired devices that all sense and interact, and an app for each network."""
    names = [f"d{i}" for i in range(count)]
    devices = tuple(device(name, ("imu",), ("led",)) for name in names)
    links = tuple(wire(one, other) for i, one in enumerate(names) for other in names[:i])
    apps = tuple(PlanApp(f"a{i}", "imu", "led") for i in range(len(networks)))
    problem = PlanProblem(devices, links, apps, shared_accelerators=True, weight_swap=swap)
    given = {app.name: item for app, item in zip(apps, networks, strict=True)}
    return make_instance(problem, given, at_most_together(99, frozenset()), "throughput")


def changed(network: Network, by: int) -> Network:
    """Return ``network`` with other weights: equal ones might be shared."""
    layers = tuple(
        replace(layer, weight=None if layer.weight is None else np.full_like(layer.weight, by))
        for layer in network.layers
    )
    return replace(network, layers=layers)


def test_the_fewest_apps_whose_weights_are_too_large_are_named() -> None:
    small = changed(chain("s", (3, 4), 2), 9)
    one, two = changed(HALF, 1), changed(HALF, 2)
    assert too_many(system(1, one, small)) is None
    assert too_many(system(2, one, two, small)) is None
    assert too_many(system(1, one, one, small)) is None  # equal weights may lie there once
    instance = system(1, small, one, two)
    with pytest.raises(SynergyError) as caught:
        find_selector("exact")(instance, Budget.of(10.0))
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.rule == "apps-conflict"
    assert diagnostic.message.startswith("apps 'a1', 'a2' cannot run together")
    assert diagnostic.need == f"{2 * (64 + 384) * 64 * 9:,} bytes"
    assert diagnostic.have == "442,368 bytes"


def test_swapped_weights_may_lie_in_flash() -> None:
    # 512 KiB of flash less 48 KiB for code hold more than 442,368 bytes of weight memory.
    third = chain("t", (64, 64, 200), 2)
    three = [changed(third, by) for by in (1, 2, 3)]
    need_bytes = 3 * (64 + 200) * 64 * 9
    assert weight_memory_bytes(CHIP) < need_bytes < (512 - 48) * 1024
    assert too_many(system(1, *three)) is not None
    assert too_many(system(1, *three, swap=True)) is None


def test_a_single_app_is_too_large_for_the_devices_not_for_another_app() -> None:
    error = too_many(system(1, changed(chain("t", (64, 64, 1024), 2), 1), swap=True))
    assert error is not None
    (diagnostic,) = error.diagnostics
    assert diagnostic.message.startswith(
        "app 'a0' cannot run on these devices: even where weights are loaded"
    )
    assert diagnostic.have == f"{(512 - 48) * 1024:,} bytes"
    assert "leave" not in str(diagnostic.hint)


def test_no_placement_has_more_weights_than_the_bound() -> None:
    # Truth: placement as builds do it. 64 channels fill all processors: sizes up to the bound are reached.
    room_bytes = weight_memory_bytes(CHIP)
    placed_bytes, refused = [0], 0
    for seed in range(10):
        random = np.random.default_rng(seed)
        outputs = random.integers(200, 300, size=3)
        networks = [
            placeable((64, 2, 2), [Spec(int(count), bias=False)], seed=3 * seed + i, name=f"n{i}")
            for i, count in enumerate(outputs)
        ]
        if place_beside(networks, (), CHIP, most_orders=1) is None:
            refused += 1
        else:
            placed_bytes.append(int(outputs.sum()) * 64 * 9)
    assert refused
    assert 0.9 * room_bytes < max(placed_bytes) <= room_bytes
