"""What follows the network's output: work of the CPU of the device that interacts.

Each operation has two meanings: on real numbers (``Tail.apply``), and on the integers of the chip
(``synergyc.reference.tail``), which the generated C repeats bit by bit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from synergyc.ir.fixed_point import BILINEAR_EXTRA_BITS, RESULT_BITS
from synergyc.ir.preparation import PreparationStep, Step, folded_shape
from synergyc.ir.types import Array, Shape, describe_shape


class TailOp(StrEnum):
    """What the CPU can do behind the network."""

    SOFTMAX = "softmax"
    LOG_SOFTMAX = "log_softmax"
    SIGMOID = "sigmoid"
    TANH = "tanh"
    ARGMAX = "argmax"
    MAX = "max"
    TRANSPOSE = "transpose"
    RESHAPE = "reshape"
    SLICE = "slice"
    NEAREST = "nearest"
    BILINEAR = "bilinear"


MOST_AXES = 8
"""Of a tensor, without the batch axis, that is put in another order."""

ELEMENTWISE = frozenset({TailOp.SIGMOID, TailOp.TANH})
ALONG_AXIS = frozenset({TailOp.SOFTMAX, TailOp.LOG_SOFTMAX, TailOp.ARGMAX, TailOp.MAX})
_FUNCTIONS = ELEMENTWISE | {TailOp.SOFTMAX, TailOp.LOG_SOFTMAX}


@dataclass(frozen=True)
class Tail:
    """One operation; axes and sizes are without the batch axis.

    ``axis``: of functions along an axis, and of ``SLICE``. ``sizes``: of ``TRANSPOSE`` the order of axes; of
    ``RESHAPE`` the new shape; of ``SLICE`` start, stop and step; of ``NEAREST`` and ``BILINEAR`` the new
    number of pixels along each axis behind the channels. ``corners``: of ``BILINEAR``, the outermost pixels
    keep their places (``align_corners``).
    """

    op: TailOp
    axis: int = 0
    sizes: tuple[int, ...] = ()
    corners: bool = False

    def shape(self, before: Shape) -> Shape:
        """Return the shape that becomes of ``before``."""
        match self.op:
            case TailOp.ARGMAX | TailOp.MAX:
                return (*before[: self.axis], *before[self.axis + 1 :])
            case TailOp.TRANSPOSE:
                return tuple(before[axis] for axis in self.sizes)
            case TailOp.RESHAPE:
                return self.sizes
            case TailOp.SLICE:
                count = len(range(*self.sizes))
                return (*before[: self.axis], count, *before[self.axis + 1 :])
            case TailOp.NEAREST | TailOp.BILINEAR:
                return (before[0], *self.sizes)
        return before

    def fraction_bits(self, before: int, width_bits: int) -> int:
        """Return the scale of the result for integers of ``width_bits`` that are real * 2**before."""
        if self.op in _FUNCTIONS:
            return RESULT_BITS
        if self.op is TailOp.ARGMAX:
            return 0
        return before + (BILINEAR_EXTRA_BITS if self.op is TailOp.BILINEAR and width_bits == 8 else 0)

    @property
    def moves(self) -> bool:
        """Whether values only change their places."""
        return self.op in {TailOp.TRANSPOSE, TailOp.RESHAPE, TailOp.SLICE, TailOp.NEAREST}

    def moved(self, values: Array) -> Array:
        """Return values (N, ...) of any type in their new places; only for operations that move."""
        match self.op:
            case TailOp.TRANSPOSE:
                return np.ascontiguousarray(values.transpose(0, *(axis + 1 for axis in self.sizes)))
            case TailOp.RESHAPE:
                return values.reshape(len(values), *self.sizes)
            case TailOp.SLICE:
                chosen = (slice(None),) * (self.axis + 1) + (slice(*self.sizes),)
                return np.ascontiguousarray(values[chosen])
            case TailOp.NEAREST:
                for axis, size in enumerate(self.sizes, start=2):
                    values = values.take(np.arange(size) * values.shape[axis] // size, axis)
                return values
        raise ValueError(f"{self.op} does not move values")

    def apply(self, values: Array) -> Array:
        """Return real results (N, ...), float32, or class numbers, int64, of real ``values``."""
        if self.moves:
            return self.moved(values)
        axis = self.axis + 1
        match self.op:
            case TailOp.SIGMOID:
                return np.asarray(1 / (1 + np.exp(-values)), dtype=np.float32)
            case TailOp.TANH:
                return np.asarray(np.tanh(values), dtype=np.float32)
            case TailOp.ARGMAX:
                return np.asarray(values.argmax(axis))
            case TailOp.MAX:
                return np.asarray(values.max(axis))
            case TailOp.BILINEAR:
                return np.asarray(self._enlarged(values), dtype=np.float32)
        shifted = values - values.max(axis, keepdims=True)
        sums = np.exp(shifted).sum(axis, keepdims=True)
        if self.op is TailOp.LOG_SOFTMAX:
            return np.asarray(shifted - np.log(sums), dtype=np.float32)
        return np.asarray(np.exp(shifted) / sums, dtype=np.float32)

    def _enlarged(self, values: Array) -> Array:
        for axis, size in enumerate(self.sizes, start=2):
            places = bilinear_places(values.shape[axis], size, corners=self.corners)
            share = (places.second / places.denominator).reshape(-1, *(1,) * (values.ndim - axis - 1))
            lower, upper = values.take(places.lower, axis), values.take(places.upper, axis)
            values = lower * (1 - share) + upper * share
        return values

    def __str__(self) -> str:
        if self.op is TailOp.SLICE:
            return f"{self.op} {':'.join(map(str, self.sizes))} of axis {self.axis}"
        return f"{self.op} {describe_shape(self.sizes)}" if self.sizes else str(self.op)


@dataclass(frozen=True)
class Stage:
    """One operation with what it reads: shape, scale and width of its integers."""

    tail: Tail
    before: Shape
    fraction_bits: int
    width_bits: int

    @property
    def shape(self) -> Shape:
        """Of the result."""
        return self.tail.shape(self.before)

    @property
    def length(self) -> int:
        """Values that one position reads: those along the axis, else 1."""
        return self.before[self.tail.axis] if self.tail.op in ALONG_AXIS else 1

    @property
    def steps(self) -> int:
        """What a position takes: the values that it reads, or the axes of a place that is computed."""
        return len(self.shape) if self.tail.op in {TailOp.TRANSPOSE, TailOp.SLICE} else self.length

    @property
    def positions(self) -> int:
        """How many parts of the result are computed each on its own."""
        whole = self.before if self.tail.op in ALONG_AXIS else self.shape
        return math.prod(whole) // self.length


def stages(tail: Sequence[Tail], shape: Shape, fraction_bits: int, width_bits: int) -> tuple[Stage, ...]:
    """Return the operations of ``tail`` on a tensor of ``shape`` that are work: reshaping alone is none.

    At least one is left, which makes 32-bit values in order of what the accelerator wrote.
    """
    found = []
    for item in tail:
        stage = Stage(item, shape, fraction_bits, width_bits)
        shape = stage.shape
        if item.op is TailOp.RESHAPE:
            continue
        found.append(stage)
        fraction_bits, width_bits = item.fraction_bits(fraction_bits, width_bits), 32
    order = tuple(range(len(shape)))
    return tuple(found) or (Stage(Tail(TailOp.TRANSPOSE, sizes=order), shape, fraction_bits, width_bits),)


@dataclass(frozen=True)
class BilinearPlaces:
    """Where new pixels lie along one axis: pixel t at ``max(0, t * step + offset) / denominator`` of the old.

    All are exact integers, as torch defines the places; ``before`` is the number of old pixels.
    """

    before: int
    after: int
    step: int
    offset: int
    denominator: int

    @property
    def _position(self) -> Array:
        return np.asarray(np.maximum(np.arange(self.after, dtype=np.int64) * self.step + self.offset, 0))

    @property
    def lower(self) -> Array:
        """The old pixel before each new one."""
        return np.asarray(self._position // self.denominator)

    @property
    def upper(self) -> Array:
        """The old pixel behind each new one."""
        return np.asarray(np.minimum(self.lower + 1, self.before - 1))

    @property
    def second(self) -> Array:
        """Share of the old pixel behind, times ``denominator``."""
        return np.asarray(self._position % self.denominator)


def bilinear_places(before: int, after: int, *, corners: bool) -> BilinearPlaces:
    """Return the places of ``after`` pixels among ``before``; ``corners``: the outermost ones stay."""
    step, offset, denominator = 2 * before, before - after, 2 * after
    if corners:
        step, offset, denominator = (before - 1 if after > 1 else 0), 0, max(1, after - 1)
    shared = math.gcd(step, offset, denominator)
    return BilinearPlaces(before, after, step // shared, offset // shared, denominator // shared)


def behind(step: Step, before: Shape) -> tuple[Tail, ...]:
    """Return ``step``, which the sensor side does with samples, as work on a result of shape ``before``."""
    if step.kind is PreparationStep.TRANSPOSE:
        return (Tail(TailOp.TRANSPOSE, sizes=step.sizes),)
    if step.kind is PreparationStep.RESHAPE:
        return (Tail(TailOp.RESHAPE, sizes=step.sizes),)
    apart = [
        number
        for size, factor in zip(before[1:], step.sizes, strict=True)
        for number in (size // factor, factor)
    ]
    pixels, phases = range(1, len(apart), 2), range(2, len(apart) + 1, 2)
    return (
        Tail(TailOp.RESHAPE, sizes=(before[0], *apart)),
        Tail(TailOp.TRANSPOSE, sizes=(0, *phases, *pixels)),
        Tail(TailOp.RESHAPE, sizes=folded_shape(before, step.sizes)),
    )


def unfolded(before: Shape, factor: int, *, channels_first: bool = True) -> tuple[Tail, ...]:
    """Return the steps of ``torch.nn.PixelShuffle`` on (C, H, W): ``factor**2`` channels become pixels.

    ``channels_first``: channel c of phase p is at c * phases + p, else at p * channels + c.
    """
    channels, rows, columns = before[0] // factor**2, *before[1:]
    apart, order = (channels, factor, factor, rows, columns), (0, 3, 1, 4, 2)
    if not channels_first:
        apart, order = (factor, factor, channels, rows, columns), (2, 3, 0, 4, 1)
    return (
        Tail(TailOp.RESHAPE, sizes=apart),
        Tail(TailOp.TRANSPOSE, sizes=order),
        Tail(TailOp.RESHAPE, sizes=(channels, rows * factor, columns * factor)),
    )
