"""The paper's seven baselines by our reading, and two later ones; docs/selectors.md defines them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from synergyc.diagnostics import Diagnostic, SynergyError
from synergyc.plan.columns import Floats, Mask
from synergyc.plan.goals import rounded
from synergyc.plan.instance import Choice, Instance
from synergyc.plan.selectors.base import (
    Budget,
    ConflictError,
    Selection,
    first_that_fits,
    no_place_left,
    one_by_one,
    plain,
    ranking,
)
from synergyc.plan.selectors.search import Search

Preference = Callable[[Instance, int, Floats], Floats]
"""Keys (n, k) by which an app ranks its candidates, given their scores (n, k)."""


Tie = Literal["best", "typical"]
"""Which of the plans that a selector finds equal: the best one by the objective, or the one in the middle."""


def min_dev(instance: Instance, budget: Budget, tie: Tie = "best") -> Selection:
    """Each app alone: the fewest devices."""
    return _alone(instance, _fewest, tie=tie)


def max_dev(instance: Instance, budget: Budget, tie: Tie = "best") -> Selection:
    """Each app alone: the most devices."""
    return _alone(instance, _most, tie=tie)


def pri_min_dev(instance: Instance, budget: Budget, tie: Tie = "best") -> Selection:
    """Apps by priority: the fewest devices beside those before."""
    return _in_turn(instance, _fewest, tie)


def pri_max_dev(instance: Instance, budget: Budget, tie: Tie = "best") -> Selection:
    """Apps by priority: the most devices beside those before."""
    return _in_turn(instance, _most, tie)


def ind_model(instance: Instance, budget: Budget, tie: Tie = "best") -> Selection:
    """Each app alone: the shortest time from the first segment's load to the last one's unload."""
    return _alone(instance, _model_time, tie=tie)


def joint_model(instance: Instance, budget: Budget, tie: Tie = "best") -> Selection:
    """All apps together: the smallest sum of the times that ``ind_model`` looks at."""
    known = [np.flatnonzero(plain(instance, j)) for j in range(len(instance.tables))]
    tables = tuple(
        replace(table.only(rows), latency_us=table.model_us[rows])
        for table, rows in zip(instance.tables, known, strict=True)
    )
    blind = replace(instance, tables=tables, scorer=replace(instance.scorer, objective="latency"))
    search = Search(blind, budget)
    order = sorted(range(len(tables)), key=lambda j: -instance.data_intensity[j])
    with contextlib.suppress(SynergyError):
        search.offer(one_by_one(blind, order))
    search.run()
    if search.rows is None:
        alone = _choices(instance, _model_time, tie=tie)
        raise ConflictError(
            no_place_left(instance, order[-1], dict.fromkeys(order[:-1], 0)).diagnostics, alone
        )
    found = [int(rows[row]) for rows, row in zip(known, search.rows, strict=True)]
    return _proven_fit(instance, _among_equals(instance, found, order, tie))


def _among_equals(instance: Instance, rows: Sequence[int], order: Sequence[int], tie: Tie) -> list[int]:
    """Return ``rows`` after each app in ``order`` took one of its equally fast candidates, as ``tie`` says.

    The others stay where they are meanwhile, so that the plan still fits.
    """
    chosen = dict(enumerate(rows))
    for j in order:
        others = {i: row for i, row in chosen.items() if i != j}
        scores = instance.scores(j, others)
        keys = _model_time(instance, j, scores)
        equal = keys[:, 0] == keys[chosen[j], 0]
        possible = equal & instance.free(j, others) & np.isfinite(scores[:, 0]) & plain(instance, j)
        row = _first(instance, j, keys, possible, others, tie)
        if row is not None:
            chosen[j] = row
    return [chosen[j] for j in range(len(rows))]


def ind_e2e(instance: Instance, budget: Budget) -> Selection:
    """Each app alone: the best plan from sensor to actuator by the objective."""
    return _alone(instance, lambda instance, j, scores: scores)


def neurosurgeon(instance: Instance, budget: Budget) -> Selection:
    """Each app alone: the sensing device and at most one other, one cut, the shortest latency."""

    def keys(instance: Instance, j: int, scores: Floats) -> Floats:
        return np.column_stack([rounded(instance.tables[j].latency_us), scores])

    return _alone(instance, keys, _offloads)


def dads(instance: Instance, budget: Budget) -> Selection:
    """Each app alone: the sensing device and at most one other, the shortest of the longest stages."""

    def keys(instance: Instance, j: int, scores: Floats) -> Floats:
        return np.column_stack([rounded(instance.periods(j, {})), scores])

    return _alone(instance, keys, _offloads)


def _fewest(instance: Instance, j: int, scores: Floats) -> Floats:
    return np.column_stack([instance.tables[j].segments, scores])


def _most(instance: Instance, j: int, scores: Floats) -> Floats:
    return np.column_stack([-instance.tables[j].segments, scores])


def _model_time(instance: Instance, j: int, scores: Floats) -> Floats:
    return np.column_stack([rounded(instance.tables[j].model_us), scores])


def _offloads(instance: Instance, j: int) -> Mask:
    """Return candidates of any one device, and of two devices of which the first one senses."""
    table = instance.tables[j]
    known = [
        len(chain.devices) == 1 or (len(chain.devices) == 2 and chain.devices[0] == chain.sense)
        for chain in table.chain_list
    ]
    return np.array(known, dtype=np.bool_)[table.chain]


def _alone(
    instance: Instance,
    keys: Preference,
    allowed: Callable[[Instance, int], Mask] | None = None,
    tie: Tie = "best",
) -> Selection:
    """Return the plan where every app chooses as if it had all devices; refused if these do not fit."""
    return _proven_fit(instance, _choices(instance, keys, allowed, tie))


def _choices(
    instance: Instance,
    keys: Preference,
    allowed: Callable[[Instance, int], Mask] | None = None,
    tie: Tie = "best",
) -> list[int]:
    """Return what every app chooses as if it had all devices."""
    rows = []
    for j in range(len(instance.tables)):
        scores = instance.scores(j, {})
        possible = np.isfinite(scores[:, 0]) & plain(instance, j)
        if allowed is not None:
            possible &= allowed(instance, j)
        row = _first(instance, j, keys(instance, j, scores), possible, {}, tie)
        if row is None:
            raise no_place_left(instance, j, {})
        rows.append(row)
    return rows


def _in_turn(instance: Instance, keys: Preference, tie: Tie) -> Selection:
    """Return the plan where apps choose by priority, each beside those before it."""
    chosen: dict[int, int] = {}
    apps = instance.problem.apps
    for j in sorted(range(len(apps)), key=lambda j: -apps[j].priority):
        scores = instance.scores(j, chosen)
        possible = instance.free(j, chosen) & np.isfinite(scores[:, 0]) & plain(instance, j)
        row = _first(instance, j, keys(instance, j, scores), possible, chosen, tie)
        if row is None:
            error = no_place_left(instance, j, chosen)
            rest = _choices(instance, keys, tie=tie)
            raise ConflictError(error.diagnostics, [chosen.get(i, row) for i, row in enumerate(rest)])
        chosen[j] = row
    return Selection(tuple(chosen[j] for j in range(len(apps))))


def _first(instance: Instance, j: int, keys: Floats, possible: Mask, chosen: Choice, tie: Tie) -> int | None:
    """Return the first candidate by ``keys`` that fits beside ``chosen``, or the middle one of its equals.

    Of two in the middle that is the better one.
    """
    rows = ranking(keys, possible)
    found = first_that_fits(instance, j, rows, chosen)
    if found is None or tie == "best":
        return found
    equal = [row for row in rows if keys[row, 0] == keys[found, 0]]
    middle = (len(equal) - 1) // 2
    return first_that_fits(instance, j, [*equal[middle:], *reversed(equal[:middle])], chosen)


def _proven_fit(instance: Instance, rows: Sequence[int]) -> Selection:
    """Return the selection; raises SynergyError if plans chosen without regard to each other conflict."""
    reasons = instance.reasons_of(rows)
    if reasons:
        head = Diagnostic("plans-conflict", "plans that the apps chose on their own do not fit together")
        raise ConflictError((head, *reasons), rows)
    if not np.isfinite(instance.score(rows)[0]):
        raise SynergyError(
            Diagnostic("rate-missed", "plans that the apps chose on their own miss a wanted rate together")
        )
    return Selection(tuple(rows))
