"""Every plan is scored: the truth for small problems, and for the tests of the other selectors."""

from __future__ import annotations

from itertools import product

from synergyc.diagnostics import fail
from synergyc.plan.goals import WORST
from synergyc.plan.instance import Instance
from synergyc.plan.selectors.base import Budget, Selection, ranking
from synergyc.plan.selectors.unfit import nothing_fits

MAX_PLANS = 50_000
"""What is compared at most: a few seconds."""


def exhaustive(instance: Instance, budget: Budget) -> Selection:
    """Score all plans, without any bound."""
    if instance.size > MAX_PLANS:
        raise fail(
            "plan-space-size",
            "exhaustive selector must not compare so many plans",
            need=f"{instance.size} plans",
            have=f"{MAX_PLANS} plans",
            hint="--selector exact, or set split, pin layers, forbid devices",
        )
    best, rows = WORST, None
    *others, last = range(len(instance.tables))
    for combination in product(*(range(len(instance.tables[j])) for j in others)):
        scores = instance.scores(last, dict(enumerate(combination)))
        for row in ranking(scores):
            score = tuple(float(value) for value in scores[row])
            if score >= best:
                break
            if not instance.reasons_of((*combination, row)):
                best, rows = score, (*combination, row)
                break
    if rows is None:
        raise nothing_fits(instance)
    return Selection(rows, best[0], optimal=True)
