"""Types that every form of a model shares: shapes, arrays, operations' parameters, origins."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from synergyc.diagnostics import Location

Array = npt.NDArray[Any]
Shape = tuple[int, ...]
"""Without the batch axis: ``(channels, height, width)``, ``(channels, length)`` or ``(features,)``."""


class PoolKind(StrEnum):
    """How a pooling window is reduced."""

    MAX = "max"
    AVERAGE = "avg"


class Activation(StrEnum):
    """What follows rounding and clipping in an accelerator layer."""

    NONE = "none"
    RELU = "relu"
    ABS = "abs"


class EltwiseOp(StrEnum):
    """Element-wise combination of operands, left to right."""

    ADD = "add"
    SUB = "sub"
    OR = "or"
    XOR = "xor"


@dataclass(frozen=True)
class Pool:
    """A pooling window; ``window`` and ``dilation`` are (rows, columns), ``stride`` holds for both."""

    kind: PoolKind
    window: tuple[int, int]
    stride: int
    dilation: tuple[int, int] = (1, 1)

    def __str__(self) -> str:
        rows, columns = self.window
        text = f"{self.kind}pool {rows}x{columns}/{self.stride}"
        return text if self.dilation == (1, 1) else f"{text} dilation {self.dilation[0]}x{self.dilation[1]}"


@dataclass(frozen=True)
class Origin:
    """Where a layer stands in the user's model.

    ``module`` is the dotted name of the ``nn.Module`` (or the ONNX node); ``file`` and ``line`` point at
    the call in ``forward``, empty and 0 where the source format does not tell.
    """

    module: str
    file: str = ""
    line: int = 0

    @property
    def location(self) -> Location | None:
        """The place in the user's file, if it is known."""
        return Location(self.file, self.line) if self.file else None

    def __str__(self) -> str:
        return f"{self.module} ({self.file}:{self.line})" if self.file else self.module


def frozen_array(values: npt.ArrayLike, dtype: npt.DTypeLike | None = None) -> Array:
    """Return ``values`` as a read-only, C-contiguous array of its own."""
    array = np.array(values, dtype=dtype, order="C", copy=True)
    array.setflags(write=False)
    return array


def array_digest(array: Array) -> str:
    """Return the first 8 hex digits of SHA-256 over dtype, shape and little-endian content."""
    little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    head = f"{little.dtype.str}{little.shape}".encode()
    return hashlib.sha256(head + little.tobytes()).hexdigest()[:8]


def describe_array(array: Array | None) -> str:
    """Return the text form of an array: type, shape and digest, as in ``i8[16,1,3,3]#0123abcd``."""
    if array is None:
        return "none"
    kind = f"{array.dtype.kind}{array.dtype.itemsize * 8}"
    return f"{kind}[{','.join(map(str, array.shape))}]#{array_digest(array)}"


def describe_shape(shape: Shape) -> str:
    """Return a shape as ``1x28x28``."""
    return "x".join(map(str, shape))
