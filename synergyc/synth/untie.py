"""Layers that stay in their processors, made dense where tensors must lie side by side.

Concatenated tensors lie in neighbouring processors. If one of them is made of another by layers that leave
each channel in its processor, they cannot: one of those layers gets dense weights.
"""

from __future__ import annotations

from dataclasses import replace

from synergyc.ir.network import Layer, Network
from synergyc.synth.dense import densely
from synergyc.synth.draft import contradictions
from synergyc.targets import Chip


def untied(network: Network, chip: Chip) -> Network:
    """Return ``network`` with as few dense layers as it takes to give all tensors places, if any do."""
    left = contradictions(network, chip)
    while left:
        better = _one_step(network, chip, left)
        if better is None:
            return network  # placing it says what is wrong
        network, left = better
    return network


def _one_step(network: Network, chip: Chip, left: int) -> tuple[Network, int] | None:
    """Return ``network`` with one more dense layer, and fewer contradictions; the cheapest layer first."""
    choices = [(layer, dense) for layer in network.layers if (dense := densely(layer)) is not None]
    for layer, dense in sorted(choices, key=lambda choice: _weights(choice[1])):
        changed = replace(network, layers=tuple(dense if item is layer else item for item in network.layers))
        found = contradictions(changed, chip)
        if found < left:
            return changed, found
    return None


def _weights(layer: Layer) -> int:
    return 0 if layer.weight is None else layer.weight.size
