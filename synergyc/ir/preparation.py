"""What happens to a sample before the accelerator reads it: work of the CPU of the device that senses.

A model may begin by reordering its input (a transposition, pixels folded into channels). That is taken off
the network and done before it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from synergyc.ir.types import Array, Shape, describe_shape


class PreparationStep(StrEnum):
    """How a sample is reordered; no step changes a value, the last two may add zeros at an axis's end."""

    TRANSPOSE = "transpose"
    RESHAPE = "reshape"
    FOLD = "fold"
    EXTEND = "extend"


@dataclass(frozen=True)
class Step:
    """One step; axes and sizes are without the batch axis.

    ``sizes``: of ``TRANSPOSE`` the order of axes, from 0; of ``RESHAPE`` the new shape; of ``FOLD`` the
    pixels along each axis that become channels: channel ``c`` of phase ``p`` goes to channel
    ``c * phases + p``, as ``torch.nn.PixelUnshuffle`` does; of ``EXTEND`` the new number of pixels along each
    axis.
    """

    kind: PreparationStep
    sizes: tuple[int, ...]

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

    def __str__(self) -> str:
        return f"{self.kind} {describe_shape(self.sizes)}"


@dataclass(frozen=True)
class Preparation:
    """How the sensor side makes the network's input from a sample of shape ``source_shape``."""

    source_shape: Shape
    steps: tuple[Step, ...]

    def apply(self, samples: Array) -> Array:
        """Return samples (N, *source_shape) as the network reads them, same type."""
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
