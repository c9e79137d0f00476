"""How a sensor's samples become words of the accelerator, as tables for the template ``prepare_app.c.j2``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from synergyc.firmware.spec import Sense
from synergyc.firmware.tail_view import LayoutView, layout_view
from synergyc.ir.preparation import Preparation, PreparationStep
from synergyc.ir.types import Array, describe_shape

Table = tuple[int, ...]


@dataclass(frozen=True)
class PrepareView:
    """What ``prepare_app.c.j2`` shows; ``axes`` are the tables of :func:`axis_tables`."""

    app: str
    c_name: str
    tensor: str
    shape: str
    steps: tuple[str, ...]
    values: int
    words: int
    axes: tuple[Table, ...]
    layout: LayoutView
    pixels: int
    """Of a channel of the network's input."""
    factors: Table
    terms: Table
    """Of each channel, of samples that are normalized; see ``Step.factors``."""


def prepare_view(sense: Sense, c_name: str) -> PrepareView:
    """Return the tables that prepare samples of an app."""
    shape = sense.layout.tensor.shape
    preparation = sense.preparation or Preparation(shape, ())
    factors, terms = _normalization(preparation, shape[0])
    return PrepareView(
        app=sense.app,
        c_name=c_name,
        tensor=str(sense.layout.tensor),
        shape=describe_shape(preparation.source_shape),
        steps=tuple(map(str, preparation.steps)),
        values=math.prod(preparation.source_shape),
        words=sense.layout.words,
        axes=axis_tables(preparation),
        layout=layout_view(sense.layout),
        pixels=math.prod(shape[1:]),
        factors=factors,
        terms=terms,
    )


def _normalization(preparation: Preparation, channels: int) -> tuple[Table, Table]:
    """Return factors and terms by channel of the network's input; folding gives channels several places."""
    step = next((item for item in preparation.steps if item.kind is PreparationStep.NORMALIZE), None)
    if step is None:
        return (), ()
    repeats = channels // len(step.gains)
    factors, terms = (np.repeat(items, repeats) for items in step.factors())
    return tuple(map(int, factors)), tuple(map(int, terms))


def axis_tables(preparation: Preparation) -> tuple[Table, ...]:
    """Return, by axis of the source shape, what each place adds to the index in the network's input.

    Where axes do not add up, as odd reshaping may bring about, a single table has the index of every value.
    """
    shape = preparation.source_shape
    index = _indices(preparation.moves)
    grid = index.reshape(shape)
    edges = [np.moveaxis(grid, axis, 0).reshape(size, -1)[:, 0] for axis, size in enumerate(shape)]
    tables = [edge - (edge[0] if axis else 0) for axis, edge in enumerate(edges)]
    if _adds_up(tables, grid):
        return tuple(tuple(map(int, table)) for table in tables)
    return (tuple(map(int, index)),)


def _adds_up(tables: Sequence[Array], grid: Array) -> bool:
    total = np.zeros((1,) * grid.ndim, dtype=np.int64)
    for axis, table in enumerate(tables):
        total = total + table.reshape(-1, *(1,) * (grid.ndim - axis - 1))
    return np.array_equal(total, grid) and all(table.min() >= 0 for table in tables)


def _indices(preparation: Preparation) -> Array:
    """Return where each value of a sample goes in the network's input, both in C order."""
    count = math.prod(preparation.source_shape)
    numbered = np.arange(1, count + 1).reshape(1, *preparation.source_shape)
    prepared = preparation.apply(numbered).reshape(-1)
    found = np.full(count, -1, dtype=np.int64)
    filled = np.flatnonzero(prepared)  # the others are zeros that were added
    found[prepared[filled] - 1] = filled
    if found.min() < 0:
        raise ValueError("preparing a sample must not lose values")
    return found
