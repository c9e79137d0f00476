"""Reordering that layers can do after all: between channels and blocks of pixels, and of vectors into maps.

The CPU reorders at a model's beginning and end. In between, convolutions of zeros and ones do what they can.
"""

from __future__ import annotations

import math

import numpy as np

from synergyc.ir.graph import Copy, Operator, Padding, Reshape, Thinning
from synergyc.ir.preparation import PreparationStep, Step
from synergyc.ir.tail import Tail, unfolded
from synergyc.ir.types import Array, Shape, frozen_array

Layers = list[tuple[Operator, Shape]]
"""Operators one behind the other, with the shapes of their results."""

_MOST_CHANNELS = 1024
"""Channels of a layer (targets: limits.channels, which a test compares: a front end knows no chips)."""

_FACTORS = (2, 4)


def layers_of(work: Step | tuple[Tail, ...], source: Shape) -> Layers | None:
    """Return layers that reorder a tensor of shape ``source`` as ``work`` does; None if none can."""
    if isinstance(work, Step):
        if work.kind is PreparationStep.FOLD and len(source) == 3 and work.sizes[0] in _FACTORS:
            return _folded(source, work.sizes[0])
        if work.kind is PreparationStep.RESHAPE and len(source) == 1 and len(work.sizes) in {2, 3}:
            return _map_of_vector(source[0], work.sizes)
        return None
    for factor in _FACTORS:
        for first in (True, False):
            divides = len(source) == 3 and source[0] % factor**2 == 0
            if divides and work == unfolded(source, factor, channels_first=first):
                return _unfolded(source, factor, channels_first=first)
    return None


def _picked(order: list[int], source: Shape) -> tuple[Operator, Shape]:
    """Return a layer of the given channels; -1 is a channel of zeros."""
    weight = np.zeros((len(order), source[0], 1, 1), dtype=np.int8)
    for place, channel in enumerate(order):
        if channel >= 0:
            weight[place, channel] = 1
    return Copy(frozen_array(weight), (0, 0)), (len(order), *source[1:])


def _halved(source: Shape) -> Layers:
    """Return layers that make 2x2 pixels of channel c channels 4c to 4c + 3."""
    channels, rows, columns = source
    weight = np.zeros((channels, 2, 2, channels, 3, 3), dtype=np.int8)
    for channel, down, right in np.ndindex(channels, 2, 2):
        weight[channel, down, right, channel, 1 + down, 1 + right] = 1
    copy = Copy(frozen_array(weight.reshape(4 * channels, channels, 3, 3)), (1, 1))
    return [
        (copy, (4 * channels, rows, columns)),
        (Thinning((2, 2)), (4 * channels, -(-rows // 2), -(-columns // 2))),
    ]


def _doubled(source: Shape) -> tuple[Operator, Shape]:
    """Return a layer that makes channels 4c to 4c + 3 the 2x2 pixels of channel c."""
    channels, rows, columns = source[0] // 4, *source[1:]
    weight = np.zeros((channels, 2, 2, channels, 3, 3), dtype=np.int8)
    for channel, down, right in np.ndindex(channels, 2, 2):
        weight[channel, down, right, channel, 1 + down, 1 + right] = 1
    copy = Copy(frozen_array(weight.reshape(4 * channels, channels, 3, 3)), (1, 1), transposed=True)
    return copy, (channels, 2 * rows, 2 * columns)


def _folded(source: Shape, factor: int) -> Layers:
    if factor == 2:
        return _halved(source)
    once = _halved(source)
    twice = _halved(once[-1][1])
    low_high = np.arange(twice[-1][1][0]).reshape(source[0], 2, 2, 2, 2)  # phases in 2x2, then of the blocks
    order = low_high.transpose(0, 3, 1, 4, 2).reshape(-1).tolist()
    return [*once, *twice, _picked(order, twice[-1][1])]


def _unfolded(source: Shape, factor: int, *, channels_first: bool) -> Layers:
    channels, phases = source[0] // factor**2, factor**2
    apart = np.arange(source[0]).reshape((channels, phases) if channels_first else (phases, channels))
    order: Array = (apart if channels_first else apart.T).reshape(channels, factor, factor)
    if factor == 4:  # rows are 2 * high + low; the first doubling takes the high parts, which come last
        order = order.reshape(channels, 2, 2, 2, 2).transpose(0, 2, 4, 1, 3)
    layers: Layers = []
    if not np.array_equal(order.reshape(-1), np.arange(source[0])):
        layers.append(_picked(order.reshape(-1).tolist(), source))
    for _ in range(factor // 2):
        layers.append(_doubled(layers[-1][1] if layers else source))
    return layers


def _map_of_vector(size: int, target: Shape) -> Layers | None:
    """Return layers that make a vector a map: as channels of one pixel, of which pixels are made in turn."""
    channels, *pixels = target
    if math.prod(target) != size or channels == size:
        return None
    side = max(pixels) if len(pixels) == 2 else math.isqrt(pixels[0] - 1) + 1
    doublings = math.ceil(math.log2(side)) if side > 1 else 0
    width = 2**doublings
    if channels * width**2 > _MOST_CHANNELS or not doublings:
        return None
    row_length = pixels[1] if len(pixels) == 2 else width
    order = [-1] * (channels * width**2)
    for channel, row, column in np.ndindex(channels, width, width):
        place = row * row_length + column
        inside = column < row_length and place < math.prod(pixels)
        digits = [(row >> bit & 1) * 2 + (column >> bit & 1) for bit in range(doublings)]  # lowest bit first
        index = channel
        for digit in digits:
            index = index * 4 + digit
        order[index] = channel * math.prod(pixels) + place if inside else -1
    layers: Layers = [(Reshape(), (size, 1, 1))]
    layers.append(_picked(order, (size, 1, 1)))
    for _ in range(doublings):
        layers.append(_doubled(layers[-1][1]))
    return [*layers, *_cut((channels, width, width), target)]


def _cut(source: Shape, target: Shape) -> Layers:
    """Return layers that cut a map off at its end, down to the ``target``."""
    layers: Layers = []
    if len(target) == 2:
        source = (source[0], source[1] * source[2])
        layers.append((Reshape(), source))
    if source != target:
        after = tuple(new - old for new, old in zip(target[1:], source[1:], strict=True))
        layers.append((Padding((0,) * len(after), after), target))
    return layers
