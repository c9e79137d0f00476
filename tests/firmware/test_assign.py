"""From a plan to the tasks of each device, and plans that cannot be carried out."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pytest

from synergyc.diagnostics import SynergyError
from synergyc.firmware.assign import assign
from synergyc.firmware.spec import FirmwareSpec, Passed, Storage, Wire
from synergyc.ir.types import Array
from synergyc.plan.types import AppPlan, HandOff, Plan, Segment
from synergyc.synth.program import Program
from synergyc.targets import load_board, load_medium
from tests.firmware.samples import layout, program, two_device_plan, two_devices

_CHIP = "max78000"
_DEVICES = ("chest", "wrist", "ankle", "neck", "hip")
_BOARDS = {name: load_board("max78000fthr") for name in _DEVICES}
_SAMPLES = {"beat": np.zeros((1, 4, 2, 3), np.int8)}


def programs() -> dict[str, Program]:
    return {
        "beat_s0": program("beat_s0", _CHIP, layout("x", _CHIP, 0), layout("mid", _CHIP, 0x400)),
        "beat_s1": program("beat_s1", _CHIP, layout("mid", _CHIP, 0), layout("y", _CHIP, 0x800)),
    }


def wire(*ends: str, medium: str = "uart") -> Wire:
    return Wire("-".join(ends), (ends[0], ends[1]), load_medium(medium), 921.6)


def assigned(
    plan: Plan,
    wires: tuple[Wire, ...] = (wire("chest", "wrist"),),
    made: Mapping[str, Program] | None = None,
    samples: Mapping[str, Array] | None = None,
) -> dict[str, FirmwareSpec]:
    specs = assign(plan, made or programs(), _BOARDS, wires, _SAMPLES if samples is None else samples)
    return {spec.device: spec for spec in specs}


def with_app(change: Callable[[AppPlan], AppPlan]) -> Plan:
    plan = two_device_plan()
    return replace(plan, apps=(change(plan.apps[0]),))


def hop(index: int, source: str, target: str, *, link: str | None = None) -> HandOff:
    return HandOff("beat", index, source, target, link or f"{source}-{target}", ("mid",), 24)


def test_a_cut_becomes_a_send_and_a_receive_of_the_same_number() -> None:
    specs = two_devices()
    chest, wrist = specs["chest"], specs["wrist"]
    assert ([task.app for task in chest.senses], [task.app for task in chest.infers]) == (["beat"], ["beat"])
    assert [queue.storage for queue in chest.queues] == [Storage.FLASH, Storage.RAM]
    assert (chest.sends[0].number, chest.sends[0].queue) == (wrist.receives[0].number, chest.infers[0].target)
    assert wrist.receives[0].queue == wrist.infers[0].source
    assert wrist.interacts[0].queue == wrist.infers[0].target
    assert chest.plan_id == wrist.plan_id


def test_results_go_on_over_a_relay() -> None:
    plan = with_app(
        lambda app: replace(
            app,
            interact_device="ankle",
            hand_offs=(*app.hand_offs, hop(1, "wrist", "neck"), hop(2, "neck", "ankle")),
        )
    )
    wires = (wire("chest", "wrist"), wire("wrist", "neck"), wire("neck", "ankle"))
    specs = assigned(plan, wires)
    neck = specs["neck"]
    assert not neck.infers
    assert neck.receives[0].queue == neck.sends[0].queue
    assert [link.peer for link in neck.links] == ["wrist", "ankle"]
    assert [link.uart for link in neck.links] == list(_BOARDS["neck"].link_uarts[:2])
    assert specs["ankle"].interacts[0].app == "beat"


def test_links_that_the_plan_does_not_use_stay_closed() -> None:
    specs = assigned(two_device_plan(), (wire("chest", "ankle"), wire("chest", "wrist")))
    assert [(link.name, link.uart) for link in specs["chest"].links] == [("chest-wrist", "uart2")]


def test_tensors_travel_in_the_order_of_their_reader() -> None:
    skip = layout("skip", _CHIP, 0xC00)
    made = programs()
    made["beat_s0"] = replace(made["beat_s0"], outputs=(made["beat_s0"].outputs[0], skip))
    made["beat_s1"] = replace(made["beat_s1"], inputs=(layout("skip", _CHIP, 0), made["beat_s1"].inputs[0]))
    specs = assigned(two_device_plan(), made=made)
    infer = specs["chest"].infers[0]
    begins = {placed.layout.tensor.name: placed.first_word for placed in infer.outputs}
    assert begins == {"skip": 0, "mid": skip.words}
    assert specs["wrist"].queue(specs["wrist"].receives[0].queue).words == 12


def test_a_tensor_that_a_later_segment_reads_is_passed_on() -> None:
    """Three segments in a row; the last one also reads what the first one made."""
    skip = layout("skip", _CHIP, 0xC00)
    made = programs()
    made["beat_s0"] = replace(made["beat_s0"], outputs=(made["beat_s0"].outputs[0], skip))
    made["beat_s2"] = program("beat_s2", _CHIP, layout("y", _CHIP, 0), layout("z", _CHIP, 0x800))
    made["beat_s2"] = replace(made["beat_s2"], inputs=(*made["beat_s2"].inputs, skip))
    plan = with_app(
        lambda app: replace(app, segments=(*app.segments, Segment("beat", 2, app.segments[1].device, 2, 2)))
    )
    wrist = assigned(plan, made=made)["wrist"]
    first, second = wrist.infers
    assert first.passed == (Passed(source_word=6, target_word=6, words=6),)
    assert [placed.first_word for placed in second.inputs] == [0, 6]
    assert second.passed == ()


def test_other_layouts_on_the_two_sides_are_refused() -> None:
    made = programs()
    made["beat_s1"] = replace(made["beat_s1"], inputs=(layout("mid", _CHIP, 0, instances=2),))
    with pytest.raises(SynergyError, match="'mid' is written and read in different") as caught:
        assigned(two_device_plan(), made=made)
    (diagnostic,) = caught.value.diagnostics
    assert (diagnostic.rule, diagnostic.need, diagnostic.have) == ("layout-mismatch", "12 words", "6 words")


def test_a_tensor_that_nobody_hands_over_is_refused() -> None:
    made = programs()
    made["beat_s1"] = replace(made["beat_s1"], inputs=(layout("older", _CHIP, 0),))
    with pytest.raises(SynergyError, match=r"no segment makes older .*\[hand-off-tensors\]"):
        assigned(two_device_plan(), made=made)


@pytest.mark.parametrize(
    "hand_offs",
    [
        (),
        (hop(0, "wrist", "chest", link="chest-wrist"),),
        (hop(0, "chest", "wrist"), hop(1, "chest", "wrist")),
    ],
    ids=["none", "backwards", "too many"],
)
def test_hand_offs_that_lead_elsewhere_are_refused(hand_offs: tuple[HandOff, ...]) -> None:
    with pytest.raises(SynergyError, match="hand-off-path"):
        assigned(with_app(lambda app: replace(app, hand_offs=hand_offs)))


def test_a_link_that_is_not_there_is_refused() -> None:
    with pytest.raises(SynergyError, match=r"not there: chest-wrist \[hand-off-path\]"):
        assigned(two_device_plan(), ())


def test_more_links_than_uarts_are_refused() -> None:
    uarts = len(load_board("max78000fthr").link_uarts)
    others = ("wrist", "ankle", "neck", "hip", "head")[: uarts + 1]
    stops = ["chest", *(stop for other in others for stop in (other, "chest"))][:-1]
    hops = tuple(
        hop(index, source, target, link=f"chest-{target if source == 'chest' else source}")
        for index, (source, target) in enumerate(itertools.pairwise(stops))
    )
    plan = with_app(lambda app: replace(app, interact_device=others[-1], hand_offs=hops))
    with pytest.raises(SynergyError, match="'chest' has more links") as caught:
        assigned(plan, tuple(wire("chest", other) for other in others))
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.rule == "link-uarts"
    assert (diagnostic.need, diagnostic.have) == (f"{uarts + 1} UARTs", f"{uarts} UARTs")


def test_more_hand_offs_than_frames_can_name_are_refused() -> None:
    back_and_forth = tuple(
        hop(index, *(("chest", "wrist") if index % 2 == 0 else ("wrist", "chest")), link="chest-wrist")
        for index in range(257)
    )
    plan = with_app(lambda app: replace(app, hand_offs=back_and_forth))
    with pytest.raises(SynergyError, match=r"257 hand-offs") as caught:
        assigned(plan)
    assert caught.value.diagnostics[0].rule == "hand-off-count"


def test_a_medium_without_a_uart_is_refused() -> None:
    odd = replace(wire("chest", "wrist"), medium=load_medium("uart").model_copy(update={"peripheral": "spi"}))
    with pytest.raises(SynergyError, match="link-medium"):
        assigned(two_device_plan(), (odd,))


@pytest.mark.parametrize("samples", [{}, {"beat": np.zeros((0, 4, 2, 3), np.int8)}], ids=["none", "empty"])
def test_an_app_without_samples_is_refused(samples: dict[str, Array]) -> None:
    with pytest.raises(SynergyError, match=r"'beat' has no samples .*\[no-samples\]"):
        assigned(two_device_plan(), samples=samples)


def test_another_plan_has_another_number() -> None:
    other = replace(two_device_plan(), objective="latency")
    assert assigned(two_device_plan())["chest"].plan_id != assigned(other)["chest"].plan_id


def test_links_get_uarts_that_have_their_rates_or_are_refused() -> None:
    """The feather's uart3 is a low-power UART: 7.3728 MHz in at least 4 cycles a bit."""
    hops = (
        hop(0, "chest", "wrist"),
        hop(1, "wrist", "chest", link="chest-wrist"),
        hop(2, "chest", "ankle", link="chest-ankle"),
    )
    plan = with_app(lambda app: replace(app, interact_device="ankle", hand_offs=hops))
    fast = replace(wire("chest", "ankle"), rate_kbps=2500.0)
    links = assigned(plan, (wire("chest", "wrist"), fast))["chest"].links
    assert [(link.peer, link.uart) for link in links] == [("wrist", "uart3"), ("ankle", "uart2")]
    with pytest.raises(SynergyError, match="'chest' must have the rates") as caught:
        assigned(plan, (replace(wire("chest", "wrist"), rate_kbps=2500.0), fast))
    (diagnostic,) = caught.value.diagnostics
    assert (diagnostic.rule, diagnostic.need) == ("link-rate", "2500 kbps, 2500 kbps")
