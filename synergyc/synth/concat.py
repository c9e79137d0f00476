"""Concatenation beyond one pass: each tensor fills a pass of its own, so all must be equally wide.

Tensors that are not get dead channels: their makers compute zeros for them, their readers weigh them with
zeros (section 8, pitfall 28).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from synergyc.ir.network import Layer, LayerOp, Network
from synergyc.ir.types import Array, frozen_array
from synergyc.synth.geometry import passes_of
from synergyc.targets import Cnn

_WEIGHTED = {LayerOp.CONV2D, LayerOp.CONV1D}


def with_equal_parts(network: Network, cnn: Cnn) -> Network:
    """Return ``network`` with dead channels where tensors are concatenated that differ in width.

    Concatenations that cannot be helped stay as they are; placing them says what is wrong.
    """
    for index in range(len(network.layers)):
        layer = network.layers[index]
        width = _common_width(layer, network, cnn)
        if width is None:
            continue
        narrow = [name for name in layer.inputs if network.tensor(name).shape[0] < width]
        if all(_can_widen(name, network) for name in narrow):
            for name in narrow:
                network = _widened(name, width, network)
    return network


def _common_width(layer: Layer, network: Network, cnn: Cnn) -> int | None:
    """Return the channels that each part of a concatenation must have, None where nothing is to be done."""
    count = len(layer.inputs)
    channels = [network.tensor(name).shape[0] for name in layer.inputs]
    total = passes_of(sum(channels), cnn)
    if count < 2 or layer.eltwise is not None or max(channels) > cnn.processors or total.count == 1:
        return None
    if total.count == count and set(channels) == {total.width}:
        return None
    lanes = cnn.processors_per_instance
    for width in range(-(-max(channels) // lanes) * lanes, cnn.processors + 1, lanes):
        passes = passes_of(count * width, cnn)
        if (passes.count, passes.width) == (count, width) and count * width <= cnn.limits.channels:
            return width
    return None


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
