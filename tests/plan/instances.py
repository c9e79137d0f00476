"""Random small instances for the selectors' tests: networks, devices, links and memory limits."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from synergyc.diagnostics import Diagnostic
from synergyc.ir.network import Network
from synergyc.ir.tail import Tail, TailOp
from synergyc.plan.checks import Fits
from synergyc.plan.problem import Objective, PlanApp, PlanPin, PlanProblem
from synergyc.targets import Chip
from tests.plan.problems import chain, device, residual, wire

NETWORKS = (
    chain("n", (3, 8, 16, 4)),
    chain("m", (1, 16, 2)),
    chain("o", (4, 64, 4, 8)),
    residual("r"),
)

OBJECTIVES: tuple[Objective, ...] = (
    "throughput",
    "ratio",
    "latency",
    "energy",
    "battery",
    ("throughput", "energy"),
    ("battery", "ratio", "latency"),
    {"throughput": 1.0, "energy": 0.2},
    {"latency": 0.5, "ratio": 2.0},
)


@dataclass(frozen=True)
class RandomCase:
    """One random question."""

    problem: PlanProblem
    networks: dict[str, Network]
    fits: Fits
    objective: Objective


def at_most_together(layers: int, banned: frozenset[str]) -> Fits:
    """Return a check that allows so many layers resident on a chip, and refuses segments with odd bans."""

    def fits(networks: Sequence[Network], chip: Chip) -> tuple[Diagnostic, ...]:
        need = sum(len(network.layers) for network in networks)
        found = [Diagnostic("banned", "must not run") for network in networks if network.name in banned]
        if need > layers:
            found.append(Diagnostic("layers", "too many", need=f"{need} layers", have=f"{layers} layers"))
        return tuple(found)

    return fits


def random_case(seed: int) -> RandomCase:
    """Return a case that is the same for the same seed; few enough plans to compare all."""
    draw = random.Random(seed)  # noqa: S311 - not for secrets
    count = draw.choice((1, 2, 2, 2, 3))
    names = "abc"[: draw.choice((2, 3, 3))] if count < 3 else "ab"
    devices = tuple(
        device(name, ("imu",) if name == "a" or draw.random() < 0.3 else (), ("led",) if i else ())
        for i, name in enumerate(names)
    )
    pairs = [("a", "b"), ("b", "c"), ("a", "c")][: 1 if len(names) == 2 else draw.choice((2, 3))]
    links = tuple(wire(one, other, draw.choice((9.6, 921.6, 12_000.0))) for one, other in pairs)
    networks = {f"app{i}": draw.choice(NETWORKS) for i in range(count)}
    apps = tuple(
        PlanApp(
            name,
            "imu",
            "led",
            rate_hz=draw.choice((None, None, 50.0)),
            wanted_hz=draw.choice((None, None, 1.0, 40.0)),
            deadline_ms=draw.choice((None, None, 60.0)),
            priority=draw.randrange(3),
            forbid=("b",) if draw.random() < 0.1 else (),
            replicas=draw.choice((1, 1, None, None, 2)),
        )
        for name in networks
    )
    bans = frozenset(
        f"{network.name}_{first}_{first + 1}"
        for network in networks.values()
        for first in range(2)
        if draw.random() < 0.2
    )
    shared = draw.random() < 0.6
    problem = PlanProblem(
        tuple(replace(item, battery_mwh=draw.choice((None, 100.0, 450.0))) for item in devices),
        links,
        apps,
        shared_accelerators=shared,
        weight_swap=shared and len(names) == 2 and draw.random() < 0.5,
        multi_tensor_cuts=draw.random() < 0.3,
        battery_h=draw.choice((None, None, None, 8.0)),
    )
    fits = at_most_together(draw.choice((2, 3, 5, 9)), bans)
    return _with_cpu_work(RandomCase(problem, networks, fits, draw.choice(OBJECTIVES)), draw)


def _with_cpu_work(case: RandomCase, draw: random.Random) -> RandomCase:
    """Return ``case`` with some samples that devices prepare, and some tails."""
    apps = tuple(replace(app, prepares=draw.random() < 0.3) for app in case.problem.apps)
    networks = {
        name: replace(network, tail=(Tail(TailOp.SOFTMAX),) if draw.random() < 0.3 else ())
        for name, network in case.networks.items()
    }
    return replace(case, problem=replace(case.problem, apps=apps), networks=networks)


def long_case(seed: int) -> RandomCase:
    """Return a case whose apps may need chains of four and five devices: small chips, links all over."""
    draw = random.Random(seed)  # noqa: S311 - not for secrets
    apps = draw.choice((1, 1, 2))
    names = "abcde" if apps == 1 else "abcd"
    devices = tuple(
        device(
            name, ("imu",) if i == 0 or draw.random() < 0.3 else (), ("led",) if draw.random() < 0.6 else ()
        )
        for i, name in enumerate(names[:-1])
    )
    devices += (device(names[-1], (), ("led",)),)
    pairs = [pair for pair in combinations(names, 2) if draw.random() < 0.9]
    links = tuple(wire(one, other, draw.choice((19.2, 921.6, 12_000.0))) for one, other in pairs)
    layers = 6 if apps == 1 else 4
    networks = {
        f"app{i}": chain(f"n{i}", (2, *(draw.choice((2, 4, 16)) for _ in range(layers)))) for i in range(apps)
    }
    asked = tuple(
        PlanApp(
            name,
            "imu",
            "led",
            rate_hz=draw.choice((None, 50.0)),
            wanted_hz=draw.choice((None, None, 1.0)),
            deadline_ms=draw.choice((None, None, 500.0)),
            forbid=("b",) if draw.random() < 0.1 else (),
            split=draw.choice((None, None, None, 4)),
            pins=(PlanPin(1, 2, draw.choice(names)),) if draw.random() < 0.2 else (),
        )
        for name in networks
    )
    # Without a choice of layers that are refused, a chain of a few devices would always do.
    bans = frozenset(f"n{i}_{k}_{k + 1}" for i in range(apps) for k in range(layers) if draw.random() < 0.2)
    problem = PlanProblem(devices, links, asked, shared_accelerators=draw.random() < 0.7)
    fits = at_most_together(draw.choice((1, 2, 3, 4)), bans)
    return _with_cpu_work(RandomCase(problem, networks, fits, draw.choice(OBJECTIVES)), draw)
