"""Columns of bytes into a few equal memories: exact, within a budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from synergyc.synth.geometry import round_up

STEP_BUDGET = 50_000
"""Tries before a search gives up: well under a second."""


@dataclass(frozen=True)
class Column:
    """Bytes that lie in one of ``memories``, from a multiple of ``step`` on."""

    size: int
    memories: tuple[int, ...]
    step: int = 1


@dataclass
class _Budget:
    left: int = STEP_BUDGET


def packed(columns: Sequence[Column], filled: dict[int, int], capacity: int) -> tuple[list[int] | None, bool]:
    """Return the memory of each column, None if there is none, and whether the search went to its end.

    ``filled`` are the bytes that each memory has already. Columns go in in the ``placing_order``.
    """
    order = placing_order(columns)
    chosen: dict[int, int] = {}
    budget = _Budget()
    if _put(order, columns, dict(filled), capacity, chosen, budget):
        return [chosen[index] for index in range(len(columns))], True
    return None, budget.left > 0


def placing_order(columns: Sequence[Column]) -> list[int]:
    """Return the order of placing: aligned columns first, the largest first."""
    return sorted(range(len(columns)), key=lambda index: (-columns[index].step, -columns[index].size))


def _put(
    order: Sequence[int],
    columns: Sequence[Column],
    filled: dict[int, int],
    capacity: int,
    chosen: dict[int, int],
    budget: _Budget,
) -> bool:
    if not order:
        return True
    column = columns[order[0]]
    tried: set[int] = set()
    for memory in column.memories:
        start = round_up(filled[memory], column.step)
        alike = len({item.memories for item in columns}) == 1  # then equally full memories are one choice
        if start + column.size > capacity or (alike and start in tried):
            continue
        budget.left -= 1
        if budget.left <= 0:
            return False
        tried.add(start)
        before, filled[memory] = filled[memory], start + column.size
        if _put(order[1:], columns, filled, capacity, chosen, budget):
            chosen[order[0]] = memory
            return True
        filled[memory] = before
    return False
