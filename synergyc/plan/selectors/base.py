"""What a selector is given and what it returns."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from synergyc.diagnostics import Diagnostic, SynergyError
from synergyc.plan.columns import Floats, Mask
from synergyc.plan.goals import Score
from synergyc.plan.instance import Choice, Instance
from synergyc.plan.space import wants_replicas


@dataclass(frozen=True)
class Budget:
    """CPU time of this process that a search may take; then its best plan so far and a bound are returned."""

    ends_at_s: float = math.inf

    @staticmethod
    def of(seconds: float) -> Budget:
        """Return a budget of ``seconds`` from now."""
        return Budget(time.process_time() + seconds)

    @property
    def left_s(self) -> float:
        """Seconds that are left."""
        return self.ends_at_s - time.process_time()

    @property
    def spent(self) -> bool:
        """Whether it is used up."""
        return time.process_time() > self.ends_at_s


@dataclass(frozen=True)
class Selection:
    """One row for each app. ``bound`` is a proven lower bound of the primary score, None without a proof.

    ``grown`` is the instance with candidates that the search has added behind those of the tables.
    """

    rows: tuple[int, ...]
    bound: float | None = None
    optimal: bool = False
    grown: Instance | None = None

    def gap(self, score: float) -> float:
        """Return how far ``score``, of these rows, is from what is proven: 0 if best, 1 without a proof."""
        if self.optimal:
            return 0.0
        if self.bound is None:
            return 1.0
        return abs(score - self.bound) / max(abs(score), abs(self.bound), math.ulp(0.0))


class ConflictError(SynergyError):
    """Plans that apps chose without regard to each other do not fit together; ``rows`` are these plans."""

    def __init__(self, diagnostics: Diagnostic | Iterable[Diagnostic], rows: Sequence[int]) -> None:
        super().__init__(diagnostics)
        self.rows = tuple(rows)


class Selector(Protocol):
    """Chooses one candidate for each app."""

    def __call__(self, instance: Instance, budget: Budget) -> Selection:
        """Return the choice; raises SynergyError if it finds none that fits."""
        ...


def ranking(scores: Floats, allowed: Mask | None = None) -> list[int]:
    """Return rows by ascending score, compared from the first column on; infinite ones are left out."""
    finite = np.isfinite(scores[:, 0]) if allowed is None else allowed & np.isfinite(scores[:, 0])
    rows = np.flatnonzero(finite)
    keys = scores[rows]
    return [int(row) for row in rows[np.lexsort(keys.T[::-1])]]


def first_that_fits(instance: Instance, j: int, rows: Iterable[int], chosen: Choice) -> int | None:
    """Return the first of ``rows`` that app ``j`` can take beside ``chosen``."""
    return next((row for row in rows if instance.admits(chosen, j, row)), None)


def plain(instance: Instance, j: int) -> Mask:
    """Return the candidates of ``j`` with resident weights and one chain: what published selectors know.

    Of an app that asks for replicas they get these.
    """
    table = instance.tables[j]
    replicated = wants_replicas(table.model.app)
    known = [chain.replicated == replicated and not any(chain.swapped) for chain in table.chain_list]
    return np.array(known, dtype=np.bool_)[table.chain]


def one_by_one(
    instance: Instance, order: Sequence[int], allowed: Callable[[Instance, int], Mask] | None = None
) -> tuple[int, ...]:
    """Return the plan where each app in turn takes what is best beside those before it.

    ``allowed`` gives the candidates of an app that count, None: all. Raises ConflictError for the first app
    that finds no place: this and the later ones then have what is best for them alone.
    """
    chosen: dict[int, int] = {}
    for j in order:
        possible = instance.free(j, chosen)
        if allowed is not None:
            possible = possible & allowed(instance, j)
        rows = ranking(instance.scores(j, chosen), possible)
        row = first_that_fits(instance, j, rows, chosen)
        if row is None:
            raise _conflict(instance, j, chosen, allowed)
        chosen[j] = row
    return tuple(chosen[j] for j in range(len(instance.tables)))


def _conflict(
    instance: Instance, j: int, chosen: Choice, allowed: Callable[[Instance, int], Mask] | None
) -> SynergyError:
    """Return the error for app ``j``, which finds no place, with plans of all apps not ``chosen`` alone."""
    error = no_place_left(instance, j, chosen)
    rows = dict(chosen)
    for i in range(len(instance.tables)):
        if i not in rows:
            ranked = ranking(instance.scores(i, {}), None if allowed is None else allowed(instance, i))
            row = first_that_fits(instance, i, ranked, {})
            if row is None:
                return error
            rows[i] = row
    return ConflictError(error.diagnostics, [rows[i] for i in range(len(rows))])


def no_place_left(instance: Instance, j: int, chosen: Choice) -> SynergyError:
    """Return the error for an app that cannot be placed beside those that were placed before it."""
    app = instance.tables[j].model.app
    others = ", ".join(repr(instance.tables[i].model.app.name) for i in chosen) or "no other app"
    message = f"app {app.name!r} finds no place beside {others}"
    hint = "try another selector, add a device or loosen rates and deadlines"
    return SynergyError(Diagnostic("no-place-left", message, app.location, hint=hint))


def improved(instance: Instance, rows: tuple[int, ...], budget: Budget) -> tuple[int, ...]:
    """Return ``rows`` after changing one app at a time for as long as that makes the plan better."""
    best, score = rows, instance.score(rows)
    stuck = 0
    j = 0
    while stuck < len(rows) and not budget.spent:
        others = {i: row for i, row in enumerate(best) if i != j}
        scores = instance.scores(j, others)
        better = ranking(scores, instance.free(j, others) & (scores[:, 0] <= score[0]))
        found = first_that_fits(instance, j, _while_better(better, scores, score), others)
        stuck += 1
        if found is not None:
            best, score, stuck = _with(best, j, found), _tuple(scores, found), 0
        j = (j + 1) % len(rows)
    return best


def _while_better(rows: Sequence[int], scores: Floats, score: Score) -> Iterable[int]:
    for row in rows:
        if _tuple(scores, row) >= score:
            return
        yield row


def _tuple(scores: Floats, row: int) -> Score:
    return tuple(float(value) for value in scores[row])


def _with(rows: tuple[int, ...], j: int, row: int) -> tuple[int, ...]:
    return (*rows[:j], row, *rows[j + 1 :])
