"""Long chains that a table does not list, built where a plan with them may be better than the best one."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from synergyc.plan.columns import Floats, Mask
from synergyc.plan.instance import Instance
from synergyc.plan.labels import Labels, LongChains
from synergyc.plan.selectors.base import Budget
from synergyc.plan.selectors.reduction import KEPT, Outlook, halved, outlook, within
from synergyc.plan.table import CandidateTable, stacked

MOST_LABELS = 30_000
"""Begins and whole chains of one app that are kept in a round; of more, those with the lowest bounds.

A round makes up to a hundred of each; they are bounded a part at a time, so that memory is not what limits.
"""

_FEW = 300
"""Apps with at most so many begins grow together."""


@dataclass(frozen=True)
class Grown:
    """``instance`` with further candidates at the end of its tables.

    ``bound`` is a lower bound of all plans with a chain that is still left out; infinite if there is none
    that may be better.
    """

    instance: Instance
    bound: float


def grown(instance: Instance, best: float, budget: Budget, most: int = MOST_LABELS) -> Grown:
    """Return ``instance`` with the unlisted chains that a plan with a score of at most ``best`` may hold.

    Chains grow by one segment a round, those of the apps with the fewest begins first: what these cannot
    reach bounds the others. In each round every begin is dropped with which no plan can be within ``best``
    (``reduction``), or whose last segment fits no chip of its own.
    """
    fronts = {j: _front(instance, j) for j, table in enumerate(instance.tables) if table.unlisted}
    growth = _Growth(instance, within(best), budget, most)
    growth.grow(instance, fronts)
    return growth.result(fronts, everything=growth.bound >= best)


def with_begins(instance: Instance) -> Instance:
    """Return ``instance`` with the first segments of unlisted chains as further rows, by lower bounds."""
    tables = list(instance.tables)
    for j, table in enumerate(instance.tables):
        if table.unlisted:
            tables[j] = stacked([table, _front(instance, j).bounds(table)])
    return replace(instance, tables=tuple(tables))


@dataclass(frozen=True)
class _Front:
    """Where one app's chains have got to: begins of k segments, and chains that are whole."""

    chains: LongChains
    begins: Labels
    done: tuple[Labels, ...] = ()

    def __len__(self) -> int:
        return len(self.begins) + sum(map(len, self.done))

    def only(self, rows: Mask) -> _Front:
        """Return what is marked; ``begins`` are the first rows, then ``done`` in order."""
        parts = np.split(rows, np.cumsum([len(self.begins), *map(len, self.done)])[:-1])
        done = tuple(labels.only(marks) for labels, marks in zip(self.done, parts[1:], strict=True))
        return replace(self, begins=self.begins.only(parts[0]), done=done)

    def bounds(self, like: CandidateTable) -> CandidateTable:
        """Return lower bounds of all labels, in the same order."""
        return stacked([self.chains.bounds(labels, like) for labels in (self.begins, *self.done)])


@dataclass
class _Growth:
    """Chains that became whole, by app, and the lowest bound of what was left out."""

    instance: Instance
    limit: float
    budget: Budget
    most: int
    bound: float = math.inf
    done: defaultdict[int, list[Labels]] = field(default_factory=lambda: defaultdict(list))

    def grow(self, listed: Instance, fronts: Mapping[int, _Front]) -> None:
        """Grow ``fronts`` to the end beside the candidates ``listed``, in brackets where that helps."""
        while True:
            found = self._reduced(listed, fronts)
            if found is None:
                return
            listed, fronts, view = found
            if not any(len(front.begins) for front in fronts.values()):
                for j, front in fronts.items():
                    self.done[j] += front.done
                return
            floors_us = view.floors.floors_us.sum(axis=0)
            largest_us = [table.busy_us.max(axis=0) for table in listed.tables if len(table)]
            brackets = halved(listed, floors_us, np.sum([np.zeros_like(floors_us), *largest_us], axis=0))
            if brackets:
                for bracket in brackets:
                    self.grow(replace(listed, bracket=bracket), fronts)
                return
            most = max(_FEW, min(len(front.begins) for front in fronts.values() if len(front.begins)))
            fronts = {
                j: self._longer(j, front, view, listed.tables[j]) if len(front.begins) <= most else front
                for j, front in fronts.items()
            }

    def result(self, fronts: Mapping[int, _Front], *, everything: bool) -> Grown:
        """Return the instance with all chains that are whole; ``everything`` of use is there then."""
        tables = list(self.instance.tables)
        for j, found in self.done.items():
            for labels in Labels.by_size(found):
                tables[j] = fronts[j].chains.added(tables[j], labels)
        if everything:
            tables = [replace(table, unlisted=()) for table in tables]
        return Grown(replace(self.instance, tables=tuple(tables)), self.bound)

    def _reduced(
        self, listed: Instance, fronts: Mapping[int, _Front]
    ) -> tuple[Instance, Mapping[int, _Front], Outlook] | None:
        """Return what of candidates and labels may be in a plan within the limit; None if no label is."""
        while True:
            before = sum(map(len, listed.tables)) + sum(map(len, fronts.values()))
            bounds = {j: front.bounds(listed.tables[j]) for j, front in fronts.items()}
            view = outlook(listed, bounds)
            if view is None:
                return None
            fronts = {j: front.only(self._close(view, j, bounds[j])) for j, front in fronts.items()}
            if not any(map(len, fronts.values())):
                return None
            tables = [t.only(np.flatnonzero(self._close(view, j, t))) for j, t in enumerate(listed.tables)]
            listed = replace(listed, tables=tuple(tables))
            if sum(map(len, tables)) + sum(map(len, fronts.values())) > KEPT * before:
                return listed, fronts, view

    def _longer(self, j: int, front: _Front, view: Outlook, like: CandidateTable) -> _Front:
        """Return the chains of app ``j`` with one more segment; if there are too many, the best of them."""

        def scores(labels: Labels) -> Floats:
            return view.scores(j, front.chains.bounds(labels, like))

        def keep(labels: Labels) -> Labels:
            if self.budget.spent:
                self.bound = min(self.bound, least)
                return labels.only(slice(0))
            close = labels.only(self._close(view, j, front.chains.bounds(labels, like)))
            return front.chains.fitting(close, _fits(self.instance, j))

        begins = self._best(front.begins, scores)
        least = float(scores(begins).min(initial=math.inf))
        longer, done = front.chains.longer(begins, keep)
        return replace(front, begins=longer, done=(*front.done, self._best(done, scores)))

    def _best(self, labels: Labels, scores: Callable[[Labels], Floats]) -> Labels:
        """Return as many of ``labels`` as may be kept, those with the lowest bounds."""
        if len(labels) <= self.most:
            return labels
        bounds = scores(labels)
        order = np.argsort(bounds, kind="stable")
        self.bound = min(self.bound, float(bounds[order[self.most]]))
        return labels.only(np.sort(order[: self.most]))

    def _close(self, view: Outlook, j: int, table: CandidateTable) -> Mask:
        scores: Floats = view.scores(j, table)
        return np.asarray(np.isfinite(scores) & (scores <= self.limit))


def _front(instance: Instance, j: int) -> _Front:
    chains = LongChains.of(instance.tables[j])
    return _Front(chains, chains.fitting(chains.start(), _fits(instance, j)))


def _fits(instance: Instance, j: int) -> Callable[[str, int, int], bool]:
    return partial(instance.checks.segment_fits, instance.tables[j].model.app.name)
