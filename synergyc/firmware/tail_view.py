"""The tail of an app as tables, ready for the template ``tail_app.c.j2``."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from synergyc.firmware.spec import TailTask
from synergyc.ir.fixed_point import BILINEAR_EXTRA_BITS
from synergyc.ir.tail import ALONG_AXIS, BilinearPlaces, Stage, TailOp, bilinear_places
from synergyc.ir.types import Array, Shape, describe_shape
from synergyc.synth.program import TensorLayout

_IN_PLACE = frozenset({TailOp.SIGMOID, TailOp.TANH, TailOp.SOFTMAX, TailOp.LOG_SOFTMAX})
"""A value of the result depends on those that it, or its neighbours along the axis, take the place of."""


@dataclass(frozen=True)
class LayoutView:
    """Value i is at byte ``firsts[i // columns] + i % columns * step_bytes``."""

    firsts: tuple[int, ...]
    columns: int
    step_bytes: int
    wide: bool


@dataclass(frozen=True)
class ResizeView:
    """Maps of another size; ``scale`` are the steps of a result for each of its source."""

    rows: BilinearPlaces
    columns: BilinearPlaces
    scale: int


@dataclass(frozen=True)
class StageView:
    """One stage; ``scratch`` is the number of the buffer it writes, None: the queue of results.

    ``first`` and ``axes`` (size, stride) of operations that only move values.
    """

    number: int
    function: str
    comment: str
    scratch: int | None
    positions: int
    length: int
    inner: int
    fraction_bits: int
    first: int = 0
    axes: tuple[tuple[int, int], ...] = ()
    resize: ResizeView | None = None


@dataclass(frozen=True)
class TailView:
    """What ``tail_app.c.j2`` shows; ``scratch`` are sizes of buffers in values."""

    app: str
    c_name: str
    source: str
    result: str
    layout: LayoutView
    scratch: tuple[int, ...]
    stages: tuple[StageView, ...]


def tail_view(task: TailTask, c_name: str) -> TailView:
    """Return the tables of an app's tail."""
    buffers = _buffers(task.stages)
    return TailView(
        app=task.app,
        c_name=c_name,
        source=str(task.layout.tensor),
        result=str(task.result),
        layout=layout_view(task.layout),
        scratch=scratch_values(task.stages),
        stages=tuple(
            _stage(number, stage, at)
            for number, (stage, at) in enumerate(zip(task.stages, buffers, strict=True))
        ),
    )


def scratch_values(stages: Sequence[Stage]) -> tuple[int, ...]:
    """Return the sizes of the buffers between stages, in values of 32 bits."""
    buffers = _buffers(stages)
    return tuple(
        max(math.prod(stage.shape) for stage, at in zip(stages, buffers, strict=True) if at == number)
        for number in sorted({at for at in buffers if at is not None})
    )


def layout_view(layout: TensorLayout) -> LayoutView:
    """Return a layout as rows of values that are equally far apart; in the worst case of one value each."""
    elements = np.asarray(layout.elements, dtype=np.int64)
    columns = _even_columns(elements)
    rows = elements.reshape(-1, columns)
    step = int(rows[0, 1] - rows[0, 0]) if columns > 1 else 0
    return LayoutView(tuple(map(int, rows[:, 0])), columns, step, layout.tensor.width_bits == 32)


def _even_columns(elements: Array) -> int:
    """Return the most values that are equally far apart in every row of so many, ascending."""
    steps = np.diff(elements)
    breaks = np.flatnonzero(steps != steps[0]) + 1 if len(steps) and steps[0] > 0 else np.arange(1, 2)
    for columns in sorted(_divisors(len(elements)), reverse=True):
        if np.all(breaks % columns == 0):
            return columns
    return 1


def _divisors(number: int) -> list[int]:
    return [count for count in range(1, number + 1) if number % count == 0]


def _buffers(stages: Sequence[Stage]) -> list[int | None]:
    """Return which buffer each stage writes: the last the queue, the others one that they do not read."""
    found: list[int | None] = [None]
    for later in reversed(stages[1:]):
        target = found[0]
        source = target if later.tail.op in _IN_PLACE else (1 if target == 0 else 0)
        found.insert(0, source)
    return found


def _stage(number: int, stage: Stage, scratch: int | None) -> StageView:
    op, before = stage.tail.op, stage.before
    function = "move" if op in {TailOp.TRANSPOSE, TailOp.SLICE} else str(op)
    first, axes = _places(stage)
    return StageView(
        number=number,
        function=function,
        comment=_comment(stage),
        scratch=scratch,
        positions=stage.positions,
        length=stage.length,
        inner=math.prod(before[stage.tail.axis + 1 :]) if op in ALONG_AXIS else 1,
        fraction_bits=stage.fraction_bits,
        first=first,
        axes=axes,
        resize=_resize(stage) if op in {TailOp.NEAREST, TailOp.BILINEAR} else None,
    )


def _comment(stage: Stage) -> str:
    shapes = f"{describe_shape(stage.before)} -> {describe_shape(stage.shape)}"
    return f"{stage.tail}: {shapes}, of q{stage.fraction_bits}"


def _places(stage: Stage) -> tuple[int, tuple[tuple[int, int], ...]]:
    """Return where an operation that moves values begins to read, and sizes and strides by axis."""
    tail, strides = stage.tail, _strides(stage.before)
    if tail.op is TailOp.TRANSPOSE:
        return 0, tuple((stage.before[axis], strides[axis]) for axis in tail.sizes)
    if tail.op is TailOp.SLICE:
        start, _, step = tail.sizes
        steps = [stride * (step if axis == tail.axis else 1) for axis, stride in enumerate(strides)]
        return start * strides[tail.axis], tuple(zip(stage.shape, steps, strict=True))
    return 0, ()


def _strides(shape: Shape) -> tuple[int, ...]:
    """Return how far apart neighbours along each axis are in C order."""
    return tuple(itertools.accumulate(shape[:0:-1], lambda a, b: a * b, initial=1))[::-1]


def _resize(stage: Stage) -> ResizeView:
    corners = stage.tail.corners
    (rows, columns), (new_rows, new_columns) = (
        (*sizes, 1)[:2] for sizes in (stage.before[1:], stage.tail.sizes)
    )
    finer = stage.tail.fraction_bits(stage.fraction_bits, stage.width_bits) - stage.fraction_bits
    if finer not in {0, BILINEAR_EXTRA_BITS}:
        raise ValueError(f"no such scale behind {stage.tail}")
    return ResizeView(
        bilinear_places(rows, new_rows, corners=corners),
        bilinear_places(columns, new_columns, corners=corners),
        1 << finer,
    )
