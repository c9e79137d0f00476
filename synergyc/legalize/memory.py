"""What layers need of the accelerator's memories, as lower bounds that hold for every placement.

Sources: ai8x-synthesis, ``izer/kernels.py`` (weight memory) and ``izer/izer.py`` (passes, data memory).
"""

from __future__ import annotations

import math

from synergyc.ir.network import Layer, LayerOp, Network
from synergyc.targets import Cnn

SLOT_BITS = 72
SLOT_ALIGNMENT = 4
"""A layer's first weight slot is a multiple of this (izer/kernels.py)."""


def passes(channels: int, cnn: Cnn) -> int:
    """Return how often the hardware runs through its processors for so many channels."""
    return -(-channels // cnn.processors)


def processors_per_pass(channels: int, cnn: Cnn) -> int:
    """Return how many processors each pass occupies; more than one pass rounds up to whole instances."""
    count = passes(channels, cnn)
    if count == 1:
        return channels
    share = -(-channels // count)
    unit = cnn.processors_per_instance
    return min(-(-share // unit) * unit, cnn.processors)


def weight_slots(layer: Layer, cnn: Cnn) -> int:
    """Return the weight slots that ``layer`` takes in each processor that it uses."""
    if layer.weight is None:
        return 0
    channels_in, channels_out = layer.in_shape[0], layer.output.shape[0]
    rounds = passes(channels_in, cnn)
    if layer.groups > 1:
        kernels = rounds
    else:
        positions = passes(channels_out, cnn) * processors_per_pass(channels_out, cnn)
        if layer.flatten:
            positions = channels_out * math.prod(layer.in_shape[1:])
        kernels = positions * rounds
    taps = math.prod(layer.kernel)
    if layer.op is LayerOp.CONV1D:
        taps = (layer.kernel[0] - 1) * layer.dilation[0] + 1  # dilation fills the gaps with zero weights
    per_byte = 8 // layer.weight_bits
    bits = kernels * taps * layer.weight_bits + (kernels % per_byte) * taps * (per_byte - 1)
    return -(-bits // SLOT_BITS)


def fullest_processor_slots(network: Network, cnn: Cnn) -> int:
    """Return how many weight slots the fullest processor needs at least, however layers are placed.

    A layer starts at one slot number, common to all its processors. Layers on more than half of the
    processors meet each other in at least one, so they lie behind one another; and all layers together
    cannot fill less than their sum spread evenly.
    """
    own = {
        (layer.weight.tobytes(), layer.weight.shape, layer.weight_bits, layer.flatten): layer
        for layer in network.layers
        if layer.weight is not None
    }  # layers with equal weights may share them
    blocks = [
        (weight_slots(layer, cnn), processors_per_pass(layer.in_shape[0], cnn)) for layer in own.values()
    ]
    if not blocks:
        return 0
    wide = [slots for slots, processors in blocks if processors > cnn.processors // 2]
    stacked = sum(-(-slots // SLOT_ALIGNMENT) * SLOT_ALIGNMENT for slots in wide)
    slack = max((-slots % SLOT_ALIGNMENT for slots in wide), default=0)
    spread = -(-sum(slots * processors for slots, processors in blocks) // cnn.processors)
    return max(stacked - slack, spread, *(slots for slots, _ in blocks))


def bias_bytes(layer: Layer) -> int:
    """Return the bias memory that ``layer`` takes, in one quadrant; all-zero biases take none."""
    return 0 if layer.bias is None or not layer.bias.any() else layer.bias.size


def input_bytes(layer: Layer, cnn: Cnn) -> int:
    """Return the data memory that the layer's operands take in each instance they lie in."""
    pixels = math.prod(layer.in_shape[1:])
    operands = len(layer.inputs) if layer.eltwise is not None else 1
    return pixels * passes(layer.in_shape[0], cnn) * operands * cnn.processors_per_instance


def output_bytes(layer: Layer, cnn: Cnn) -> int:
    """Return the data memory that the layer's output takes in each instance it lies in."""
    shape = layer.output.shape
    words = math.prod(shape[1:]) * passes(shape[0], cnn) * layer.output.width_bits // 8
    return words * cnn.processors_per_instance
