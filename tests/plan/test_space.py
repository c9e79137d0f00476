"""The plan space against a brute force that assigns every layer to every device."""

from __future__ import annotations

from itertools import groupby, pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synergyc.diagnostics import SynergyError
from synergyc.ir.network import Network
from synergyc.plan.problem import PlanApp, PlanDevice, PlanPin, PlanProblem
from synergyc.plan.space import Candidate, enumerate_candidates, explain_empty, legal_cuts
from tests.plan.problems import chain, device, pair, residual, wire

NAMES = ("a", "b", "c")
NETWORKS = (
    chain("one", (3, 4)),
    chain("three", (3, 4, 5, 6)),
    residual("res"),
    chain("five", (1, 2, 3, 4, 5, 6)),
)


def test_cuts_of_a_chain() -> None:
    assert legal_cuts(chain("n", (1, 2, 3, 4))) == (0, 1)


def test_no_cut_through_an_open_residual() -> None:
    assert legal_cuts(residual("n")) == (0, 2)


def test_no_cut_behind_an_early_result() -> None:
    network = chain("n", (1, 2, 3, 4))
    kept = Network(network.name, network.inputs, network.layers, ("l0", "l2"))
    assert legal_cuts(kept) == (0,)


def test_segments_of_a_candidate() -> None:
    candidate = Candidate("a", "wrist", "hub", ("wrist", "chest"), (2,), 5)
    assert [str(segment) for segment in candidate.segments] == [
        "a_s0: layers 0-2 on wrist",
        "a_s1: layers 3-4 on chest",
    ]


Run = tuple[str, str, tuple[str, ...]]
"""Sense device, interact device, device of each layer."""


def runs(candidates: list[Candidate]) -> list[Run]:
    """Return candidates as assignments of layers to devices."""
    return [
        (
            item.sense_device,
            item.interact_device,
            tuple(part.device for part in item.segments for _ in range(part.first, part.last + 1)),
        )
        for item in candidates
    ]


def crossing(network: Network, index: int) -> int:
    """Return how many tensors cross after layer ``index``: made before or there, and still wanted."""
    made = {tensor.name for tensor in network.inputs} | {
        item.output.name for item in network.layers[: index + 1]
    }
    wanted = {name for item in network.layers[index + 1 :] for name in item.inputs} | set(network.outputs)
    return len(made & wanted)


def brute_force(problem: PlanProblem, app: PlanApp, network: Network) -> set[Run]:
    """Return every legal run, found by trying every device for every layer."""
    joined = {frozenset(link.ends) for link in problem.links}
    names = [item.name for item in problem.devices]
    found = set()
    for sense, interact, *layers in product(names, repeat=len(network.layers) + 2):
        hops = [sense, *layers, interact]
        blocks = [name for name, _ in groupby(layers)]
        cuts = [i for i in range(len(layers) - 1) if layers[i] != layers[i + 1]]
        legal = [
            app.sensor in problem.device(sense).sensors,
            app.actuator in problem.device(interact).actuators,
            app.sense_on in (None, sense),
            app.interact_on in (None, interact),
            len(set(blocks)) == len(blocks),
            all(one == other or frozenset((one, other)) in joined for one, other in pairwise(hops)),
            all(crossing(network, cut) == 1 for cut in cuts),
            not set(layers) & set(app.forbid),
            app.split in (None, len(blocks)),
            all(set(layers[pin.first : pin.last + 1]) == {pin.device} for pin in app.pins),
        ]
        if all(legal):
            found.add((sense, interact, tuple(layers)))
    return found


@st.composite
def problems(draw: st.DrawFn) -> tuple[PlanProblem, PlanApp, Network]:
    network = draw(st.sampled_from(NETWORKS))
    names = NAMES[: draw(st.integers(1, 3))]
    offers = st.sampled_from([(), ("imu",), ("led",), ("imu", "led")])
    devices: list[PlanDevice] = []
    for name in names:
        has = draw(offers)
        devices.append(device(name, tuple({"imu"} & set(has)), tuple({"led"} & set(has))))
    links = [wire(a, b) for a in names for b in names if a < b and draw(st.booleans())]
    maybe = st.none() | st.sampled_from(names)
    layers = st.integers(0, len(network.layers) - 1)
    pins = []
    for _ in range(draw(st.integers(0, 2))):
        first, last = sorted((draw(layers), draw(layers)))
        pins.append(PlanPin(first, last, draw(st.sampled_from(names))))
    app = PlanApp(
        "a",
        "imu",
        "led",
        sense_on=draw(maybe),
        interact_on=draw(maybe),
        split=draw(st.none() | st.integers(1, 3)),
        pins=tuple(pins),
        forbid=tuple(draw(st.sets(st.sampled_from(names), max_size=1))),
    )
    return PlanProblem(tuple(devices), tuple(links), (app,)), app, network


@given(problems())
def test_space_is_what_brute_force_finds(case: tuple[PlanProblem, PlanApp, Network]) -> None:
    problem, app, network = case
    found = runs(list(enumerate_candidates(problem, app, network)))
    assert len(found) == len(set(found))
    assert set(found) == brute_force(problem, app, network)
    if not found:
        (diagnostic,) = explain_empty(problem, app, network).diagnostics
        assert diagnostic.rule in {
            "no-device-with-sensor",
            "no-device-with-actuator",
            "no-device-left",
            "split-cuts",
            "no-route",
        }


def test_order_is_fixed() -> None:
    problem, network = pair(), chain("n", (1, 2, 3))
    listed = list(enumerate_candidates(problem, problem.apps[0], network))
    assert listed == list(enumerate_candidates(problem, problem.apps[0], network))
    assert [(item.devices, item.cuts) for item in listed] == [
        (("wrist",), ()),
        (("chest",), ()),
        (("wrist", "chest"), (0,)),
        (("chest", "wrist"), (0,)),
    ]


def test_split_beyond_the_cuts_is_explained() -> None:
    problem = pair(split=2)
    error = explain_empty(problem, problem.apps[0], chain("n", (1, 2)))
    assert isinstance(error, SynergyError)
    assert str(error) == (
        "error: app 'a': network must have enough places where one tensor crosses [split-cuts]\n"
        "  need: 1 cut points  have: 0 cut points\n"
        "  hint: split: 1 at most"
    )


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"sense_on": "chest"}, "no-device-with-sensor"),
        ({"interact_on": "wrist"}, "no-device-with-actuator"),
        ({"forbid": ("wrist", "chest")}, "no-device-left"),
        ({"pins": (PlanPin(0, 0, "chest"), PlanPin(0, 0, "wrist"))}, "no-route"),
    ],
)
def test_why_there_is_no_candidate(fields: dict[str, object], rule: str) -> None:
    problem, network = pair(**fields), chain("n", (1, 2, 3))
    assert list(enumerate_candidates(problem, problem.apps[0], network)) == []
    assert [item.rule for item in explain_empty(problem, problem.apps[0], network).diagnostics] == [rule]


def _three(**app: object) -> PlanProblem:
    """Return three devices of which ``a`` senses and interacts; ``c`` has no link to it."""
    devices = (device("a", ("imu",), ("led",)), device("b"), device("c"))
    return PlanProblem(devices, (wire("a", "b"), wire("b", "c")), (PlanApp("x", "imu", "led", **app),))  # type: ignore[arg-type]


def _replicated(problem: PlanProblem) -> list[tuple[str, ...]]:
    found = enumerate_candidates(problem, problem.apps[0], NETWORKS[1])
    return [item.devices for item in found if item.replicated]


def test_replicas_have_links_to_both_ends() -> None:
    assert _replicated(_three(replicas=None)) == [("a", "b")]
    assert _replicated(_three(replicas=1)) == []
    assert _replicated(_three(replicas=None, forbid=("a",))) == []
    assert _replicated(_three(replicas=None, pins=(PlanPin(0, 0, "a"),))) == []


def test_an_app_that_asks_for_replicas_gets_nothing_else() -> None:
    problem = _three(replicas=2)
    found = list(enumerate_candidates(problem, problem.apps[0], NETWORKS[1]))
    assert [(item.devices, item.replicated) for item in found] == [(("a", "b"), True)]


def test_too_few_devices_for_the_replicas_are_named() -> None:
    problem = _three(replicas=3)
    assert not list(enumerate_candidates(problem, problem.apps[0], NETWORKS[1]))
    (diagnostic,) = explain_empty(problem, problem.apps[0], NETWORKS[1]).diagnostics
    assert diagnostic.rule == "replica-devices"
    assert (diagnostic.need, diagnostic.have) == ("3 devices", "2 devices (a, b)")
