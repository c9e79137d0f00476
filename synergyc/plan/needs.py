"""What an app takes at least of a unit if it has to fit beside others."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from synergyc.plan.columns import Indices
from synergyc.plan.table import CandidateTable

_ASKED = 40
"""Candidates of an app that are asked whether they fit. Where many devices are nearly full the first dozen
often do not: 20 apps on 12 devices took twice the time with 12."""

Admits = Callable[[Mapping[int, int], int, int], bool]
"""Tells whether an app, given by its number, can take a row of its table beside the rows of others."""


@dataclass(frozen=True)
class Needs:
    """Asks ``admits`` about the candidates of apps, those that take the least of a unit first."""

    tables: Sequence[CandidateTable]
    admits: Admits
    _rows: dict[tuple[int, int], Indices] = field(default_factory=dict)

    def least_us(self, k: int, unit: int, chosen: Mapping[int, int]) -> float:
        """Return what app ``k`` takes of ``unit`` (a column) at least, in microseconds, beside ``chosen``.

        A lower bound where none of the few candidates that are asked fits; infinite if there are no others.
        """
        busy_us, rows = self.tables[k].busy_us[:, unit], self._first(k, unit)
        for row in rows[:_ASKED]:
            if self.admits(chosen, k, int(row)):
                return float(busy_us[row])
        return float(busy_us[rows[_ASKED]]) if len(rows) > _ASKED else math.inf

    def _first(self, k: int, unit: int) -> Indices:
        """Return the rows of app ``k`` that take the least of ``unit``, one more than are asked."""
        if (k, unit) not in self._rows:
            busy_us = self.tables[k].busy_us[:, unit]
            self._rows[k, unit] = busy_us.argsort(kind="stable")[: _ASKED + 1]
        return self._rows[k, unit]
