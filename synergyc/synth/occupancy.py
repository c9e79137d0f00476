"""What networks that are already placed take of the weight and bias memories."""

from __future__ import annotations

from collections.abc import Sequence
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from synergyc.ir.network import Layer
from synergyc.synth.arrange import Taken
from synergyc.synth.biases import bias_columns, has_biases
from synergyc.synth.geometry import geometry_of
from synergyc.synth.kernels import FOURFOLD, KernelImage, fourfold_image, kernel_image
from synergyc.synth.lowering import hardware_form
from synergyc.synth.memories import WeightMemory
from synergyc.synth.placed import PlacedLayer, PlacedNetwork
from synergyc.targets import Cnn


def placed_image(placed: PlacedLayer, cnn: Cnn) -> KernelImage:
    """Return the packed weights of a layer that has some."""
    layer = placed.form.layer
    geometry = geometry_of(layer, cnn)
    return kernel_image(layer, geometry, placed.output_processors, cnn, binary=placed.binary)


_IMAGES: WeakKeyDictionary[Layer, dict[tuple[str, bool], KernelImage]] = WeakKeyDictionary()
"""Packed weights by layer, then chip generation and form: planners ask for the same layers many times."""


def aligned_image(layer: Layer, cnn: Cnn, *, streaming: bool = False) -> KernelImage:
    """Return the packed weights of ``layer`` for output processors that begin at a memory instance.

    ``streaming``: the layer or the one before it streams. The result is kept as long as the layer.
    """
    known = _IMAGES.setdefault(layer, {})
    key = (cnn.generation, streaming)
    if key not in known:
        form = hardware_form(layer, streaming=streaming).layer
        geometry = geometry_of(form, cnn)
        known[key] = kernel_image(form, geometry, (1 << geometry.out_passes.width) - 1, cnn)
    return known[key]


def weight_slots(placed: PlacedLayer, cnn: Cnn) -> npt.NDArray[np.int64]:
    """Return the slots that a layer's weights take in each of its processors."""
    if not placed.fourfold:
        return placed_image(placed, cnn).slots + placed.weight_slot
    layer = placed.form.layer
    image = fourfold_image(layer, geometry_of(layer, cnn), placed.output_processors, cnn)
    return image.slots + placed.weight_slot // FOURFOLD


_TAKEN: WeakKeyDictionary[PlacedNetwork, npt.NDArray[np.bool_]] = WeakKeyDictionary()
"""Weight slots by network: others are placed beside the same one many times."""


def weight_memory_beside(beside: Sequence[PlacedNetwork], cnn: Cnn) -> WeightMemory:
    """Return the weight memory with the slots of all networks ``beside`` taken."""
    memory = WeightMemory(cnn)
    for network in beside:
        if network not in _TAKEN:
            _TAKEN[network] = _taken_by(network, cnn)
        memory.taken |= _TAKEN[network]
    return memory


def _taken_by(network: PlacedNetwork, cnn: Cnn) -> npt.NDArray[np.bool_]:
    """Return the weight slots of ``network``, (processors, slots), and those that the chip does not have."""
    memory = WeightMemory(cnn)
    for placed in network:
        if placed.stores_weights:
            memory.take(placed.processors, weight_slots(placed, cnn))
    return memory.taken


def taken_slots(beside: Sequence[PlacedNetwork], cnn: Cnn) -> tuple[Taken, ...]:
    """Return the weight slots that the networks ``beside`` use, as runs by processor."""
    if not beside:
        return ()
    memory = weight_memory_beside(beside, cnn)
    found = []
    for processor in range(cnn.processors):
        used = memory.taken[processor, : cnn.slots(processor)].astype(np.int8)
        edges = np.flatnonzero(np.diff(used, prepend=0, append=0)).reshape(-1, 2)
        found += [Taken(processor, int(first), int(end)) for first, end in edges]
    return tuple(found)


def bias_bytes_beside(beside: Sequence[PlacedNetwork], cnn: Cnn) -> dict[int, int]:
    """Return the bytes of each quadrant's bias memory up to the last one that a network ``beside`` uses."""
    used = dict.fromkeys(range(cnn.quadrants), 0)
    for network in beside:
        if network not in _BIASES:
            _BIASES[network] = _bias_bytes_of(network, cnn)
        for quadrant, end in _BIASES[network].items():
            used[quadrant] = max(used[quadrant], end)
    return used


_BIASES: WeakKeyDictionary[PlacedNetwork, dict[int, int]] = WeakKeyDictionary()
"""Bytes up to the last one in use, by network and quadrant."""


def _bias_bytes_of(network: PlacedNetwork, cnn: Cnn) -> dict[int, int]:
    used = dict.fromkeys(range(cnn.quadrants), 0)
    for placed in network:
        if not has_biases(placed):
            continue
        columns = bias_columns(placed, cnn)
        for place in placed.bias:
            column = columns.get(place.quadrant, columns.get(0, []))
            used[place.quadrant] = max(used[place.quadrant], place.start + len(column))
    return used
