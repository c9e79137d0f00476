"""What networks that are already placed take of the weight and bias memories."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from synergyc.synth.biases import bias_columns, has_biases
from synergyc.synth.geometry import geometry_of
from synergyc.synth.kernels import FOURFOLD, KernelImage, fourfold_image, kernel_image
from synergyc.synth.memories import WeightMemory
from synergyc.synth.placed import PlacedLayer, PlacedNetwork
from synergyc.targets import Cnn


def placed_image(placed: PlacedLayer, cnn: Cnn) -> KernelImage:
    """Return the packed weights of a layer that has some."""
    layer = placed.form.layer
    geometry = geometry_of(layer, cnn)
    return kernel_image(layer, geometry, placed.output_processors, cnn, binary=placed.binary)


def weight_slots(placed: PlacedLayer, cnn: Cnn) -> npt.NDArray[np.int64]:
    """Return the slots that a layer's weights take in each of its processors."""
    if not placed.fourfold:
        return placed_image(placed, cnn).slots + placed.weight_slot
    layer = placed.form.layer
    image = fourfold_image(layer, geometry_of(layer, cnn), placed.output_processors, cnn)
    return image.slots + placed.weight_slot // FOURFOLD


def weight_memory_beside(beside: Sequence[PlacedNetwork], cnn: Cnn) -> WeightMemory:
    """Return the weight memory with the slots of all networks ``beside`` taken."""
    memory = WeightMemory(cnn)
    for network in beside:
        for placed in network:
            if not placed.passthrough:
                memory.take(placed.processors, weight_slots(placed, cnn))
    return memory


def bias_bytes_beside(beside: Sequence[PlacedNetwork], cnn: Cnn) -> dict[int, int]:
    """Return the bytes of each quadrant's bias memory up to the last one that a network ``beside`` uses."""
    used = dict.fromkeys(range(cnn.quadrants), 0)
    for network in beside:
        for placed in network:
            if not has_biases(placed):
                continue
            columns = bias_columns(placed, cnn)
            for place in placed.bias:
                column = columns.get(place.quadrant, columns.get(0, []))
                used[place.quadrant] = max(used[place.quadrant], place.start + len(column))
    return used
