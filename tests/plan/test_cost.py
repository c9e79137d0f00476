"""The cost model against sums made by hand from the figures in targets/."""

from __future__ import annotations

from dataclasses import replace

import pytest

from synergyc.plan.cost import CostModel
from synergyc.plan.costing import app_plans
from synergyc.plan.cycles import START_CYCLES, layer_cycles
from synergyc.plan.problem import PlanLink, PlanProblem
from synergyc.plan.space import Candidate
from synergyc.plan.types import AppPlan
from synergyc.targets import load_runtime
from tests.plan.problems import CHIP, UART, chain, device, pair, wire

NETWORK = chain("n", (1, 8, 4))
INPUT_BYTES, MIDDLE_BYTES, RESULT_BYTES = 64 * 4, 64 * 8, 64 * 4  # 8x8 maps: 1 channel travels as 4
MODEL = CostModel(pair(), pair().apps[0], NETWORK)
TIMING = CHIP.cnn.timing


def plan_of(candidate: Candidate, model: CostModel = MODEL) -> AppPlan:
    (plan,) = app_plans((model.cost(candidate),))
    return plan


def unit_us(plan: AppPlan, unit: str) -> float:
    return sum(term.duration_us for term in plan.predicted.terms if term.unit == unit)


def word_us(size_bytes: int) -> float:
    return size_bytes / 4 * TIMING.word_ns / 1000


def wire_us(size_bytes: int) -> float:
    frames = -(-size_bytes // UART.mtu_bytes)
    return (size_bytes + frames * UART.frame_overhead_bytes) * 10 / 0.9216  # ten bits a byte at 921.6 kbit/s


def way_us(size_bytes: int) -> float:
    """From a tensor that is ready to be sent to one that is ready to be used."""
    last = size_bytes - (size_bytes - 1) // UART.mtu_bytes * UART.mtu_bytes + UART.frame_overhead_bytes
    cycles = last * UART.cpu.decode_byte + UART.cpu.begin + UART.cpu.finish
    return wire_us(size_bytes) + cycles / 100  # at 100 MHz


def cpu_us(size_bytes: int, byte_cycles: float, frame_cycles: float) -> float:
    frames = -(-size_bytes // UART.mtu_bytes)
    wire_bytes = size_bytes + frames * UART.frame_overhead_bytes
    return (wire_bytes * byte_cycles + frames * frame_cycles) / 100


POLL_US = load_runtime().infer_cycles / 100


def test_split_over_a_wire() -> None:
    plan = plan_of(Candidate("a", "wrist", "chest", ("wrist", "chest"), (0,), 2))
    infer = [
        (START_CYCLES + layer_cycles(layer, CHIP)) * 1e6 / TIMING.inference_hz for layer in NETWORK.layers
    ]
    start = TIMING.start_overhead_ns / 1000
    send_us = cpu_us(MIDDLE_BYTES, UART.cpu.send_byte, UART.cpu.send_frame)
    receive_us = cpu_us(MIDDLE_BYTES, UART.cpu.receive_byte, UART.cpu.receive_frame)
    accelerators = [
        word_us(INPUT_BYTES) + start + infer[0] + word_us(MIDDLE_BYTES),
        word_us(MIDDLE_BYTES) + start + infer[1] + word_us(RESULT_BYTES),
    ]
    assert [(item.source, item.target, item.tensors, item.size_bytes) for item in plan.hand_offs] == [
        ("wrist", "chest", ("l0",), MIDDLE_BYTES)
    ]
    assert unit_us(plan, "wrist.accelerator") == pytest.approx(accelerators[0])
    assert unit_us(plan, "chest.accelerator") == pytest.approx(accelerators[1])
    assert unit_us(plan, "wrist.cpu") == pytest.approx(accelerators[0] - infer[0] + POLL_US + send_us)
    assert unit_us(plan, "chest.cpu") == pytest.approx(accelerators[1] - infer[1] + POLL_US + receive_us)
    assert unit_us(plan, "wrist.wrist-chest") == pytest.approx(wire_us(MIDDLE_BYTES))
    assert unit_us(plan, "chest.wrist-chest") == pytest.approx(2 * UART.answer_bytes * 10 / 0.9216)
    predicted = plan.predicted
    assert predicted.bottleneck == "wrist.wrist-chest"
    assert predicted.throughput_hz == pytest.approx(1e6 / wire_us(MIDDLE_BYTES))
    assert predicted.latency_ms * 1000 == pytest.approx(sum(accelerators) + way_us(MIDDLE_BYTES))
    assert predicted.cycles == {
        f"a_s{i}": START_CYCLES + layer_cycles(layer, CHIP) for i, layer in enumerate(NETWORK.layers)
    }


def test_input_and_result_travel_when_sensor_and_actuator_are_elsewhere() -> None:
    problem = PlanProblem(
        (device("a", ("imu",)), device("b"), device("c", (), ("led",))),
        (wire("a", "b"), wire("c", "b")),
        pair().apps,
    )
    plan = plan_of(Candidate("a", "a", "c", ("b",), (), 2), CostModel(problem, problem.apps[0], NETWORK))
    assert [str(item) for item in plan.hand_offs] == [
        f"a: x ({INPUT_BYTES} B) a -> b over a-b",
        f"a: l1 ({RESULT_BYTES} B) b -> c over c-b",
    ]
    assert unit_us(plan, "a.a-b") == pytest.approx(wire_us(INPUT_BYTES))
    assert unit_us(plan, "b.c-b") == pytest.approx(wire_us(RESULT_BYTES))


def test_an_input_that_lies_by_channels_travels_as_it_lies() -> None:
    """8 x 8 pixels of one channel take 64 bytes then, not 256; other tensors are as ever."""
    placed = CostModel(pair(), pair().apps[0], NETWORK, input_bytes=64)
    away = Candidate("a", "wrist", "chest", ("chest",), (), 2)
    plan = plan_of(away, placed)
    assert [hand_off.size_bytes for hand_off in plan.hand_offs] == [64]
    assert unit_us(plan, "wrist.wrist-chest") == pytest.approx(wire_us(64))
    loads = [term.duration_us for term in plan.predicted.terms if term.task == "load"]
    assert loads == pytest.approx([word_us(64)] * 2)
    split = plan_of(Candidate("a", "wrist", "chest", ("wrist", "chest"), (0,), 2), placed)
    assert [hand_off.size_bytes for hand_off in split.hand_offs] == [MIDDLE_BYTES]


def test_one_device_has_no_hand_off() -> None:
    problem = PlanProblem((device("a", ("imu",), ("led",)),), (), pair().apps)
    plan = plan_of(Candidate("a", "a", "a", ("a",), (), 2), CostModel(problem, problem.apps[0], NETWORK))
    assert plan.hand_offs == ()
    predicted = plan.predicted
    # Nothing overlaps within one accelerator: latency is what it takes for a run.
    assert predicted.latency_ms * 1000 == pytest.approx(unit_us(plan, "a.accelerator"))


def test_the_sensor_sets_the_pace() -> None:
    problem = pair(rate_hz=10.0)
    model = CostModel(problem, problem.apps[0], NETWORK)
    candidate = Candidate("a", "wrist", "chest", ("wrist", "chest"), (0,), 2)
    paced, free = plan_of(candidate, model), plan_of(candidate)
    assert paced.predicted.throughput_hz == pytest.approx(10)
    assert paced.predicted.bottleneck == "wrist.imu/a"
    assert paced.predicted.latency_ms == free.predicted.latency_ms


def test_a_shared_channel_is_one_unit_for_both_ways() -> None:
    radio = UART.model_copy(update={"name": "radio", "shared": True, "full_duplex": False})
    problem = replace(pair(), links=(PlanLink("all", ("wrist", "chest"), radio, 921.6),))
    model = CostModel(problem, problem.apps[0], NETWORK)
    plan = plan_of(Candidate("a", "wrist", "chest", ("chest", "wrist"), (0,), 2), model)
    assert [item.link for item in plan.hand_offs] == ["all"] * 3
    sizes = (INPUT_BYTES, MIDDLE_BYTES, RESULT_BYTES)
    assert unit_us(plan, "all.channel") == pytest.approx(
        sum(wire_us(size) + -(-size // UART.mtu_bytes) * UART.answer_bytes * 10 / 0.9216 for size in sizes)
    )


def test_the_faster_of_two_links_is_taken() -> None:
    problem = replace(
        pair(), links=(wire("wrist", "chest", 115.2), PlanLink("fast", ("chest", "wrist"), UART, 3000.0))
    )
    plan = plan_of(
        Candidate("a", "wrist", "chest", ("wrist",), (), 2), CostModel(problem, problem.apps[0], NETWORK)
    )
    assert plan.hand_offs[0].link == "fast"


def test_two_apps_on_one_link_take_turns() -> None:
    base = pair().apps[0]
    problem = replace(pair(), apps=(base, replace(base, name="b")))
    models = [CostModel(problem, app, NETWORK) for app in problem.apps]
    one = Candidate("a", "wrist", "chest", ("wrist",), (), 2)
    apart = Candidate("b", "wrist", "chest", ("chest",), (), 2)
    alone = plan_of(one)
    plans = app_plans((models[0].cost(one), models[1].cost(apart)))
    period_us = wire_us(RESULT_BYTES) + wire_us(INPUT_BYTES)
    for plan in plans:
        assert plan.predicted.bottleneck == "wrist.wrist-chest"
        assert plan.predicted.throughput_hz == pytest.approx(1e6 / period_us)
    assert plans[0].predicted.latency_ms == alone.predicted.latency_ms


def test_terms_name_their_source() -> None:
    plan = plan_of(Candidate("a", "wrist", "chest", ("wrist", "chest"), (0,), 2))
    bases = {(term.task, term.basis) for term in plan.predicted.terms}
    assert bases == {
        ("load", "assumed"),
        ("start", "assumed"),
        ("poll", "emulated"),
        ("infer", "formula"),
        ("unload", "assumed"),
        ("send", "emulated"),
        ("transfer", "formula"),
        ("answer", "formula"),
        ("receive", "emulated"),
    }
    assert all(term.source for term in plan.predicted.terms)


def test_a_result_is_reported_on_the_console() -> None:
    problem = pair()
    problem = replace(problem, devices=tuple(replace(item, console_bd=921_600) for item in problem.devices))
    model = CostModel(problem, problem.apps[0], NETWORK)
    plan = plan_of(Candidate("a", "wrist", "chest", ("wrist", "chest"), (0,), 2), model)
    # "$R,a,", the run, "," and "*", eight digits of CRC, line end; two digits for each byte of the result.
    characters = len("$R,a,10,*00000000\r\n") + 2 * RESULT_BYTES
    assert unit_us(plan, "chest.console") == pytest.approx(characters * 10 / 0.9216, rel=0.01)


def test_weights_may_be_loaded_for_each_run() -> None:
    problem = PlanProblem((device("a", ("imu",), ("led",)),), (), pair().apps)
    model = CostModel(problem, problem.apps[0], NETWORK)
    resident = Candidate("a", "a", "a", ("a",), (), 2)
    swapped = replace(resident, swapped=(True,))
    stored = sum(layer.weight.size for layer in NETWORK.layers if layer.weight is not None)
    more_us = unit_us(plan_of(swapped, model), "a.accelerator") - unit_us(
        plan_of(resident, model), "a.accelerator"
    )
    assert more_us == pytest.approx(stored * TIMING.weight_byte_ns / 1000)


def test_replicas_take_the_runs_in_turn() -> None:
    problem = PlanProblem(
        (device("a", ("imu",), ("led",)), device("b")), (wire("a", "b"),), pair(replicas=2).apps
    )
    model = CostModel(problem, problem.apps[0], NETWORK)
    alone = plan_of(Candidate("a", "a", "a", ("a",), (), 2), model)
    both = plan_of(Candidate("a", "a", "a", ("a", "b"), (), 2, replicated=True), model)
    assert unit_us(both, "a.accelerator") == pytest.approx(unit_us(alone, "a.accelerator") / 2)
    assert unit_us(both, "a.a-b") == pytest.approx(
        (wire_us(INPUT_BYTES) + UART.answer_bytes * 10 / 0.9216) / 2, rel=0.01
    )
