"""Chains that tables do not list: ``exact`` with few listed against ``exhaustive`` with all of them."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from synergyc.diagnostics import Diagnostic, SynergyError
from synergyc.ir.network import Network
from synergyc.plan import table as listing
from synergyc.plan.chain_costs import ChainCosts
from synergyc.plan.cost import CostModel
from synergyc.plan.costing import app_plans
from synergyc.plan.instance import Instance, make_instance
from synergyc.plan.labels import LongChains
from synergyc.plan.problem import PlanPin
from synergyc.plan.selectors import Budget, Selection, find_selector
from synergyc.plan.selectors.exact import by_parts
from synergyc.plan.selectors.growth import grown, with_begins
from synergyc.plan.selectors.reduction import Part, around, by_added, whole
from synergyc.plan.selectors.search import Search
from synergyc.plan.space import Candidate, enumerate_candidates
from synergyc.plan.table import MAX_CANDIDATES, unit_index
from synergyc.targets import Chip
from tests.plan.instances import RandomCase, long_case, random_case
from tests.plan.problems import chain, pair

MOST_PLANS = 5_000
"""Larger instances are left to the benchmark."""


def instance_of(case: RandomCase, max_candidates: int = MAX_CANDIDATES) -> Instance | None:
    try:
        return make_instance(case.problem, case.networks, case.fits, case.objective, max_candidates)
    except SynergyError:
        return None


def selection(instance: Instance, name: str) -> Selection | None:
    try:
        return find_selector(name)(instance, Budget.of(60.0))
    except SynergyError:
        return None


@pytest.mark.parametrize("make", [long_case, random_case])
def test_exact_finds_the_best_of_all_lengths(make: Callable[[int], RandomCase]) -> None:
    # 500 instances: python -m benchmarks.exact
    solved, longest = 0, 0
    for seed in range(40):
        case = make(seed)
        everything, few = instance_of(case), instance_of(case, 1)
        assert (everything is None) == (few is None), seed
        if everything is None or few is None or everything.size > MOST_PLANS:
            continue
        truth, found = selection(everything, "exhaustive"), selection(few, "exact")
        assert (truth is None) == (found is None), seed
        if truth is None or found is None or found.grown is None:
            continue
        solved += 1
        assert found.optimal, seed
        assert not any(table.unlisted for table in found.grown.tables)
        best = everything.score(truth.rows)[0]
        assert found.grown.score(found.rows)[0] == pytest.approx(best, rel=1e-8), seed
        assert not found.grown.reasons_of(found.rows), seed
        longest = max(longest, *(len(everything.candidate(j, r).devices) for j, r in enumerate(truth.rows)))
    assert solved > 10
    assert longest > 3 or make is random_case


def test_a_bound_out_of_time_counts_chains_that_are_not_listed() -> None:
    # Truth: exhaustive, with everything listed. Only a cut, which is not listed, has little to send.
    networks = {"a": chain("n", (16, 4, 16))}

    def fits(networks: Sequence[Network], chip: Chip) -> tuple[Diagnostic, ...]:
        return ()

    everything, few = (make_instance(pair(), networks, fits, "ratio", most) for most in (MAX_CANDIDATES, 1))
    truth, hurried = find_selector("exhaustive")(everything, Budget()), find_selector("exact")(few, Budget(0))
    best = everything.score(truth.rows)[0]
    assert hurried.grown is not None
    assert hurried.grown.score(hurried.rows)[0] > 2 * best
    assert not hurried.optimal
    assert hurried.bound is not None
    assert hurried.bound <= best


def test_tables_that_may_list_nothing_hold_some_chains(monkeypatch: pytest.MonkeyPatch) -> None:
    # As of an app that is split among many devices. Truth: exhaustive, with everything listed.
    solved = 0
    for seed in range(24):
        case = long_case(seed)
        everything = instance_of(case)
        if everything is None or everything.size > MOST_PLANS or isinstance(case.objective, Mapping):
            continue  # weights are relative to the best that is listed
        truth = selection(everything, "exhaustive")
        with monkeypatch.context() as patch:
            patch.setattr(listing, "MAX_CANDIDATES", 0)
            few = instance_of(case, 0)
        assert few is not None
        assert all(table.unlisted for table in few.tables)
        found = selection(few, "exact")
        assert (truth is None) == (found is None)
        if truth is not None and found is not None and found.grown is not None:
            solved += 1
            assert found.optimal
            assert found.grown.score(found.rows)[0] == pytest.approx(
                everything.score(truth.rows)[0], rel=1e-8
            )
    assert solved > 2


def test_a_split_of_which_no_chain_is_found_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    case = long_case(0)
    devices, layers = case.problem.devices, case.networks[case.problem.apps[0].name].layers
    assert len(layers) - 2 < len(devices) <= len(layers)
    together = PlanPin(0, 2, devices[0].name)  # what is left is too little for the other devices
    asked = replace(case.problem.apps[0], split=len(devices), pins=(together,), deadline_ms=None)
    monkeypatch.setattr(listing, "MAX_CANDIDATES", 0)
    problem = replace(case.problem, apps=(asked, *case.problem.apps[1:]))
    with pytest.raises(SynergyError) as error:
        make_instance(problem, case.networks, case.fits, case.objective, 0)
    assert error.value.diagnostics[0].rule == "split-devices"
    assert repr(asked.name) in error.value.diagnostics[0].message


@pytest.mark.parametrize("seed", range(0, 24, 2))
def test_without_a_limit_every_chain_grows(seed: int) -> None:
    # Truth: enumerate_candidates, one candidate at a time, without those that fit no chip of their own.
    case = long_case(seed)
    few = instance_of(case, 1)
    if few is None:
        return
    everything = grown(few, math.inf, Budget.of(60.0))
    assert math.isinf(everything.bound)
    for table in everything.instance.tables:
        app, model = table.model.app, table.model
        found = [table.candidate(row) for row in range(len(table))]
        assert len(set(found)) == len(found)
        fit = {item for item in found if few.checks.alone(item)}
        listed = set(enumerate_candidates(case.problem, app, model.network))
        if app.deadline_ms is not None:
            listed = {c for c in listed if _latency_ms(table.model, c) <= app.deadline_ms}
        assert fit == {item for item in listed if few.checks.alone(item)}


def _latency_ms(model: CostModel, candidate: Candidate) -> float:
    (plan,) = app_plans((model.cost(candidate),))
    return plan.predicted.latency_ms


@pytest.mark.parametrize("seed", range(8))
def test_labels_bound_what_begins_with_them(seed: int) -> None:
    # Truth: the costs of every listed candidate.
    everything = instance_of(long_case(seed))
    if everything is None:
        return
    table = everything.tables[0]
    costs = ChainCosts(table.model, unit_index(everything.problem))
    chains = LongChains(costs, 2, 5)
    labels, places, lasts = chains.start(), costs.places, costs.lasts
    bounds = chains.bounds(labels, table)
    draw = random.Random(seed)  # noqa: S311 - not for secrets
    long = [row for row in range(len(table)) if len(table.candidate(row).devices) > 1]
    for row in draw.sample(long, min(60, len(long))):
        candidate = table.candidate(row)
        begins = np.flatnonzero(
            (labels.senses == places[candidate.sense_device])
            & (labels.devices[:, 0] == places[candidate.devices[0]])
            & (labels.ends[:, 0] == lasts.index(candidate.cuts[0]))
        )
        (begin,) = begins
        slack = 1e-9
        assert (bounds.busy_us[begin] <= table.busy_us[row] + slack).all()
        assert (bounds.energy_uj[begin] <= table.energy_uj[row] + slack).all()
        assert bounds.run_uj[begin] <= table.run_uj[row] + slack
        assert bounds.latency_us[begin] <= table.latency_us[row] + slack
        assert bounds.size_bytes[begin] <= table.size_bytes[row] + slack
    # What is still to come may spare each device, but takes energy wherever it runs.
    assert (bounds.run_uj >= bounds.energy_uj.sum(axis=1) * (1 - 1e-9)).all()
    assert (bounds.run_uj > bounds.energy_uj.sum(axis=1) * (1 + 1e-6)).any()


@pytest.mark.parametrize("seed", range(12))
def test_begins_stand_for_all_chains_and_are_no_plans(seed: int) -> None:
    # Truth: the best plan of all chains. Nodes are limited as in the first search of a part.
    case = replace(long_case(seed), objective="throughput")
    everything, few = instance_of(case), instance_of(case, 1)
    truth = selection(everything, "exact") if everything else None
    if everything is None or few is None or truth is None:
        return
    opened: list[Part] = []
    search = Search(with_begins(few), Budget.of(60.0))
    bound = min(by_parts(search, opened=opened), *(part.bound for part in opened), search.score[0])
    best = everything.score(truth.rows)[0]
    assert bound <= best + 1e-8 * abs(best)
    if search.rows is not None:
        assert all(row < len(table) for row, table in zip(search.rows, few.tables, strict=True))
        assert not few.reasons_of(search.rows)
        assert search.score[0] >= best - 1e-8 * abs(best)
    hull = around(opened)
    for part in opened:
        assert hull is None or part.instance.bracket is not None
        if hull is not None and part.instance.bracket is not None:
            assert hull.least_us <= part.instance.bracket.least_us
            assert part.instance.bracket.most_us <= hull.most_us


def test_parts_by_what_was_added_hold_every_plan_once() -> None:
    # Truth: all combinations of rows.
    instance = next(
        found for seed in range(40) if (found := instance_of(random_case(seed), 1)) and found.size > 20
    )
    listed = [max(1, len(table) // 2) for table in instance.tables]
    parts = by_added(whole(instance), listed)
    plans = [rows for part in parts for rows in product(*(kept.tolist() for kept in part.kept))]
    assert sorted(plans) == sorted(product(*(range(len(table)) for table in instance.tables)))
    assert len(parts) == 1 + sum(len(t) > n for t, n in zip(instance.tables, listed, strict=True))
    added = [rows for rows in plans if any(row >= n for row, n in zip(rows, listed, strict=True))]
    parts = by_added(whole(instance), listed, done=True)
    plans = [rows for part in parts for rows in product(*(kept.tolist() for kept in part.kept))]
    assert sorted(plans) == sorted(added)


def test_what_is_left_out_is_bounded() -> None:
    left_out = 0
    for seed in range(20):
        case = long_case(seed)
        everything, few = instance_of(case), instance_of(case, 1)
        truth = selection(everything, "exact") if everything else None
        if everything is None or few is None or truth is None or len(everything.tables) > 1:
            continue
        best = everything.score(truth.rows)[0]
        for most, seconds in ((1, 60.0), (3, 60.0), (3, -1.0)):
            part = grown(few, math.inf, Budget.of(seconds), most)
            left_out += math.isfinite(part.bound)
            alone = selection(part.instance, "exhaustive")
            reached = part.instance.score(alone.rows)[0] if alone else math.inf
            assert min(part.bound, reached) <= best + 1e-8 * abs(best), seed
    assert left_out > 10


@pytest.mark.parametrize("seconds", [0.0, 0.01])
def test_out_of_time_there_is_a_plan_with_a_bound(seconds: float) -> None:
    # Truth: exhaustive, over chains of all lengths.
    solved = 0
    for seed in range(20):
        case = replace(long_case(seed), objective="throughput")
        everything, few = instance_of(case), instance_of(case, 1)
        if everything is None or few is None or everything.size > MOST_PLANS:
            continue
        truth = selection(everything, "exhaustive")
        try:
            found = find_selector("exact")(few, Budget.of(seconds))
        except SynergyError:
            continue
        assert truth is not None, seed
        assert found.grown is not None, seed
        solved += 1
        best = everything.score(truth.rows)[0]
        rounding = 1e-8 * abs(best)
        assert found.bound is not None, seed
        assert found.bound <= best + rounding, seed
        assert found.grown.score(found.rows)[0] >= best - rounding, seed
    assert solved
