"""Weight slots and bias bytes for a network whose processors and offsets are given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

import numpy as np

from synergyc.diagnostics import fail
from synergyc.synth.biases import BiasRequest, allocate_biases, has_biases
from synergyc.synth.geometry import round_up, set_bits
from synergyc.synth.kernels import FOURFOLD
from synergyc.synth.memories import SLOT_STEP, WeightMemory, WeightRequest, allocate_weights, used_quadrants
from synergyc.synth.occupancy import placed_image, weight_slots
from synergyc.synth.placed import PlacedLayer, PlacedNetwork
from synergyc.synth.vendor.options import VendorOptions
from synergyc.targets import Cnn


def with_memories(
    placed: PlacedNetwork,
    cnn: Cnn,
    options: VendorOptions,
    restrictions: Mapping[str, tuple[int, ...] | None],
) -> PlacedNetwork:
    """Return ``placed`` with quadrants, weight slots and biases by the tool's rules.

    ``restrictions``: quadrants to which the biases of a layer are bound, by its name. Raises SynergyError.
    """
    maps = [*(layer.processors for layer in placed), placed.layers[placed.last].output_processors]
    quadrants = used_quadrants(maps, cnn)
    slot_of = _slots(placed, cnn, options)
    biases = [
        BiasRequest(layer, restrictions.get(layer.layer.name) or quadrants)
        for layer in placed
        if has_biases(layer)
    ]
    places = allocate_biases(biases, cnn, share=options.share_weights)
    places_of = {request.name: place for request, place in zip(biases, places, strict=True)}
    complete = replace(
        placed,
        quadrants=quadrants,
        layers=tuple(
            replace(
                layer,
                weight_slot=slot_of.get(layer.layer.name, 0),
                bias=places_of.get(layer.layer.name, ()),
            )
            for layer in placed
        ),
    )
    if any(layer.fourfold for layer in complete) and _meet(complete, cnn):
        return _apart(complete, cnn, options.weight_start)
    return complete


def _slots(placed: PlacedNetwork, cnn: Cnn, options: VendorOptions) -> dict[str, int]:
    """Return the first slot of the weights of each layer that has some, by its name."""
    requests = [
        WeightRequest(
            layer.layer.name,
            layer.processors,
            placed_image(layer, cnn),
            depthwise=layer.layer.groups > 1,
            behind_plain=before is not None and layer.fourfold and not before.fourfold,
        )
        for before, layer in pairwise([None, *placed.layers])
        if layer is not None and layer.stores_weights
    ]
    slots = allocate_weights(
        requests,
        cnn,
        start=options.weight_start,
        large_from_end=not options.control.fill_gaps,
        share=options.share_weights,
    )
    return {request.name: slot for request, slot in zip(requests, slots, strict=True)}


def _meet(placed: PlacedNetwork, cnn: Cnn) -> bool:
    """Tell whether weights meet: the tool's rules count the slots of fourfold layers in one row."""
    memory = WeightMemory(cnn)
    for layer in placed:
        if layer.stores_weights:
            slots = weight_slots(layer, cnn)
            if memory.taken[np.ix_(np.array(set_bits(layer.processors)), slots)].any():
                return True
            memory.take(layer.processors, slots)
    return False


def _apart(placed: PlacedNetwork, cnn: Cnn, start: int) -> PlacedNetwork:
    """Return the network with weights at the first free slots of their memories, from ``start`` on."""
    memory, layers = WeightMemory(cnn), []
    for layer in placed:
        moved = layer
        if layer.stores_weights:
            moved = replace(layer, weight_slot=_free_slot(layer, memory, start))
            memory.take(moved.processors, weight_slots(moved, cnn))
        layers.append(moved)
    return replace(placed, layers=tuple(layers))


def _free_slot(layer: PlacedLayer, memory: WeightMemory, start: int) -> int:
    cnn, scale = memory.cnn, FOURFOLD if layer.fourfold else 1
    slots = weight_slots(replace(layer, weight_slot=0), cnn)
    size = cnn.weight_slots // scale
    length = int((slots % size).max()) + 1
    busy = np.logical_or.reduce(memory.taken[list(set_bits(layer.processors))], axis=0)
    for first in range(round_up(start, SLOT_STEP), (size - length + 1) * scale, SLOT_STEP):
        if not busy[slots + first // scale].any():
            return first
    raise fail(
        "weight-memory",
        "weights for four outputs at a time do not fit beside the others",
        layer=layer.layer.name,
        need=f"{length} free slots in each of four memories",
        hint="use calcx4 for all layers that share processors, or for none",
    )
