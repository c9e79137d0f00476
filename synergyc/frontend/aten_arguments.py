"""What readers of ATen operators ask of a call's arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from synergyc.frontend.builder import BatchMixedError, Call, Value
from synergyc.ir.types import Shape

Reader = Callable[[Call], Value | tuple[Value, ...]]


def source_of(call: Call) -> Value:
    """Return the operator's first operand, which must be computed from the model's input."""
    return call.value("input", "self")


def spread(sizes: Any, rank: int) -> Shape:
    """Return one size for each axis; torch takes a single one for all."""
    values = tuple(sizes) if isinstance(sizes, list | tuple) else (sizes,)
    return values * rank if len(values) == 1 else values


def axis_of(call: Call, key: str = "dim", default: int = 0) -> int:
    """Return an axis argument, counted without the batch axis: the channels are 0."""
    number = int(call.arguments.get(key, default))
    rank = len(_rank_shape(call)) + 1
    if number < 0:
        number += rank
    if number == 0:
        raise BatchMixedError
    return number - 1


def _rank_shape(call: Call) -> Shape:
    for key in ("input", "self"):
        if isinstance(call.arguments.get(key), Value):
            return source_of(call).shape
    return call.shape
