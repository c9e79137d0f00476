"""What of an instance can still hold a better plan than the best one so far: usually a small part of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from synergyc.plan.columns import Floats, Indices
from synergyc.plan.goals import Figures, best_of
from synergyc.plan.instance import Bracket, Instance
from synergyc.plan.table import CandidateTable

_TOLERANCE = 1e-8
"""Sums of another order may differ by so much: the best plan's own candidates must stay."""

KEPT = 0.9
"""A round that leaves more of the candidates than this was the last one."""

_WIDTH = 1.02
"""A bracket is not split where its largest load is less than so many times its smallest one."""


@dataclass(frozen=True)
class Part:
    """An instance with the rows that its tables keep of the whole one, and a lower bound of its scores."""

    instance: Instance
    kept: tuple[Indices, ...]
    bound: float = -math.inf

    def inner(self, rows: tuple[int, ...]) -> tuple[int, ...]:
        """Return the rows of a plan, all of them kept, as rows of this part."""
        return tuple(int(np.searchsorted(kept, row)) for kept, row in zip(self.kept, rows, strict=True))

    def outer(self, rows: tuple[int, ...]) -> tuple[int, ...]:
        """Return the rows of this part's plan as rows of the whole instance."""
        return tuple(int(kept[row]) for kept, row in zip(self.kept, rows, strict=True))

    def only(self, rows: Sequence[Indices]) -> Part:
        """Return the part with these rows of each of its tables."""
        pairs = list(zip(self.instance.tables, rows, strict=True))
        tables = tuple(table.only(kept) for table, kept in pairs)
        kept = tuple(before[now] for before, now in zip(self.kept, rows, strict=True))
        return Part(replace(self.instance, tables=tables), kept, self.bound)

    def holds(self, rows: tuple[int, ...]) -> bool:
        """Return whether every row of a plan of the whole instance is kept."""
        return all(row in kept for kept, row in zip(self.kept, rows, strict=True))


def whole(instance: Instance) -> Part:
    """Return the part that is everything."""
    return Part(instance, tuple(np.arange(len(table), dtype=np.intp) for table in instance.tables))


def by_added(part: Part, listed: Sequence[int], *, done: bool = False) -> list[Part]:
    """Return parts that hold every plan of ``part`` once: by the first app that takes an added candidate.

    Rows of the whole instance from ``listed`` on, a number for each app, are added ones. The app with the
    fewest of them comes first. One part is without any, unless these plans are ``done``.
    """
    old = [np.flatnonzero(kept < size) for kept, size in zip(part.kept, listed, strict=True)]
    new = [np.flatnonzero(kept >= size) for kept, size in zip(part.kept, listed, strict=True)]
    rows = [np.arange(len(kept), dtype=np.intp) for kept in part.kept]
    found = []
    for j in sorted((j for j, added in enumerate(new) if len(added)), key=lambda j: len(new[j])):
        found.append([*rows[:j], new[j], *rows[j + 1 :]])
        rows[j] = old[j]
    parts = found if done else [rows, *found]
    return [part.only(choice) for choice in parts if all(map(len, choice))]


def within(best: float) -> float:
    """Return the largest score of what may be as good as ``best``."""
    return best + _TOLERANCE * abs(best)


@dataclass(frozen=True)
class Outlook:
    """What every app of an instance needs at least, and can at best reach beside the others.

    ``floors`` has a table of one row for each app: the least that it takes of everything.
    """

    floors: Instance
    alone: tuple[Figures, ...]

    def scores(self, j: int, table: CandidateTable) -> Floats:
        """Return lower bounds (n,) of the scores of all plans in which app ``j`` takes a row of ``table``."""
        if not len(table):
            return np.zeros(0)
        tables = self.floors.tables
        mine = replace(self.floors, tables=(*tables[:j], table, *tables[j + 1 :]))
        others = [i for i in range(len(tables)) if i != j]
        rest = sum((self.alone[i] for i in others), start=Figures())
        return np.asarray(mine.scorer.scores(mine.figures(j, {}, others) + rest)[:, 0])


def outlook(instance: Instance, more: Mapping[int, CandidateTable] | None = None) -> Outlook | None:
    """Return the outlook of ``instance``, with ``more`` candidates of some apps.

    None if an app has no candidate beside the others.
    """
    groups = [[table] for table in instance.tables]
    for j, table in (more or {}).items():
        groups[j].append(table)
    groups = [[table for table in group if len(table)] for group in groups]
    if not all(groups):
        return None
    floors = replace(instance, tables=tuple(_least(group) for group in groups))
    alone = []
    for j, group in enumerate(groups):
        found = [figures for table in group if (figures := _alone(floors, j, table)) is not None]
        if not found:
            return None
        alone.append(best_of(found))
    return Outlook(floors, tuple(alone))


def _least(tables: Sequence[CandidateTable]) -> CandidateTable:
    """Return one row: the least that any candidate takes of each unit."""
    busy_us = np.min([table.busy_us.min(axis=0) for table in tables], axis=0)
    return replace(tables[0].only(np.zeros(1, dtype=np.intp)), busy_us=busy_us[None, :])


def _alone(floors: Instance, j: int, table: CandidateTable) -> Figures | None:
    tables = floors.tables
    mine = replace(floors, tables=(*tables[:j], table, *tables[j + 1 :]))
    return mine.rest((j,), {}, [i for i in range(len(tables)) if i != j])


def reduced(part: Part, best: float) -> Part | None:
    """Return ``part`` without the candidates whose every plan has a score above ``best``; None if empty.

    Fewer candidates raise what each app needs at least of the units, and so the bounds of the others.
    """
    while True:
        before = sum(map(len, part.kept))
        smaller = _round(part, within(best))
        if smaller is None or sum(map(len, smaller.kept)) > KEPT * before:
            return smaller
        part = smaller


def _round(part: Part, limit: float) -> Part | None:
    view = outlook(part.instance)
    if view is None:
        return None
    kept, bound = [], part.bound
    for j, table in enumerate(part.instance.tables):
        scores = view.scores(j, table)
        rows = np.flatnonzero(np.isfinite(scores) & (scores <= limit))
        if not len(rows):
            return None
        bound = max(bound, float(scores[rows].min()))
        kept.append(rows)
    return replace(part.only(kept), bound=bound)


def halves(part: Part) -> tuple[Part, ...]:
    """Return two parts, with a smaller and with a larger load of the unit that is needed most; or none."""
    instance = part.instance
    largest_us = np.sum([table.busy_us.max(axis=0) for table in instance.tables], axis=0)
    brackets = halved(instance, instance.floors_us.sum(axis=0), largest_us)
    return tuple(replace(part, instance=replace(instance, bracket=bracket)) for bracket in brackets)


def around(parts: Sequence[Part]) -> Bracket | None:
    """Return the bracket that holds those of all ``parts``; None if one of them, or all, have none."""
    found = [part.instance.bracket for part in parts]
    brackets = [bracket for bracket in found if bracket is not None]
    if not brackets or len(brackets) < len(found):
        return None
    least_us = min(bracket.least_us for bracket in brackets)
    return Bracket(brackets[0].unit, least_us, max(bracket.most_us for bracket in brackets))


def splits(instance: Instance) -> bool:
    """Return whether the range of loads is searched in brackets."""
    first = instance.objective[0] if isinstance(instance.objective, tuple) else instance.objective
    return first == "throughput"


def halved(instance: Instance, floors_us: Floats, largest_us: Floats) -> tuple[Bracket, ...]:
    """Return two brackets that hold all plans of the bracket of ``instance``; none if that is narrow.

    ``floors_us`` is what all apps need at least of each unit, ``largest_us`` about the most. A sum of rates
    is bounded well only where the load that slows all users of a channel is nearly known.
    """
    if not splits(instance):
        return ()
    bracket = instance.bracket or Bracket(int(floors_us.argmax()), 0.0, math.inf)
    unit = bracket.unit
    least_us = max(bracket.least_us, float(floors_us[unit]))
    most_us = min(bracket.most_us, float(largest_us[unit]))
    if least_us <= 0 or most_us <= _WIDTH * least_us:
        return ()
    middle_us = math.sqrt(least_us * most_us)
    return Bracket(unit, least_us, middle_us), Bracket(unit, middle_us, bracket.most_us)
