"""What of an instance can still hold a better plan than the best one so far: usually a small part of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from synergyc.plan.columns import Indices
from synergyc.plan.goals import Figures
from synergyc.plan.instance import Bracket, Instance

_TOLERANCE = 1e-8
"""Sums of another order may differ by so much: the best plan's own candidates must stay."""

_KEPT = 0.9
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

    def holds(self, rows: tuple[int, ...]) -> bool:
        """Return whether every row of a plan of the whole instance is kept."""
        return all(row in kept for kept, row in zip(self.kept, rows, strict=True))


def whole(instance: Instance) -> Part:
    """Return the part that is everything."""
    return Part(instance, tuple(np.arange(len(table), dtype=np.intp) for table in instance.tables))


def reduced(part: Part, best: float) -> Part | None:
    """Return ``part`` without the candidates whose every plan has a score above ``best``; None if empty.

    Fewer candidates raise what each app needs at least of the units, and so the bounds of the others.
    """
    while True:
        before = sum(map(len, part.kept))
        smaller = _round(part, best + _TOLERANCE * abs(best))
        if smaller is None or sum(map(len, smaller.kept)) > _KEPT * before:
            return smaller
        part = smaller


def _round(part: Part, limit: float) -> Part | None:
    instance, apps = part.instance, range(len(part.kept))
    others = [[i for i in apps if i != j] for j in apps]
    alone = [found for j in apps if (found := instance.rest((j,), {}, others[j])) is not None]
    if len(alone) < len(apps):
        return None
    tables, kept, bound = [], [], part.bound
    for j in apps:
        rest = sum((alone[i] for i in others[j]), start=Figures())
        scores = instance.scorer.scores(instance.figures(j, {}, others[j]) + rest)[:, 0]
        rows = np.flatnonzero(np.isfinite(scores) & (scores <= limit))
        if not len(rows):
            return None
        bound = max(bound, float(scores[rows].min()))
        tables.append(instance.tables[j].only(rows))
        kept.append(part.kept[j][rows])
    return Part(replace(instance, tables=tuple(tables)), tuple(kept), bound)


def halves(part: Part) -> tuple[Part, ...]:
    """Return two parts, with a smaller and with a larger load of the unit that is needed most; or none.

    A sum of rates is bounded well only where the load that slows all users of a channel is nearly known.
    """
    instance = part.instance
    first = instance.objective[0] if isinstance(instance.objective, tuple) else instance.objective
    if first != "throughput":
        return ()
    floors_us = instance.floors_us.sum(axis=0)
    bracket = instance.bracket or Bracket(int(floors_us.argmax()), 0.0, math.inf)
    unit = bracket.unit
    largest_us = sum(float(table.busy_us[:, unit].max()) for table in instance.tables)
    least_us, most_us = max(bracket.least_us, float(floors_us[unit])), min(bracket.most_us, largest_us)
    if least_us <= 0 or most_us <= _WIDTH * least_us:
        return ()
    middle_us = math.sqrt(least_us * most_us)
    return tuple(
        replace(part, instance=replace(instance, bracket=Bracket(unit, *ends)))
        for ends in ((least_us, middle_us), (middle_us, most_us))
    )
