"""What the search drops must never be needed: reduced and split instances against ``exhaustive``."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from synergyc.diagnostics import SynergyError
from synergyc.plan.instance import Bracket, Instance, make_instance
from synergyc.plan.selectors.base import Budget
from synergyc.plan.selectors.exhaustive import exhaustive
from synergyc.plan.selectors.reduction import halves, reduced, whole
from tests.plan.instances import random_case


def solved(seed: int) -> tuple[Instance, tuple[int, ...]] | None:
    """Return a random instance and its best plan, by scoring all of them; None if it has none."""
    case = random_case(seed)
    try:
        instance = make_instance(case.problem, case.networks, case.fits, case.objective)
        return instance, exhaustive(instance, Budget.of(60.0)).rows
    except SynergyError:
        return None


@pytest.mark.parametrize("seed", range(0, 60, 3))
def test_the_best_plan_stays(seed: int) -> None:
    found = solved(seed)
    if found is None:
        return
    instance, rows = found
    best = instance.score(rows)[0]
    part = reduced(whole(instance), best)
    assert part is not None
    assert part.holds(rows)
    assert part.outer(part.inner(rows)) == rows
    assert part.bound <= best + 1e-8 * abs(best)
    assert part.instance.score(part.inner(rows)) == pytest.approx(instance.score(rows), rel=1e-8)


@pytest.mark.parametrize("seed", range(0, 60, 3))
def test_one_half_has_the_best_plan_with_its_score(seed: int) -> None:
    found = solved(seed)
    if found is None:
        return
    instance, rows = found
    best = instance.score(rows)[0]
    scores = []
    for half in halves(whole(instance)):
        part = reduced(half, best)
        if part is not None and part.holds(rows):
            scores.append(part.instance.score(part.inner(rows))[0])
    if halves(whole(instance)):
        assert min(scores) == pytest.approx(best, rel=1e-8)


def test_nothing_is_left_below_the_optimum() -> None:
    # Seeds with a single app, where bounds are the scores themselves.
    tried = 0
    for seed in range(80):
        found = solved(seed)
        if found is None or len(found[0].tables) > 1:
            continue
        instance, _ = found
        lowest = float(instance.scores(0, {})[:, 0].min())
        if math.isfinite(lowest) and lowest:
            tried += 1
            assert reduced(whole(instance), lowest - 0.01 * abs(lowest)) is None
    assert tried


def test_a_bracket_excludes_and_lifts_loads() -> None:
    instance = next(found[0] for seed in range(40) if (found := solved(seed)))
    table = instance.tables[0]
    unit = int(table.busy_us.max(axis=0).argmax())
    most_us = float(np.median(table.busy_us[:, unit]))
    least_us = 2 * float(table.busy_us.max())
    low = replace(instance, bracket=Bracket(unit, 0.0, most_us))
    missed = np.isinf(np.broadcast_to(low.figures(0, {}).segments, len(table)))
    assert missed[table.busy_us[:, unit] > most_us * 1.01].all()
    high = replace(instance, bracket=Bracket(unit, least_us, math.inf))
    used = table.busy_us[:, unit] > 0
    assert (high.periods(0, {})[used] == least_us).all()
    assert (high.periods(0, {})[~used] == instance.periods(0, {})[~used]).all()
