"""Inputs of 8-bit unsigned integers: what the model does with them first is left to the sensor side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from synergyc.ir.fold import affine
from synergyc.ir.graph import BatchNorm, Node
from synergyc.ir.preparation import LARGEST_BYTE, PreparationStep, Step
from synergyc.ir.types import Origin, Shape, frozen_array


@dataclass(frozen=True)
class Normalized:
    """Nodes that read the step's result, and the name of the model's output among them."""

    step: Step
    nodes: tuple[Node, ...]
    output: str


def normalized(nodes: Sequence[Node], source: str, shape: Shape, output: str) -> Normalized:
    """Take scaling and shifting by channel off the beginning of a model that reads bytes, 0 to 255.

    The step gives values in [-1, 1), as the accelerator reads them; a power of two, which folds into the
    weights behind without rounding, makes up for that.
    """
    gain, offset = np.ones(shape[0]), np.zeros(shape[0])
    current, left = source, list(nodes)
    while current != output:
        readers = [node for node in left if current in node.inputs]
        if len(readers) != 1 or not isinstance(readers[0].operator, BatchNorm):
            break
        factor, shift = affine(readers[0].operator)
        gain, offset = gain * factor, offset * factor + shift
        left.remove(readers[0])
        current = readers[0].name
    largest = float(np.max(np.maximum(np.abs(offset), np.abs(LARGEST_BYTE * gain + offset))))
    exponent = math.ceil(math.log2(largest)) if largest > 0 else 0
    name = f"{source}_scale"
    zeros, ones = np.zeros(shape[0]), np.ones(shape[0])
    scale = BatchNorm(
        mean=frozen_array(zeros, np.float32),
        variance=frozen_array(ones, np.float32),
        gain=frozen_array(ones * 2.0**exponent, np.float32),
        offset=None,
        epsilon=0.0,
    )
    behind = [
        replace(node, inputs=tuple(name if item == current else item for item in node.inputs))
        for node in left
    ]
    step = Step(
        PreparationStep.NORMALIZE,
        (),
        tuple(map(float, gain / 2.0**exponent)),
        tuple(map(float, offset / 2.0**exponent)),
    )
    first = Node(name, scale, (source,), shape, Origin(name))
    return Normalized(step, (first, *behind), name if output == current else output)
