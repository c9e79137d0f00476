"""Selectors against ``exhaustive``, which scores every plan, and against a plain sum of the cost model."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import EntryPoint
from itertools import product

import numpy as np
import pytest

from synergyc.diagnostics import Diagnostic, SynergyError
from synergyc.ir.network import Network
from synergyc.plan import selectors
from synergyc.plan.checks import Fits
from synergyc.plan.costing import app_plans
from synergyc.plan.goals import rounded
from synergyc.plan.instance import Instance, make_instance
from synergyc.plan.power import device_powers
from synergyc.plan.problem import PlanApp, PlanDevice, PlanProblem
from synergyc.plan.selectors import BUILT_IN, Budget, baselines, find_selector, known_selectors
from synergyc.plan.selectors.base import Selection
from synergyc.plan.selectors.multipliers import load_bound
from synergyc.plan.selectors.search import Search
from synergyc.plan.space import enumerate_candidates
from synergyc.targets import Chip, load_chip
from tests.plan.instances import at_most_together, random_case
from tests.plan.problems import chain, wire

QUICK = tuple(name for name in BUILT_IN if name not in ("exact", "exhaustive"))


def instance_of(seed: int) -> Instance | None:
    case = random_case(seed)
    try:
        return make_instance(case.problem, case.networks, case.fits, case.objective)
    except SynergyError:
        return None


def selection(instance: Instance, name: str) -> Selection | None:
    try:
        return find_selector(name)(instance, Budget.of(60.0))
    except SynergyError:
        return None


def test_exact_is_exhaustive_and_no_other_is_better() -> None:
    # 500 instances: python -m benchmarks.exact
    solved = 0
    for seed in range(120):
        instance = instance_of(seed)
        if instance is None:
            continue
        truth, found = selection(instance, "exhaustive"), selection(instance, "exact")
        assert (truth is None) == (found is None), seed
        if truth is None or found is None:
            continue
        solved += 1
        assert found.optimal
        best = instance.score(found.rows)
        assert best == pytest.approx(instance.score(truth.rows), rel=1e-8), seed
        for name in QUICK:
            other = selection(instance, name)
            if other is not None:
                assert not instance.reasons_of(other.rows), (seed, name)
                assert instance.score(other.rows) >= best, (seed, name)
    assert solved > 50


@pytest.mark.parametrize("seed", range(20))
def test_tables_are_the_cost_model(seed: int) -> None:
    # Truth: CostModel.cost, which test_cost.py compares with sums made by hand.
    instance = instance_of(seed)
    if instance is None:
        return
    for table in instance.tables:
        every = [table.candidate(row) for row in range(len(table))]
        model = table.model
        if model.app.deadline_ms is None:
            assert set(every) == set(enumerate_candidates(model.problem, model.app, model.network))
        for row, candidate in enumerate(every):
            (plan,) = app_plans((model.cost(candidate),))
            assert 1000 * plan.predicted.latency_ms == pytest.approx(table.latency_us[row])
            assert plan.predicted.energy_uj == pytest.approx(table.run_uj[row])
            assert 1e6 / plan.predicted.throughput_hz == pytest.approx(table.busy_us[row].max())


@pytest.mark.parametrize("seed", range(30))
def test_scores_are_predictions(seed: int) -> None:
    instance = instance_of(seed)
    if instance is None or instance.objective not in ("throughput", "latency", "energy", "ratio", "battery"):
        return
    draw = random.Random(seed)  # noqa: S311 - not for secrets
    rows = [draw.randrange(len(table)) for table in instance.tables]
    predicted = [plan.predicted for plan in instance.plans(rows)]
    apps = instance.problem.apps
    assert instance.objective != "battery" or instance.scorer.idle_drain is not None
    missed = any(
        app.wanted_hz and item.throughput_hz < app.wanted_hz
        for app, item in zip(apps, predicted, strict=True)
    )
    if missed and instance.objective != "ratio":
        assert instance.score(rows)[0] == np.inf
        return
    ratios = [item.throughput_hz / (app.wanted_hz or 1.0) for app, item in zip(apps, predicted, strict=True)]
    expected = {
        "throughput": sum(item.throughput_hz for item in predicted),
        "ratio": min(ratios),
        "latency": sum(item.latency_ms for item in predicted),
        "energy": sum(item.energy_uj for item in predicted),
        "battery": min(
            (
                power.battery_mwh / (power.idle_mw + power.runs_mw)
                for power in device_powers(instance.problem, instance.plans(rows))
                if power.battery_mwh
            ),
            default=np.inf,
        ),
    }[str(instance.objective)]
    assert instance.scorer.value(instance.score(rows)[0]) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("seed", range(12))
def test_bounds_are_bounds(seed: int) -> None:
    instance = instance_of(seed)
    if instance is None or len(instance.tables) < 2:
        return
    draw = random.Random(seed)  # noqa: S311 - not for secrets
    plans = list(product(*(range(len(table)) for table in instance.tables)))
    for rows in draw.sample(plans, min(40, len(plans))):
        if not instance.reasons_of(rows):
            for depth in range(len(rows) - 1):
                chosen = dict(enumerate(rows[:depth]))
                bounds = instance.bounds(depth, chosen, range(depth + 1, len(rows)))
                assert bounds is not None
                assert tuple(bounds[rows[depth]]) <= instance.score(rows)


def test_needs_are_of_what_fits_beside_the_chosen() -> None:
    raised = 0
    for seed in range(60):
        instance = instance_of(seed)
        if instance is None or len(instance.tables) < 2:
            continue
        last = len(instance.tables) - 1
        for row in range(len(instance.tables[0])):
            chosen = {0: row}
            fitting = [i for i in range(len(instance.tables[last])) if instance.admits(chosen, last, i)]
            least_us = instance.least_beside(chosen, [last])
            if least_us is None:
                assert not fitting
            elif len(instance.tables[last]) <= 40:
                unit = int(instance.load_us(chosen, [last], least_us).argmax())
                assert least_us[last, unit] == instance.tables[last].busy_us[fitting, unit].min()
                raised += least_us[last, unit] > instance.floors_us[last, unit]
    assert raised


@pytest.mark.parametrize("seed", range(30))
def test_priced_units_bound_the_ratio(seed: int) -> None:
    instance = instance_of(seed)
    if instance is None:
        return
    instance = replace(instance, scorer=replace(instance.scorer, objective="ratio"))
    best = selection(instance, "exact")
    if best is not None:
        assert load_bound(instance) <= instance.score(best.rows)[0]


def test_a_spent_budget_gives_a_plan_and_a_bound() -> None:
    found = 0
    for seed in range(60):
        instance = instance_of(seed)
        best = selection(instance, "exact") if instance else None
        if instance is None or best is None:
            continue
        try:
            hurried = find_selector("exact")(instance, Budget.of(-1.0))
        except SynergyError:
            continue
        found += not hurried.optimal
        assert hurried.bound is not None
        assert hurried.bound <= instance.score(best.rows)[0]
        assert instance.score(hurried.rows) >= instance.score(best.rows)
    assert found > 5


@pytest.mark.parametrize("seed", [62, 76])
def test_no_plan_in_time_is_not_said_to_be_none_at_all(seed: int) -> None:
    # Truth: with more time there is one.
    instance = instance_of(seed)
    assert instance is not None
    assert selection(instance, "exact") is not None
    with pytest.raises(SynergyError) as error:
        find_selector("exact")(instance, Budget(0.0))
    head, *reasons = error.value.diagnostics
    assert head.rule == "no-plan-in-time"
    assert "there may be one" in head.message
    assert {reason.rule for reason in reasons} == {"layers"}


def test_a_search_counts_the_apps_that_want_the_same_memory() -> None:
    """Two apps are at home on a device with room for one; the third one has a device for itself."""
    devices = tuple(PlanDevice(name, load_chip("max78000"), (name,), (name,)) for name in "abc")
    apps = tuple(PlanApp(f"app{i}", home, home) for i, home in enumerate("aac"))
    links = (wire("a", "b"), wire("b", "c"), wire("a", "c"))
    problem = PlanProblem(devices, links, apps, shared_accelerators=True)
    networks = {app.name: chain(app.name, (3, 8, 4)) for app in apps}
    search = Search(
        make_instance(problem, networks, at_most_together(3, frozenset()), "latency"), Budget.of(60.0)
    )
    search.run()
    assert search.rows is not None
    assert min(search.refused[0], search.refused[1]) > search.refused[2]


def test_rounding_keeps_order() -> None:
    values = np.array([-np.inf, -1234.56789012345, -1e-9, 0.0, 1e-12, 0.1 + 0.2, 0.3, 1e9, np.inf])
    assert (np.diff(rounded(np.sort(values))[1:-1]) >= 0).all()
    assert rounded(values)[5] == rounded(values)[6]


def test_selectors_of_other_packages_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("mine", "synergyc.plan.selectors.progressive:progressive", selectors.GROUP)

    def points(group: str, name: str | None = None) -> tuple[EntryPoint, ...]:
        return (point,) if group == selectors.GROUP and name in (None, "mine") else ()

    monkeypatch.setattr(selectors, "entry_points", points)
    assert find_selector("mine") is find_selector("progressive")
    assert known_selectors() == (*BUILT_IN, "mine")


def triangle(fits: Fits, chips: tuple[str, ...] = ("max78000",) * 3) -> Instance:
    """Return devices a, b, c that are all linked; one app senses and interacts on the first."""
    devices = tuple(
        PlanDevice(name, load_chip(chip), *((("imu",), ("led",)) if name == "a" else ()))
        for name, chip in zip("abc", chips, strict=True)
    )
    links = (wire("a", "b", 460.8), wire("a", "c", 230.4), wire("b", "c"))
    problem = PlanProblem(devices, links, (PlanApp("one", "imu", "led"),))
    return make_instance(problem, {"one": chain("n", (3, 8, 16, 4))}, fits, "latency")


def test_equal_chips_give_equal_model_times_and_the_objective_decides() -> None:
    instance = triangle(lambda networks, chip: ())
    (table,) = instance.tables
    alone = [row for row in range(len(table)) if table.segments[row] == 1]
    assert len(alone) == 3
    assert len({float(table.model_us[row]) for row in alone}) == 1
    for run in (baselines.ind_model, baselines.joint_model):
        best, typical = (run(instance, Budget.of(10.0), tie=tie) for tie in ("best", "typical"))
        assert table.candidate(best.rows[0]).devices == ("a",)  # no transfer at all
        assert table.candidate(typical.rows[0]).devices == ("b",)  # between a and the slow way to c


def test_neurosurgeon_may_leave_the_whole_network_to_another_device() -> None:
    def only_large(networks: Sequence[Network], chip: Chip) -> tuple[Diagnostic, ...]:
        return () if chip.name == "max78002" else (Diagnostic("small", "must be a larger chip"),)

    instance = triangle(only_large, ("max78000", "max78002", "max78000"))
    for name in ("Neurosurgeon", "DADS"):
        (row,) = find_selector(name)(instance, Budget.of(10.0)).rows
        assert instance.candidate(0, row).devices == ("b",)
