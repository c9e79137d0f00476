"""The default: branch and bound from the best plan of all quick selectors, until proven or out of time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from heapq import heapify, heappop, heappush
from itertools import count
from operator import itemgetter

from synergyc.diagnostics import SynergyError
from synergyc.plan.instance import Bracket, Instance
from synergyc.plan.selectors import baselines
from synergyc.plan.selectors.base import (
    Budget,
    ConflictError,
    Selection,
    Selector,
    first_that_fits,
    improved,
    one_by_one,
    ranking,
)
from synergyc.plan.selectors.growth import grown, with_begins
from synergyc.plan.selectors.loading import all_loading, loading
from synergyc.plan.selectors.multipliers import load_bound
from synergyc.plan.selectors.progressive import progressive
from synergyc.plan.selectors.reduction import Part, around, by_added, halves, reduced, splits, whole
from synergyc.plan.selectors.search import Search, exchange
from synergyc.plan.selectors.unfit import never_fits, nothing_fits

_QUICK = (
    progressive,
    baselines.pri_min_dev,
    baselines.pri_max_dev,
    baselines.min_dev,
    baselines.max_dev,
    baselines.ind_model,
    baselines.ind_e2e,
    baselines.neurosurgeon,
    baselines.dads,
    baselines.joint_model,
)
"""Their plans are where the search begins, so that none of them is ever better than ``exact``."""


_START_SHARE = 0.1
"""Share of the time that is left which one of them may take."""


_EXCHANGE_SHARE = 0.3
"""Share of the time that is left for choosing pairs of apps anew."""

_PART_NODES = 100
"""Nodes for the first search of a part. Not seconds: equal input shall give equal plans."""

_LONGER = 4
"""A search that did not end gets so many times the nodes when it comes again."""

_SEEDS = 500
"""Begins of long chains of one app that are kept where no plan of short ones fits."""

_GROWTH_SHARE = 0.5
"""Share of the time that is left for building long chains."""

_IMPROVED = 2
"""So many of them, the best ones, are improved app by app before the search."""


def exact(instance: Instance, budget: Budget) -> Selection:
    """Return the best plan, proven, or the best that was found in time with a bound on all others.

    The tables list short chains. Longer ones with which a plan may be better than the first one are added
    before the search (``growth``).
    """
    refusal = never_fits(instance)
    if refusal is not None:
        raise refusal
    unlisted = any(table.unlisted for table in instance.tables)
    if not unlisted and not _each_fits_alone(instance):
        raise nothing_fits(instance, budget)
    search = _started(instance, budget)
    if search.rows is None and unlisted:
        search = _started(grown(instance, math.inf, budget, _SEEDS).instance, budget)
    if search.rows is None:
        left_out = search.run()
        if search.rows is None:
            complete = math.isinf(left_out) and not any(table.unlisted for table in search.instance.tables)
            raise nothing_fits(search.instance, budget, proven=complete)
    search, bound = _with_long_chains(search) if unlisted else (search, by_parts(search))
    if math.isfinite(bound):
        bound = max(bound, load_bound(search.instance))
    rows, score = search.rows or (), search.score[0]
    return Selection(rows, min(bound, score), _is_proven(instance, bound, score), search.instance)


def _is_proven(instance: Instance, bound: float, score: float) -> bool:
    """Return whether no plan is better, by a bound of the first goal of all plans that were not looked at.

    If they can be as good by that goal, the second one of a list may still be better; ties of a single goal
    do not count.
    """
    return bound > score or (bound == score and not isinstance(instance.objective, tuple))


def _with_long_chains(search: Search) -> tuple[Search, float]:
    """Search chains of all lengths; return the search with those that were built, and the bound.

    Long chains are built only of apps, and in brackets of loads, where a plan with their first segments, as
    if these were all, may be better.
    """
    listed = search.instance
    sizes = [len(table) for table in listed.tables]
    opened: list[Part] = []
    search = replace(search, instance=with_begins(listed))
    # Brackets are many: each of them divided by apps would cost more than it saves. But then only their parts
    # tell whether plans of listed chains alone are done.
    apart = not splits(listed)
    bound = by_parts(search, opened=opened, listed=sizes if apart else None)
    if math.isinf(bound):
        listed = _without_useless(listed, opened)
    search = replace(search, instance=listed)
    if search.budget.spent or not opened:
        return search, min([bound, *(part.bound for part in opened)])
    bracket = around(opened)
    budget = Budget.of(search.budget.left_s * _GROWTH_SHARE)
    longer = grown(replace(listed, bracket=bracket), search.score[0], budget)
    search = replace(search, instance=replace(longer.instance, bracket=None))
    return search, min(by_parts(search, bracket, listed=sizes, done=apart), longer.bound)


def _without_useless(instance: Instance, opened: Sequence[Part]) -> Instance:
    """Return ``instance`` without unlisted chains of apps that are begun in none of the ``opened`` parts."""
    tables = list(instance.tables)
    for j, table in enumerate(tables):
        if not any(part.instance.tables[j].begun.any() for part in opened):
            tables[j] = replace(table, unlisted=())
    return replace(instance, tables=tuple(tables))


def _each_fits_alone(instance: Instance) -> bool:
    """Return whether every app has a candidate that fits; where one has none, there is nothing to search."""
    apps = range(len(instance.tables))
    return all(first_that_fits(instance, j, ranking(instance.scores(j, {})), {}) is not None for j in apps)


def _started(instance: Instance, budget: Budget) -> Search:
    """Return a search that has the best plan of the quick selectors, improved; none if they find none."""
    instance, found = _starts(instance, budget)
    search = Search(instance, budget)
    starts = sorted({rows: instance.score(rows) for rows in found}.items(), key=itemgetter(1))
    for rows, _ in starts[:_IMPROVED]:
        search.offer(rows)
        search.offer(improved(instance, rows, Budget.of(budget.left_s * _START_SHARE)))
    return search


def by_parts(
    search: Search,
    bracket: Bracket | None = None,
    opened: list[Part] | None = None,
    listed: Sequence[int] | None = None,
    *,
    done: bool = False,
) -> float:
    """Search only where better plans than the first one may be; return what ``Search.run`` does.

    The part with the lowest bound comes first. One with a wide range of loads is split, others are searched,
    each time for longer. Parts where only chains that are begun may be better go to ``opened``.
    Candidates behind the first ``listed`` of each app are searched for apart; ``done``: all plans without
    them are known.
    """
    part = reduced(whole(replace(search.instance, bracket=bracket)), search.score[0])
    if part is None:
        return math.inf
    _exchange_inside(search, part)
    numbers = count()
    first = by_added(part, listed or [len(table) for table in search.instance.tables], done=done)
    queue = [(item.bound, next(numbers), item, _PART_NODES) for item in first]
    heapify(queue)
    while queue and not search.budget.spent:
        _, _, part, nodes = heappop(queue)
        smaller = reduced(part, search.score[0])
        if smaller is None:
            continue
        parts = halves(smaller)
        for half in parts:
            heappush(queue, (half.bound, next(numbers), half, nodes))
        if not parts:
            bound, begun = _search_inside(search, smaller, nodes)
            if begun and opened is not None:
                opened.append(replace(smaller, bound=bound))
            elif math.isfinite(bound):
                heappush(queue, (bound, next(numbers), smaller, nodes * _LONGER))
    return min((bound for bound, *_ in queue), default=math.inf)


def _exchange_inside(search: Search, part: Part) -> None:
    if search.rows is None or not part.holds(search.rows):
        return
    inside = Search(part.instance, search.budget, part.inner(search.rows), search.score)
    exchange(inside, Budget.of(search.budget.left_s * _EXCHANGE_SHARE))
    if inside.rows is not None:
        search.offer(part.outer(inside.rows))


def _search_inside(search: Search, part: Part, nodes: int) -> tuple[float, bool]:
    """Search ``part``, apps with few candidates or that were often refused first: there conflicts show soon.

    Return the bound of what was left out, and whether plans with chains that are only begun are among it.
    """
    tables, refused = part.instance.tables, search.refused
    order = sorted(range(len(tables)), key=lambda j: len(tables[j]) / (1 + refused[j]))
    inside = replace(search, instance=part.instance, rows=None, order=tuple(order), nodes=nodes, begun=False)
    left_out = inside.run()
    if inside.rows is not None:
        search.offer(part.outer(inside.rows))
    return max(left_out, part.bound), inside.begun


def _starts(instance: Instance, budget: Budget) -> tuple[Instance, list[tuple[int, ...]]]:
    """Return the plans of the quick selectors, and the instance with candidates that only these have.

    Where plans may swap weights, those that do not fit together count as they can run.
    """

    def in_turn(instance: Instance, budget: Budget) -> Selection:
        return Selection(one_by_one(instance, instance.order))

    found: list[tuple[int, ...]] = []
    for selector in (*_QUICK, in_turn):
        instance, rows = _running(instance, selector, Budget.of(budget.left_s * _START_SHARE))
        found += [rows] if rows else []
    if not found and instance.problem.weight_swap:
        instance, rows = _running(instance, all_loading, budget)
        found += [rows] if rows else []
    return instance, found


def _running(
    instance: Instance, selector: Selector, budget: Budget
) -> tuple[Instance, tuple[int, ...] | None]:
    """Return what ``selector`` chooses, as it can run, and the instance with its candidates."""
    try:
        return instance, selector(instance, budget).rows
    except ConflictError as error:
        running = loading(instance, error.rows) if instance.problem.weight_swap else None
        return running or (instance, None)
    except SynergyError:
        return instance, None
