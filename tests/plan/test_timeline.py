"""The schedule of a plan. Truth: what no schedule may break; tests/e2e compare it with emulated devices."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from itertools import pairwise

from synergyc.plan.cost import CostModel
from synergyc.plan.costing import Costing
from synergyc.plan.problem import PlanApp, PlanProblem
from synergyc.plan.space import Candidate, enumerate_candidates
from synergyc.plan.timeline import schedule
from synergyc.plan.types import HELD, Span
from tests.plan.problems import chain, device, pair, wire

NETWORK = chain("n", (3, 8, 16, 4))
RUNS = 12


def _split(problem: PlanProblem) -> Costing:
    """Return the first candidate that is cut between two devices."""
    model = CostModel(problem, problem.apps[0], NETWORK)
    candidates = enumerate_candidates(problem, problem.apps[0], NETWORK)
    return model.cost(next(item for item in candidates if len(item.devices) == 2))


def test_units_do_one_thing_at_a_time_and_every_run_is_shown() -> None:
    problem = pair(split=2)
    played = schedule(problem, [_split(problem)], RUNS)
    by_unit: defaultdict[str, list[Span]] = defaultdict(list)
    for span in played.spans:
        by_unit[span.unit].append(span)
    for spans in by_unit.values():
        spans.sort(key=lambda span: span.begin_us)
        assert all(one.end_us <= two.begin_us + 1e-6 for one, two in pairwise(spans))
    for task in ("sense", "load", "unload"):
        runs = [span.run for span in played.spans if span.task == task]
        assert set(runs) == set(range(RUNS))
    assert all(0 <= share <= 1 + 1e-9 for share in played.busy.values())


def test_an_accelerator_that_holds_a_result_is_not_busy() -> None:
    """On a wire of 115.2 kbps a run is mostly its way: the accelerator waits. Truth: the costs of one run."""
    slow = pair(split=2)
    slow = replace(slow, links=(wire("wrist", "chest", 115.2),))
    costing = _split(slow)
    played = schedule(slow, [costing], RUNS)
    held_us = sum(span.end_us - span.begin_us for span in played.spans if span.task == HELD)
    assert held_us > 0
    work_us = sum(item.duration_us for item in costing.work if "wrist.accelerator" in item.units)
    period_us = 1e6 / played.apps["a"].throughput_hz
    assert played.busy["wrist.accelerator"] < 1.5 * work_us / period_us < 0.5


def test_runs_wait_for_nothing_but_their_sensor_when_it_is_slow() -> None:
    problem = pair(split=2, rate_hz=10.0)
    costing = _split(problem)
    app = schedule(problem, [costing], RUNS).apps["a"]
    assert abs(app.throughput_hz - 10.0) < 0.05
    alone_ms = sum(work.latency_us for work in costing.work) / 1000
    assert 0.5 * alone_ms < app.latency_ms <= app.largest_latency_ms < 2 * alone_ms


def test_replicas_infer_side_by_side_and_results_keep_their_order() -> None:
    app = PlanApp("a", "imu", "led", replicas=None)
    devices = (device("hub", ("imu",), ("led",)), device("one"), device("two"))
    links = (wire("hub", "one", 12_000.0), wire("hub", "two", 12_000.0))
    problem = PlanProblem(devices, links, (app,))
    network = chain("long", (4, *[64] * 20, 4), side=16)
    model = CostModel(problem, app, network)
    layers = len(network.layers)
    alone = schedule(problem, [model.cost(Candidate("a", "hub", "hub", ("hub",), (), layers))], 30)
    all_three = Candidate("a", "hub", "hub", ("hub", "one", "two"), (), layers, replicated=True)
    played = schedule(problem, [model.cost(all_three)], 30)
    assert played.apps["a"].throughput_hz > 2.5 * alone.apps["a"].throughput_hz
    for name in ("hub", "one", "two"):
        runs = [s for s in played.spans if (s.unit, s.task) == (f"{name}.accelerator", "infer")]
        assert 9 <= len(runs) <= 11
    latencies = played.apps["a"]
    assert latencies.largest_latency_ms < 3 * alone.apps["a"].largest_latency_ms


def test_rates_are_those_of_digests_whatever_whole_results_take_at_the_start() -> None:
    """Two results of 1 KiB are written whole, which takes 25 ms each. Truth: the costs of later runs."""
    app = PlanApp("a", "imu", "led")
    one = replace(device("hub", ("imu",), ("led",)), console_bd=921_600)
    problem = PlanProblem((one,), (), (app,))
    network = chain("large", (4, 16), side=8)
    costing = CostModel(problem, app, network).cost(Candidate("a", "hub", "hub", ("hub",), (), 1))
    assert costing.result_bytes > 256
    played = schedule(problem, [costing], 100)
    busiest_us = max(
        sum(work.duration_us for work in costing.work if unit in work.units)
        for unit in ("hub.cpu", "hub.accelerator", "hub.console")
    )
    assert 0.9 < played.apps["a"].throughput_hz * busiest_us / 1e6 < 1.1
