"""Concatenation beyond one pass: each tensor fills a pass of its own, so all must be equally wide.

Tensors that are not get dead channels: their makers compute zeros for them, their readers weigh them with
zeros (section 8, pitfall 28). Where makers cannot, or a tensor has several passes, dense layers copy it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from synergyc.ir.network import Layer, LayerOp, Network
from synergyc.ir.types import Array, frozen_array
from synergyc.synth.dense import copy_of, densely
from synergyc.synth.geometry import passes_of, round_up
from synergyc.targets import Cnn

_WEIGHTED = {LayerOp.CONV2D, LayerOp.CONV1D}
_READERS = {*_WEIGHTED, LayerOp.LINEAR}


def with_equal_parts(network: Network, cnn: Cnn) -> Network:
    """Return ``network`` with dead channels, or copies, where tensors are concatenated that differ in width.

    Concatenations that cannot be helped stay as they are; placing them says what is wrong.
    """
    for name in [layer.name for layer in network.layers]:
        layer = next(item for item in network.layers if item.name == name)
        width = _common_width(layer, network, cnn)
        if width is None:
            network = _without_packing(layer, network, cnn)
            continue
        for part in layer.inputs:
            if network.tensor(part).shape[0] < width and _can_widen(part, network):
                network = _widened(part, width, network)
        network = _with_copied_parts(name, width, network)
    return network


def _common_width(layer: Layer, network: Network, cnn: Cnn) -> int | None:
    """Return the channels that each part of a concatenation must have, None where nothing is to be done."""
    channels = [network.tensor(name).shape[0] for name in layer.inputs]
    total = passes_of(sum(channels), cnn)
    if len(channels) < 2 or layer.eltwise is not None:
        return None
    if total.count == 1 and _span(channels, cnn) <= cnn.processors:
        return None
    if total.count == len(channels) and set(channels) == {total.width}:
        return None
    lanes = cnn.processors_per_instance
    widest = min(max(channels), cnn.processors)
    for width in range(-(-widest // lanes) * lanes, cnn.processors + 1, lanes):
        count = sum(-(-size // width) for size in channels)
        passes = passes_of(count * width, cnn)
        if (passes.count, passes.width) == (count, width) and count * width <= cnn.limits.channels:
            return width
    return None


def _span(channels: Sequence[int], cnn: Cnn) -> int:
    """Return the processors from the first to the last of tensors side by side, each in its own instances."""
    lanes = cnn.processors_per_instance
    return sum(round_up(size, lanes) for size in channels[:-1]) + channels[-1]


def _without_packing(layer: Layer, network: Network, cnn: Cnn) -> Network:
    """Return ``network`` with dense weights in a layer that would leave gaps between joined channels."""
    channels = [network.tensor(name).shape[0] for name in layer.inputs]
    dense = densely(layer)
    if len(channels) < 2 or layer.eltwise is not None or dense is None:
        return network
    if passes_of(sum(channels), cnn).count > 1 or _span(channels, cnn) == sum(channels):
        return network
    return replace(network, layers=tuple(dense if item is layer else item for item in network.layers))


def _with_copied_parts(name: str, width: int, network: Network) -> Network:
    """Return ``network`` with copies of ``width`` channels of a layer's operands that are not as wide."""
    layer = next(item for item in network.layers if item.name == name)
    reader = layer if layer.op in _READERS and layer.groups == 1 else densely(layer)
    if reader is None or reader.weight is None or (reader.flatten and math.prod(reader.pooled_shape[1:]) > 1):
        return network
    if {network.tensor(part).width_bits for part in layer.inputs} != {8}:
        return network
    weight, position = reader.weight, 0
    copies: list[Layer] = []
    inputs: list[str] = []
    for number, part in enumerate(layer.inputs):
        tensor = network.tensor(part)
        channels = tensor.shape[0]
        if channels == width:
            inputs.append(part)
            position += width
            continue
        for start in range(0, channels, width):
            chosen = range(start, min(start + width, channels))
            copies.append(copy_of(tensor, chosen, width, layer, number))
            inputs.append(copies[-1].name)
            position += len(chosen)
            weight = _with_zeros(weight, 1, position, width - len(chosen))
            position += width - len(chosen)
    changed = replace(
        reader,
        inputs=tuple(inputs),
        weight=weight,
        in_shape=(weight.shape[1], *reader.in_shape[1:]),
    )
    index = network.layers.index(layer)
    layers = (*network.layers[:index], *copies, changed, *network.layers[index + 1 :])
    return replace(network, layers=layers)


def _can_widen(name: str, network: Network) -> bool:
    """Tell whether a tensor may get channels: weighted layers make and read it, and nobody outside."""
    maker = next((layer for layer in network.layers if layer.output.name == name), None)
    readers = [layer for layer in network.layers if name in layer.inputs]
    return (
        maker is not None
        and name not in network.outputs
        and all(layer.op in _WEIGHTED and layer.groups == 1 for layer in (maker, *readers))
        and all(layer.eltwise is None and layer.inputs.count(name) == 1 for layer in readers)
    )


def _widened(name: str, width: int, network: Network) -> Network:
    """Return ``network`` in which tensor ``name`` has ``width`` channels, the new ones dead."""
    layers = []
    for layer in network.layers:
        if name in layer.inputs and layer.weight is not None:
            before = [network.tensor(other).shape[0] for other in layer.inputs]
            position = layer.inputs.index(name)
            end, extra = sum(before[: position + 1]), width - before[position]
            layer = replace(
                layer,
                weight=_with_zeros(layer.weight, 1, end, extra),
                in_shape=(layer.in_shape[0] + extra, *layer.in_shape[1:]),
            )
        if layer.output.name == name and layer.weight is not None:
            extra = width - layer.output.shape[0]
            layer = replace(
                layer,
                weight=_with_zeros(layer.weight, 0, layer.output.shape[0], extra),
                bias=None if layer.bias is None else _with_zeros(layer.bias, 0, len(layer.bias), extra),
                output=replace(layer.output, shape=(width, *layer.output.shape[1:])),
            )
        layers.append(layer)
    return replace(network, layers=tuple(layers))


def _with_zeros(values: Array, axis: int, position: int, count: int) -> Array:
    return frozen_array(np.insert(values, [position] * count, 0, axis=axis), np.int8)
