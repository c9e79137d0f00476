"""Operators behind reordering that has no place on the accelerator: done before it, where that is the same.

Models with channels last, and files of other frameworks, put axes in another order, compute, and put them
back. What acts on single values or channels is applied to the tensor as it was; the reordering follows it
until it is undone, or meets the model's end.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from synergyc.frontend.builder import Call, UnsupportedOperatorError, Value
from synergyc.ir.preparation import PreparationStep, Step
from synergyc.ir.types import Array


@dataclass(frozen=True)
class Moved:
    """A reordered tensor: ``start`` as it was, and the place in it of each value of the reordered one."""

    start: Value
    steps: tuple[Step, ...]
    places: Array

    def constant(self, values: Array | float) -> Array:
        """Return a constant that meets the reordered tensor as one for ``start``; raises if shapes differ."""
        spread = np.broadcast_to(np.asarray(values, dtype=np.float64), (1, *self.places.shape))
        found = np.empty(self.places.size)
        found[self.places.reshape(-1)] = spread.reshape(-1)
        return found.reshape(1, *self.start.shape)

    def columns(self, matrix: Array) -> Array:
        """Return a matrix (out, in) that multiplies the reordered values as one for those of ``start``."""
        found = np.empty_like(matrix)
        found[:, self.places.reshape(-1)] = matrix
        return found

    @property
    def axes(self) -> tuple[int, ...] | None:
        """The axis of ``start`` that each axis is; None if axes were split or joined."""
        if any(step.kind is not PreparationStep.TRANSPOSE for step in self.steps):
            return None
        axes = tuple(range(len(self.start.shape)))
        for step in self.steps:
            axes = tuple(axes[axis] for axis in step.sizes)
        return axes

    @property
    def channels_last(self) -> bool:
        """Whether the last axis is that of the channels, and pixels are in their order."""
        flat = np.arange(self.places.size).reshape(self.start.shape[0], -1).T
        return self.places.shape[-1] == self.start.shape[0] and np.array_equal(
            self.places.reshape(flat.shape), flat
        )


def moved(call: Call, source: Value) -> Moved | None:
    """Return what ``source`` is a reordering of; None if of nothing, or of the input, by the sensor."""
    start, steps = call.builder.unmoved(source)
    if not steps or start == call.builder.input or call.builder.is_finished(source):
        return None
    places = np.arange(math.prod(start.shape)).reshape(1, *start.shape)
    for step in steps:
        places = step.apply(places)
    return Moved(start, steps, places[0]) if places.size == math.prod(start.shape) else None


def again(call: Call, value: Value, steps: Sequence[Step]) -> Value:
    """Set ``steps`` aside behind ``value``."""
    for step in steps:
        shape = step.apply(np.empty((1, *value.shape), dtype=np.int8)).shape[1:]
        value = replace(call, shape=shape).set_aside(step, value)
    return value


def through(call: Call, source: Value, apply: Callable[[Call, Value], Value]) -> Value:
    """Apply to single values: before reordering, if there is any."""
    found = moved(call, source)
    if found is None:
        return apply(call, source)
    result = apply(replace(call, shape=found.start.shape), found.start)
    return again(call, result, found.steps)


def together(call: Call, values: Sequence[Value]) -> list[Moved] | None:
    """Return what ``values`` are reorderings of, if all are reordered alike."""
    found = [item for value in values if (item := moved(call, value)) is not None]
    alike = len(found) == len(values) and all(item.steps == found[0].steps for item in found)
    return found if alike else None


def with_channels_last(call: Call, source: Value) -> tuple[Value, tuple[Step, ...]]:
    """Return a tensor whose channels are the last axis of ``source``, and the steps that lead back.

    Raises UnsupportedOperatorError if the accelerator would have to reorder it.
    """
    found = moved(call, source)
    if found is not None and found.channels_last:
        return found.start, found.steps
    start, _ = call.builder.unmoved(source)
    rank = len(source.shape)
    if start != call.builder.input or found is not None:
        raise UnsupportedOperatorError(
            f"it must act on channels, not on the last axis of {source.shape}",
            "use a 1x1 convolution with the features as channels",
        )
    first = Step(PreparationStep.TRANSPOSE, (rank - 1, *range(rank - 1)))
    back = Step(PreparationStep.TRANSPOSE, (*range(1, rank), 0))
    shape = (source.shape[-1], *source.shape[:-1])
    return replace(call, shape=shape).set_aside(first, source), (back,)
