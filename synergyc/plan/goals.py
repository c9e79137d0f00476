"""Objectives as sort keys: smaller is better. Bounds and values are made by the same functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from synergyc.plan.problem import Goal, Objective
from synergyc.plan.table import CandidateTable, Floats, Mask

Score = tuple[float, ...]
"""Objective, tie-break, number of segments, bytes handed over."""

WORST: Score = (np.inf, np.inf, np.inf, np.inf)

_DIGITS = 9
"""Scores are rounded to so many digits: equal plans must not differ by the order of additions."""


@dataclass(frozen=True)
class Figures:
    """Sums over apps; each entry is a number or an array over candidates.

    ``slowest`` is the largest ratio of wanted to reached rate. Infinite ``segments``: a rate is missed.
    """

    rate_hz: Floats | float = 0.0
    slowest: Floats | float = 0.0
    latency_ms: Floats | float = 0.0
    energy_uj: Floats | float = 0.0
    segments: Floats | float = 0.0
    size_bytes: Floats | float = 0.0

    def __add__(self, other: Figures) -> Figures:
        return Figures(
            self.rate_hz + other.rate_hz,
            np.maximum(self.slowest, other.slowest),
            self.latency_ms + other.latency_ms,
            self.energy_uj + other.energy_uj,
            self.segments + other.segments,
            self.size_bytes + other.size_bytes,
        )


@dataclass(frozen=True)
class Scorer:
    """Turns figures into scores. ``best`` are the figures if every app had the system to itself."""

    objective: Objective
    best: Figures

    def scores(self, figures: Figures) -> Floats:
        """Return scores (n, 4) for figures with arrays of n entries."""
        primary = self._primary(figures)
        by_rate = self.objective in ("throughput", "ratio")
        secondary = figures.latency_ms if by_rate else -np.asarray(figures.rate_hz)
        columns = np.broadcast_arrays(primary, secondary, figures.segments, figures.size_bytes)
        stacked = np.stack([np.atleast_1d(column).astype(np.float64) for column in columns], axis=1)
        stacked[:, :2] = rounded(stacked[:, :2])
        stacked[np.isinf(stacked[:, 2])] = np.inf
        return stacked

    def value(self, score: float) -> float:
        """Return the objective in its own unit and sign: rates and ratios are better when larger."""
        if self.objective == "throughput":
            return -score
        if self.objective == "ratio":
            return 1 / score if score else np.inf
        return score

    def _primary(self, figures: Figures) -> Floats | float:
        if isinstance(self.objective, str):
            return _costs(figures)[self.objective]
        costs, best = self._relative(figures), self._relative(self.best)
        return sum(
            (np.asarray(weight * costs[goal] / best[goal]) for goal, weight in self.objective.items()),
            start=np.zeros(1),
        )

    @staticmethod
    def _relative(figures: Figures) -> dict[Goal, Floats | float]:
        with np.errstate(divide="ignore"):
            return _costs(figures) | {"throughput": 1 / np.asarray(figures.rate_hz)}


def _costs(figures: Figures) -> dict[Goal, Floats | float]:
    return {
        "throughput": -figures.rate_hz,
        "ratio": figures.slowest,
        "latency": figures.latency_ms,
        "energy": figures.energy_uj,
    }


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
        table.energy_uj[rows],
        table.segments[rows],
        table.size_bytes[rows],
    )


def optimistic(figures: Figures, allowed: Mask | None = None) -> Figures:
    """Return the best of each figure on its own: what no candidate can beat."""
    pick = slice(None) if allowed is None else allowed
    largest = {"rate_hz"}
    values: Mapping[str, float] = {
        name: float((np.max if name in largest else np.min)(np.asarray(getattr(figures, name))[pick]))
        for name in figures.__dataclass_fields__
    }
    return replace(Figures(), **values)
