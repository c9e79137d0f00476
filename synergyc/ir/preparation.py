"""What happens to a sample before the accelerator reads it: work of the CPU of the device that senses.

A model may begin by reordering its input (a transposition, pixels folded into channels). That is taken off
the network and done before it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from synergyc.ir.types import Array, Shape, describe_shape

LARGEST_BYTE = 255
"""Of samples that are normalized: unsigned integers of 8 bits."""

NORMALIZED_BITS = 7
"""Fraction bits of normalized values, as of all inputs of the accelerator."""

FACTOR_BITS = 16
"""Fraction bits of what bytes are multiplied by."""


class PreparationStep(StrEnum):
    """What is done with a sample: all steps but the last move values; two may add zeros at an axis's end."""

    TRANSPOSE = "transpose"
    RESHAPE = "reshape"
    FOLD = "fold"
    EXTEND = "extend"
    NORMALIZE = "normalize"


@dataclass(frozen=True)
class Step:
    """One step; axes and sizes are without the batch axis.

    ``sizes``: of ``TRANSPOSE`` the order of axes, from 0; of ``RESHAPE`` the new shape; of ``FOLD`` the
    pixels along each axis that become channels: channel ``c`` of phase ``p`` goes to channel
    ``c * phases + p``, as ``torch.nn.PixelUnshuffle`` does; of ``EXTEND`` the new number of pixels along each
    axis. ``NORMALIZE`` has no sizes: it makes real values, in [-1, 1), of bytes: ``gains * byte + offsets``,
    both with one number for each channel.
    """

    kind: PreparationStep
    sizes: tuple[int, ...]
    gains: tuple[float, ...] = ()
    offsets: tuple[float, ...] = ()

    def apply(self, values: Array) -> Array:
        """Return samples (N, ...) after this step."""
        match self.kind:
            case PreparationStep.TRANSPOSE:
                return np.ascontiguousarray(values.transpose(0, *(axis + 1 for axis in self.sizes)))
            case PreparationStep.RESHAPE:
                return values.reshape(len(values), *self.sizes)
            case PreparationStep.FOLD:
                return _folded(values, self.sizes)
            case PreparationStep.EXTEND:
                missing = [(0, new - old) for new, old in zip(self.sizes, values.shape[2:], strict=True)]
                return np.pad(values, [(0, 0), (0, 0), *missing])
            case PreparationStep.NORMALIZE:
                return self._normalized(values)

    def factors(self) -> tuple[Array, Array]:
        """Return what bytes are multiplied by, and what is added, int64 (C,), of normalization on integers.

        A result is ``(byte * factor + term) >> FACTOR_BITS``, clipped to 8 bits.
        """
        scale = 1 << (NORMALIZED_BITS + FACTOR_BITS)
        half = 1 << (FACTOR_BITS - 1)
        factors, terms = (np.round(np.array(items) * scale) for items in (self.gains, self.offsets))
        return factors.astype(np.int64), terms.astype(np.int64) + half

    def _normalized(self, values: Array) -> Array:
        """Return int8 for bytes, real values for real ones."""
        columns = (-1, *(1,) * (values.ndim - 2))
        if values.dtype != np.uint8:
            gains, offsets = (np.array(items).reshape(columns) for items in (self.gains, self.offsets))
            return np.asarray(values * gains + offsets, dtype=np.float32)
        factors, terms = (item.reshape(columns) for item in self.factors())
        whole = (values.astype(np.int64) * factors + terms) >> FACTOR_BITS
        return np.asarray(np.clip(whole, -128, 127), dtype=np.int8)

    def __str__(self) -> str:
        return f"{self.kind} {describe_shape(self.sizes)}" if self.sizes else str(self.kind)


@dataclass(frozen=True)
class Preparation:
    """How the sensor side makes the network's input from a sample of shape ``source_shape``."""

    source_shape: Shape
    steps: tuple[Step, ...]

    @property
    def reads_bytes(self) -> bool:
        """Whether the sensor delivers unsigned integers, uint8 and not int8."""
        return any(step.kind is PreparationStep.NORMALIZE for step in self.steps)

    @property
    def moves(self) -> Preparation:
        """The same without what changes values."""
        kept = tuple(step for step in self.steps if step.kind is not PreparationStep.NORMALIZE)
        return replace(self, steps=kept)

    def apply(self, samples: Array) -> Array:
        """Return samples (N, *source_shape) as the network reads them: int8, or real values for real ones."""
        for step in self.steps:
            samples = step.apply(samples)
        return samples

    def __str__(self) -> str:
        return f"{describe_shape(self.source_shape)}, " + ", ".join(map(str, self.steps))


def folded_shape(shape: Shape, factors: tuple[int, ...]) -> Shape:
    """Return the shape (C, ...) after folding ``factors`` pixels of each axis into channels."""
    pixels = [-(-size // factor) for size, factor in zip(shape[1:], factors, strict=True)]
    return (shape[0] * math.prod(factors), *pixels)


def _folded(values: Array, factors: tuple[int, ...]) -> Array:
    count, channels, *sizes = values.shape
    missing = [-size % factor for size, factor in zip(sizes, factors, strict=True)]
    padded = np.pad(values, [(0, 0), (0, 0), *((0, extra) for extra in missing)])
    target = folded_shape((channels, *sizes), factors)
    apart = padded.reshape(
        count, channels, *(n for pair in zip(target[1:], factors, strict=True) for n in pair)
    )
    rank = len(factors)
    order = (0, 1, *(3 + 2 * axis for axis in range(rank)), *(2 + 2 * axis for axis in range(rank)))
    return np.ascontiguousarray(apart.transpose(order)).reshape(count, *target)
