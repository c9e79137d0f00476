"""Objectives as sort keys: smaller is better. Bounds and values are made by the same functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from synergyc.plan.columns import Floats, Mask
from synergyc.plan.problem import Goal, Objective
from synergyc.plan.table import CandidateTable

Score = tuple[float, ...]
"""Goals of the objective in order (a single one: and a tie-break), number of segments, bytes handed over."""

WORST: Score = (np.inf, np.inf, np.inf, np.inf)

_SLACK = 1e-9
"""A limit counts as kept within rounding."""

_DIGITS = 9
"""Scores are rounded to so many digits: equal plans must not differ by the order of additions."""


@dataclass(frozen=True)
class Figures:
    """Sums over apps; each entry is a number or an array over candidates.

    ``slowest`` is the largest ratio of wanted to reached rate. Infinite ``segments``: a rate is missed.
    ``drain`` is the share of each battery that the apps take in an hour, (..., batteries).
    """

    rate_hz: Floats | float = 0.0
    slowest: Floats | float = 0.0
    latency_ms: Floats | float = 0.0
    energy_uj: Floats | float = 0.0
    segments: Floats | float = 0.0
    size_bytes: Floats | float = 0.0
    drain: Floats | float = 0.0

    def __add__(self, other: Figures) -> Figures:
        return Figures(
            self.rate_hz + other.rate_hz,
            np.maximum(self.slowest, other.slowest),
            self.latency_ms + other.latency_ms,
            self.energy_uj + other.energy_uj,
            self.segments + other.segments,
            self.size_bytes + other.size_bytes,
            self.drain + other.drain,
        )


@dataclass(frozen=True)
class Scorer:
    """Turns figures into scores. ``best`` are the figures if every app had the system to itself.

    ``idle_drain`` (batteries) is what an hour of doing nothing takes of each battery; ``battery_h`` is how
    long all must last.
    """

    objective: Objective
    best: Figures
    idle_drain: Floats | None = None
    battery_h: float | None = None

    def scores(self, figures: Figures) -> Floats:
        """Return scores (n, k) for figures with arrays of n entries: the objective, then tie-breaks."""
        goals = self._goals(figures)
        drain = self._drain(figures)
        columns = np.broadcast_arrays(*goals, drain, figures.segments, figures.size_bytes)
        stacked = np.stack([np.atleast_1d(column).astype(np.float64) for column in columns], axis=1)
        too_much = np.isinf(stacked[:, -2])
        if self.battery_h is not None:
            too_much |= stacked[:, -3] * self.battery_h > 1 + _SLACK
        stacked = np.delete(stacked, -3, axis=1)
        stacked[:, : len(goals)] = rounded(stacked[:, : len(goals)])
        stacked[too_much] = np.inf
        return stacked

    def value(self, score: float) -> float:
        """Return the (first) objective in its own unit and sign: rates and ratios are better when larger."""
        first = self.objective[0] if isinstance(self.objective, tuple) else self.objective
        if first == "throughput":
            return -score
        if first in ("ratio", "battery"):
            return 1 / score if score else np.inf
        return score

    def life_h(self, figures: Figures) -> Floats:
        """Return how long the battery lasts that is empty first; infinite without batteries."""
        with np.errstate(divide="ignore"):
            return 1.0 / self._drain(figures)

    def _goals(self, figures: Figures) -> list[Floats | float]:
        """Return what the objective compares, first to last: its goals, and for a single one a tie-break."""
        costs = self._costs(figures)
        if isinstance(self.objective, tuple):
            return [costs[goal] for goal in self.objective]
        if isinstance(self.objective, str):
            by_rate = self.objective in ("throughput", "ratio")
            return [costs[self.objective], costs["latency" if by_rate else "throughput"]]
        relative, best = self._relative(figures), self._relative(self.best)
        weighed = sum(
            (np.asarray(weight * relative[goal] / best[goal]) for goal, weight in self.objective.items()),
            start=np.zeros(1),
        )
        return [weighed, costs["throughput"]]

    def _relative(self, figures: Figures) -> dict[Goal, Floats | float]:
        with np.errstate(divide="ignore"):
            return self._costs(figures) | {"throughput": 1 / np.asarray(figures.rate_hz)}

    def _costs(self, figures: Figures) -> dict[Goal, Floats | float]:
        return {
            "throughput": -figures.rate_hz,
            "ratio": figures.slowest,
            "latency": figures.latency_ms,
            "energy": figures.energy_uj,
            "battery": self._drain(figures),
        }

    def _drain(self, figures: Figures) -> Floats:
        """Return what an hour takes of the battery that is empty first; 0 without batteries."""
        if self.idle_drain is None or not len(self.idle_drain):
            return np.zeros(1)
        return np.asarray((self.idle_drain + np.asarray(figures.drain)).max(axis=-1), dtype=np.float64)


def rounded(values: Floats) -> Floats:
    """Return ``values`` with nine significant digits; monotone, so that bounds stay bounds."""
    with np.errstate(divide="ignore", invalid="ignore"):
        exponent = np.floor(np.log10(np.abs(values)))
        scale = 10.0 ** (_DIGITS - 1 - exponent)
        found = np.round(values * scale) / scale
    return np.where(np.isfinite(found), found, values)


def app_figures(
    table: CandidateTable, period_us: Floats, wanted_hz: float, rows: slice | int = slice(None)
) -> Figures:
    """Return the figures of one app's candidates, with the periods that they would have."""
    with np.errstate(divide="ignore"):
        rate_hz = 1e6 / period_us
    return Figures(
        rate_hz,
        wanted_hz * period_us / 1e6,
        table.latency_us[rows] / 1000,
        table.run_uj[rows],
        table.segments[rows],
        table.size_bytes[rows],
        table.drain[rows],
    )


def best_of(several: Sequence[Figures]) -> Figures:
    """Return the best of each figure on its own."""
    values = {
        name: (np.max if name == "rate_hz" else np.min)([getattr(item, name) for item in several], axis=0)
        for name in Figures.__dataclass_fields__
    }
    return Figures(**values)


def optimistic(figures: Figures, allowed: Mask | None = None) -> Figures:
    """Return the best of each figure on its own: what no candidate can beat."""
    pick = slice(None) if allowed is None else allowed
    largest = {"rate_hz"}
    values: Mapping[str, float] = {
        name: float((np.max if name in largest else np.min)(np.asarray(getattr(figures, name))[pick]))
        for name in figures.__dataclass_fields__
        if name != "drain"
    }
    return replace(Figures(), **values, drain=np.asarray(figures.drain)[pick].min(axis=0))
