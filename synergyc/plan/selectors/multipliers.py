"""A bound on the busiest unit: prices of the units' time that no choice of plans can undercut."""

from __future__ import annotations

import math

import numpy as np

from synergyc.plan.columns import Floats
from synergyc.plan.goals import rounded
from synergyc.plan.instance import Instance
from synergyc.plan.selectors.growth import with_begins

_ROUNDS = 60

_SLACK = 1e-12
"""For the order of additions."""

_STEP = 2.0
"""Of the multiplicative updates, against the largest load."""


def load_bound(instance: Instance) -> float:
    """Return a lower bound of the score of the goal ``ratio``, minus infinity for other objectives.

    For any prices that add up to one, the largest load of a unit is at least the priced sum of all loads,
    hence at least the sum over the apps of their cheapest candidate at these prices. Prices follow the loads
    that the cheapest candidates make. Chains that are not listed count by their first segments.
    """
    first = instance.objective[0] if isinstance(instance.objective, tuple) else instance.objective
    if first != "ratio":
        return -math.inf
    instance = with_begins(instance)
    wanted_hz = min(instance.wanted_hz(j) for j in range(len(instance.tables)))
    units = instance.tables[0].busy_us.shape[1]
    prices = np.full(units, 1.0 / units)
    best_us = float(instance.floors_us.sum(axis=0).max())
    for round_ in range(_ROUNDS):
        value_us, load_us = _cheapest(instance, prices)
        best_us = max(best_us, value_us)
        step = _STEP / math.sqrt(round_ + 1)
        prices = prices * np.exp(step * load_us / max(load_us.max(), 1e-9))
        prices /= prices.sum()
    # Scores are rounded; rounding keeps the order, so that a rounded bound may be as large as a score.
    return float(rounded(np.array([wanted_hz * best_us / 1e6 * (1 - _SLACK)]))[0])


def _cheapest(instance: Instance, prices: Floats) -> tuple[float, Floats]:
    """Return the priced sum of every app's cheapest candidate, and the load that they make."""
    total_us, load_us = 0.0, np.zeros(len(prices))
    for table in instance.tables:
        priced = table.busy_us @ prices
        row = int(priced.argmin())
        total_us += float(priced[row])
        load_us += table.busy_us[row]
    return total_us, load_us
