"""The evaluation's grid on small networks, and its averages on figures that are worked out by hand."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from synergyc.ir.network import Network
from synergyc.pipeline import evaluation, evaluation_cases
from synergyc.pipeline.evaluation import Evaluation, Row
from synergyc.pipeline.evaluation_cases import make_problem
from synergyc.pipeline.evaluation_compare import BELIEVED, compare, gain, power_mw, sensitivity, summary
from synergyc.pipeline.evaluation_rounds import Rounds
from synergyc.pipeline.evaluation_tables import evaluation_markdown, evaluation_rows
from synergyc.plan.instance import make_instance
from synergyc.plan.selectors import BASELINES
from synergyc.plan.selectors.loading import loading
from synergyc.plan.timeline import schedule
from synergyc.plan.types import AppPlan, Prediction
from synergyc.targets import load_chip
from tests.plan.instances import at_most_together
from tests.plan.problems import chain

NETWORKS = {"small": chain("small", (3, 8, 4)), "large": chain("large", (3, 16, 32, 16, 4))}
FLEET = ("max78000", "max78002")


def network(name: str, form: str) -> Network:
    return NETWORKS[name]


@pytest.fixture(scope="module")
def rows() -> tuple[Row, ...]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluation, "WORKLOADS", {"both": ("small", "large")})
        patch.setattr(evaluation, "FLEETS", {"1 MAX78000 + 1 MAX78002": FLEET, "1 MAX78002": FLEET[1:]})
        patch.setattr(evaluation, "RATES_KBYTE_S", (7.0, 1000.0))
        asked = Evaluation(network, 5.0, lambda *_: None, ("both",))
        return tuple(asked.rows())


def test_exact_is_never_worse(rows: tuple[Row, ...]) -> None:
    best = {row.case: row for row in rows if row.selector == "exact"}
    assert all(row.apps and row.optimal for row in best.values())
    for row in rows:
        if row.apps:
            ours, other = figure(best[row.case]), figure(row)
            assert ours <= other + 1e-6 * abs(other), (row.case, row.selector)


def figure(row: Row) -> float:
    """Return what a row's objective compares; less is better."""
    if row.objective == "throughput":
        return -row.throughput_hz
    if row.objective == "latency":
        return row.latency_ms
    return sum(app.predicted.energy_uj for app in row.apps)


def test_a_typical_plan_has_as_many_devices_and_is_no_better(rows: tuple[Row, ...]) -> None:
    by_key = {(row.case, row.selector, row.tie): row for row in rows}
    differ = 0
    for (case, name, tie), row in by_key.items():
        other = by_key.get((case, name, "typical"))
        if tie == "best" and other is not None:
            assert [len(app.segments) for app in row.apps] == [len(app.segments) for app in other.apps]
            if row.objective == "latency":
                assert row.latency_ms <= other.latency_ms
                differ += row.latency_ms < other.latency_ms
    assert differ


def test_a_single_device_leaves_no_choice(rows: tuple[Row, ...]) -> None:
    alone = replace(BELIEVED, fleets=("1 MAX78002",), overlap=True)
    for name in BASELINES:
        assert set(compare(rows, name, alone).throughput) == {1.0}


def test_document_and_page(rows: tuple[Row, ...]) -> None:
    lines = json.loads(json.dumps(list(evaluation_rows(rows))))
    assert len(lines) == len(rows)
    found = summary(rows)
    wanted = {"throughput_x", "throughput_x_geomean", "latency_reduction", "power_reduction"}
    assert found.keys() >= wanted | {"exact_over_progressive"}
    page = evaluation_markdown(rows, budget_s=5.0)
    for name, _ in sensitivity(rows):
        assert f"| {name} |" in page


def row_of(selector: str, rate_hz: float, latency_ms: float, energy_uj: float) -> Row:
    predicted = Prediction(rate_hz, latency_ms, "d0.cpu", {}, energy_uj=energy_uj)
    apps = tuple(AppPlan(name, "d0", "d0", (), (), predicted) for name in ("a", "b"))
    return Row("w", "1 MAX78002", "neighbour", 7.0, "throughput", selector, "best", apps, "", optimal=True)


def test_gains_by_hand() -> None:
    ours, other = row_of("exact", 10.0, 50.0, 100.0), row_of("IndModel", 4.0, 200.0, 400.0)
    # Two apps, 200 ms each, one after the other: 5 runs a second in all, 2.5 of each.
    assert other.sequential_hz == pytest.approx(5.0)
    assert gain(ours, other, "throughput", overlap=False) == pytest.approx(20 / 5)
    assert gain(ours, other, "throughput", overlap=True) == pytest.approx(20 / 8)
    # A unit that is busy for 500 ms in a round of both apps lets no more than 2 rounds a second through.
    assert row_of("IndModel", 2.0, 200.0, 400.0).sequential_hz == pytest.approx(4.0)
    assert gain(ours, other, "latency", overlap=False) == pytest.approx(0.75)
    idle_mw = load_chip("max78002").cnn.energy.idle_mw
    assert power_mw(ours, {"a": 10.0, "b": 10.0}) == pytest.approx(idle_mw + 2 * 10 * 0.1)
    expected = 1 - (idle_mw + 2 * 2.5 * 0.1) / (idle_mw + 2 * 2.5 * 0.4)
    assert gain(ours, other, "energy", overlap=False) == pytest.approx(expected)


def test_plans_that_conflict_load_weights() -> None:
    problem = make_problem(("small", "large"), FLEET[1:], 7.0, swap=True)
    for layers, loads in ((4, True), (6, False)):
        instance = make_instance(problem, NETWORKS, at_most_together(layers, frozenset()), "throughput")
        running = loading(instance, (0, 0))
        assert running is not None
        larger, rows = running
        plans = larger.plans(rows)
        tasks = {term.task for plan in plans for term in plan.predicted.terms}
        assert ("weights" in tasks) is loads
        assert all(segment.swapped is loads for plan in plans for segment in plan.segments)


def test_a_round_of_all_apps() -> None:
    problem = make_problem(("small", "large"), FLEET, 92.0)
    instance = make_instance(problem, NETWORKS, at_most_together(9, frozenset()), "latency")
    rounds = Rounds(instance)
    plan = [instance.candidate(j, 0) for j in range(2)]
    alone_ms = rounds.one_by_one_ms(plan[:1])
    in_turn_ms = rounds.one_by_one_ms(plan)
    # Apps that share a channel and a device wait for each other, but less than if one ran at a time.
    assert alone_ms < rounds.together_ms(plan) < in_turn_ms
    costings = [table.model.cost(item) for table, item in zip(instance.tables, plan, strict=True)]
    alone = [schedule(problem, [costing], runs=1).apps[costing.candidate.app] for costing in costings]
    assert in_turn_ms == pytest.approx(sum(app.latency_ms for app in alone))


def test_where_apps_sense_and_interact() -> None:
    for placement, shift in evaluation_cases.PLACEMENTS.items():
        problem = make_problem(("small", "large"), FLEET, 7.0, placement)
        for k, app in enumerate(problem.apps):
            assert app.sensor in problem.devices[k % 2].sensors
            assert app.actuator in problem.devices[(k + shift) % 2].actuators
