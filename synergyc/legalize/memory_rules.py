"""Limits of the memories, by lower bounds that no placement can beat.

Numbers come from the target files; sources of rules without a number: ai8x-synthesis ``izer/izer.py`` and
``izer/backend/max7800x.py``, ai8x-training README "Limitations of MAX78000 Networks".
"""

from __future__ import annotations

import math
from dataclasses import replace

from synergyc.ir.network import Layer, Network
from synergyc.legalize import memory
from synergyc.legalize.limits import Finding, limit, over
from synergyc.targets import Cnn


@limit(
    "passes of inputs x output positions x taps x bits / 72, rounded up",
    "quantize the layer to 4, 2 or 1 bits",
    "use fewer channels",
    "pool before flattening",
)
def layer_weights(layer: Layer, cnn: Cnn) -> Finding | None:
    """A layer's weights fit the weight memory of its processors."""
    largest = max(cnn.weight_slots, cnn.large_weight_slots)
    return over("weight slots in each processor", memory.weight_slots(layer, cnn), largest)


@limit(
    "one byte for each output",
    "leave the bias out (bias=False)",
    "use fewer outputs",
)
def layer_bias(layer: Layer, cnn: Cnn) -> Finding | None:
    """A layer's bias fits the bias memory of one quadrant."""
    return over("bias bytes", memory.bias_bytes(layer), cnn.bias_bytes)


@limit(
    "4 x rows x columns x passes x operands (32-bit output: x 4)",
    "pool earlier",
    "use fewer channels: each 64 take one pass",
    "crop the input or fold it into more channels",
)
def layer_data(layer: Layer, cnn: Cnn) -> Finding | None:
    """What a layer reads and what it writes each fit the data memory, unless the layer may stream.

    Plain two-dimensional convolutions at the beginning of a network stream: see rule network-data.
    """
    if layer.streams:
        return None
    size = max(memory.input_bytes(layer, cnn), memory.output_bytes(layer, cnn))
    return over("bytes of activations in each data memory instance", size, cnn.instance_bytes)


@limit(
    "4 x rows x columns x passes of each tensor that does not stream",
    "pool earlier, best in one of the first layers",
    "use fewer channels: each 64 take one pass",
    "fold the input into more channels, or cut the network where its tensors are small",
)
def network_data(network: Network, cnn: Cnn) -> Finding | None:
    """Tensors fit the data memory, except those that stream between the first layers of the network.

    An input may also lie in memory with one channel in each instance, if one convolution reads it.
    """
    fifo_channels = cnn.quadrants * cnn.processors_per_instance
    arrives = len(network.inputs) == 1 and network.inputs[0].shape[0] <= fifo_channels
    chain = network.streamable(cnn.limits.streaming.layers) if arrives else 0
    for layer in network.layers[max(0, chain - 1) :]:
        size = memory.output_bytes(layer, cnn)
        if size > cnn.instance_bytes:
            return _too_large(layer, size, cnn)
    if chain or not network.inputs:
        return None
    first = network.layers[0]
    size = memory.input_bytes(first, cnn)
    if first.in_shape[0] <= cnn.instances and first.weight is not None:
        size = math.prod(first.in_shape[1:])
    return _too_large(first, size, cnn) if size > cnn.instance_bytes else None


def _too_large(layer: Layer, size_bytes: int, cnn: Cnn) -> Finding | None:
    found = over("bytes of activations in each data memory instance", size_bytes, cnn.instance_bytes)
    return None if found is None else replace(found, layer=layer.name)


@limit(
    "number of layers",
    "split the network over more devices",
    "run it on a chip with more layers (MAX78002)",
)
def layer_count(network: Network, cnn: Cnn) -> Finding | None:
    """A network has a limited number of layers."""
    return over("layers", len(network.layers), cnn.limits.layers)


@limit(
    "slots of layers that share processors, each rounded up to 4; at least all slots / 64",
    "split the network over more devices",
    "quantize the largest layers to 4, 2 or 1 bits",
    "use fewer channels",
)
def weight_memory(network: Network, cnn: Cnn) -> Finding | None:
    """The weights of all layers fit the weight memory of the fullest processor."""
    needed = memory.fullest_processor_slots(network, cnn)
    largest = max(cnn.weight_slots, cnn.large_weight_slots)
    return over("weight slots in the fullest processor", needed, largest)


@limit(
    "sum of the outputs of all layers with bias",
    "leave out biases (bias=False)",
    "split the network over more devices",
)
def bias_memory(network: Network, cnn: Cnn) -> Finding | None:
    """The biases of all layers fit the bias memory of all quadrants."""
    own = {layer.bias.tobytes(): layer for layer in network.layers if layer.bias is not None}
    needed = sum(memory.bias_bytes(layer) for layer in own.values())  # equal ones are shared
    return over("bias bytes", needed, cnn.bias_bytes * cnn.quadrants)
