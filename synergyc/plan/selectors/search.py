"""Branch and bound over the apps of an instance, and the exchange of pairs that is made of it."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from itertools import combinations, cycle

from synergyc.plan.goals import WORST, Score
from synergyc.plan.instance import Choice, Instance
from synergyc.plan.selectors.base import Budget, ranking

_PAIR_S = 0.5
"""Time for one pair."""


@dataclass
class Search:
    """Depth-first branch and bound over the apps, the one that needs the longest first.

    A node's children are the candidates of one app, by what the whole plan can at best become with them.
    """

    instance: Instance
    budget: Budget
    rows: tuple[int, ...] | None = None
    score: Score = field(default=WORST)
    fixed: Choice = field(default_factory=dict)
    order: tuple[int, ...] = ()
    """Apps that are chosen, first to last; empty: all of them. ``fixed`` has the others."""
    nodes: float = math.inf
    """Nodes that may be looked at."""
    begun: bool = False
    """Whether plans were left out because one of their chains is only begun."""
    refused: Counter[int] = field(default_factory=Counter)
    """How often an app had no room, or took that of another one, by app; parts of a search count together."""

    def offer(self, rows: tuple[int, ...]) -> None:
        """Take a plan that fits, if it is better than the one so far."""
        score = self.instance.score(rows)
        if score < self.score:
            self.rows, self.score = rows, score

    def run(self) -> float:
        """Search; return the lowest bound of what was left out, infinite if there was time for everything."""
        return self._expand(dict(self.fixed), 0)

    def _expand(self, chosen: dict[int, int], depth: int) -> float:
        self.nodes -= 1
        order = self.order or self.instance.order
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
            if self.budget.spent or self.nodes < 0:
                return min(left_out, bound[0])
            if not self.instance.admits(chosen, j, row):
                self.refused.update([j, *self.instance.near(chosen, j, row)])
                continue
            child = chosen | {j: row}
            if depth == len(order) - 1:
                if any(self.instance.tables[i].begun[chosen_row] for i, chosen_row in child.items()):
                    self.begun = True
                    return min(left_out, bound[0])
                self.rows, self.score = tuple(child[i] for i in range(len(child))), bound
                break
            left_out = min(left_out, self._expand(child, depth + 1))
        return left_out


def exchange(search: Search, budget: Budget) -> None:
    """Improve the best plan of ``search`` by choosing the parts of two apps anew, for as long as that helps.

    What one app alone cannot change, because another one takes the room, two can.
    """
    apps = range(len(search.instance.tables))
    pairs = [pair for pair in combinations(apps, 2) if len(apps) > len(pair)]
    stuck = 0
    for pair in cycle(pairs):
        if stuck == len(pairs) or budget.spent or search.rows is None:
            return
        fixed = {i: row for i, row in enumerate(search.rows) if i not in pair}
        part = Search(
            search.instance,
            Budget.of(min(budget.left_s, _PAIR_S)),
            search.rows,
            search.score,
            fixed,
            tuple(i for i in search.instance.order if i in pair),
        )
        part.run()
        stuck = stuck + 1 if part.rows == search.rows else 0
        search.rows, search.score = part.rows, part.score
