"""Cycles of a placed network by the planner's cycle model, with the maps and offsets of the placement."""

from __future__ import annotations

from dataclasses import replace

from synergyc.plan.cycles import START_CYCLES, pipeline_cycles, walk_cycles, walk_of
from synergyc.synth.geometry import geometry_of, set_bits
from synergyc.synth.kernels import positions_of
from synergyc.synth.placed import PlacedLayer, PlacedNetwork
from synergyc.targets import Chip, Cnn


def placed_cycles(placed: PlacedNetwork, chip: Chip) -> int:
    """Return the cycles of one run."""
    return START_CYCLES + sum(layer_cycles(layer, chip) for layer in placed)


def layer_cycles(placed: PlacedLayer, chip: Chip) -> int:
    cnn = chip.cnn
    walk = walk_of(placed.layer, cnn)
    if placed.passthrough:
        walk = replace(walk, time_slots=_time_slots(placed.processors, cnn))
    elif placed.layer.groups == 1:
        positions = positions_of(geometry_of(placed.layer, cnn), placed.output_processors, cnn)
        walk = replace(walk, outputs=len(positions.channels))
    slot = placed.weight_slot if cnn.timing.kernel_offset_reads else 0
    return walk_cycles(walk, slot) + round(pipeline_cycles(walk, cnn))


def _time_slots(processors: int, cnn: Cnn) -> int:
    """Return the words that the fullest quadrant writes for each pixel and pass."""
    used = [processor // cnn.processors_per_quadrant for processor in set_bits(processors)]
    return -(-max(map(used.count, used)) // cnn.processors_per_instance)
