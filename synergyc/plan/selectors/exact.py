"""The default: branch and bound from the best plan of all quick selectors, until proven or out of time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from synergyc.diagnostics import SynergyError
from synergyc.plan.goals import WORST, Score
from synergyc.plan.instance import Instance
from synergyc.plan.selectors import baselines
from synergyc.plan.selectors.base import Budget, Selection, improved, one_by_one, ranking
from synergyc.plan.selectors.progressive import progressive
from synergyc.plan.selectors.unfit import nothing_fits

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


_IMPROVED = 2
"""So many of them, the best ones, are improved app by app before the search."""


def exact(instance: Instance, budget: Budget) -> Selection:
    """Return the best plan, proven, or the best that was found in time with a bound on all others."""
    search = Search(instance, budget)
    starts = sorted({rows: instance.score(rows) for rows in _starts(instance, budget)}.items(), key=_score_of)
    for rows, _ in starts[:_IMPROVED]:
        search.offer(rows)
        search.offer(improved(instance, rows, Budget.of(budget.left_s * _START_SHARE)))
    bound = search.run()
    if search.rows is None:
        raise nothing_fits(instance, budget)
    return Selection(search.rows, min(bound, search.score[0]), optimal=math.isinf(bound))


def _score_of(item: tuple[tuple[int, ...], Score]) -> Score:
    return item[1]


def _starts(instance: Instance, budget: Budget) -> Iterator[tuple[int, ...]]:
    for selector in _QUICK:
        try:
            yield selector(instance, Budget.of(budget.left_s * _START_SHARE)).rows
        except SynergyError:
            continue
    try:
        yield one_by_one(instance, instance.order)
    except SynergyError:
        return


@dataclass
class Search:
    """Depth-first branch and bound over the apps, the one that needs the longest first.

    A node's children are the candidates of one app, by what the whole plan can at best become with them.
    """

    instance: Instance
    budget: Budget
    rows: tuple[int, ...] | None = None
    score: Score = field(default=WORST)

    def offer(self, rows: tuple[int, ...]) -> None:
        """Take a plan that fits, if it is better than the one so far."""
        score = self.instance.score(rows)
        if score < self.score:
            self.rows, self.score = rows, score

    def run(self) -> float:
        """Search; return the lowest bound of what was left out for lack of time, infinite if nothing was."""
        return self._expand({}, 0)

    def _expand(self, chosen: dict[int, int], depth: int) -> float:
        order = self.instance.order
        j = order[depth]
        scores = self.instance.bounds(j, chosen, order[depth + 1 :])
        if scores is None:
            return math.inf
        rows = ranking(scores, self.instance.free(j, chosen) & (scores[:, 0] <= self.score[0]))
        left_out = math.inf
        for row in rows:
            bound = tuple(float(value) for value in scores[row])
            if bound >= self.score:
                break
            if self.budget.spent:
                return min(left_out, bound[0])
            if not self.instance.admits(chosen, j, row):
                continue
            child = chosen | {j: row}
            if depth == len(order) - 1:
                self.rows, self.score = tuple(child[i] for i in range(len(order))), bound
                break
            left_out = min(left_out, self._expand(child, depth + 1))
        return left_out
