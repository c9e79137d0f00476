"""Several networks resident on one chip: weights and biases of all stay in place, one network runs at a time.

Data memory is free for all of them: a run may overwrite what another network left there. So the output of a
run is unloaded before another network starts, and an input is loaded after the run before it has ended. The
next input may be loaded while that output still waits only if :func:`data_apart` says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice, permutations

from synergyc.diagnostics import SynergyError
from synergyc.ir.network import Network
from synergyc.synth.geometry import set_bits
from synergyc.synth.placed import PlacedNetwork, PlacedTensor
from synergyc.synth.placement import hardware_layers, place
from synergyc.targets import Chip, Cnn

_MOST_ORDERS = 24
"""Orders of networks that are tried: all of up to four networks."""

_SWITCH_WORDS_PER_QUADRANT = 2
"""Control register and layer count (section 4.7)."""

_FIFO_WORDS = 2
"""Size of the input frame, and FIFO control, by quadrant at most."""


def place_resident(networks: Sequence[Network], chip: Chip) -> tuple[PlacedNetwork, ...]:
    """Return ``networks``, in their order, placed so that all can stay on ``chip`` at once.

    Weights and biases of all lie side by side. Where the chip can start at any layer, each network has layer
    registers of its own as long as there are enough; else networks share them, and a switch rewrites those
    that differ (see ``synth.switch``). Raises SynergyError if they do not fit together in any of the orders
    that were tried, with what stopped the given one.
    """
    failure: SynergyError | None = None
    for order in islice(permutations(range(len(networks))), _MOST_ORDERS):
        try:
            found = _place_in_order(networks, order, chip)
        except SynergyError as error:
            failure = failure or error
            continue
        return tuple(found[index] for index in range(len(networks)))
    if failure is None:
        return ()
    raise failure


def _place_in_order(
    networks: Sequence[Network], order: Sequence[int], chip: Chip
) -> dict[int, PlacedNetwork]:
    found: dict[int, PlacedNetwork] = {}
    free_layer = 0
    for index in order:
        first = _first_layer(networks[index], free_layer, chip.cnn)
        try:
            placed = place(networks[index], chip, first_layer=first, beside=tuple(found.values()))
        except SynergyError as error:
            raise _beside(error, networks[index], tuple(found.values())) from error
        found[index] = placed
        free_layer = max(free_layer, placed.layers[-1].hardware_layer + 1)
    return found


def _first_layer(network: Network, free_layer: int, cnn: Cnn) -> int:
    """Return where the layer registers of ``network`` begin: behind those in use, or at 0 to share them."""
    own = "start_layer" in cnn.features and free_layer + hardware_layers(network, cnn) <= cnn.limits.layers
    return free_layer if own else 0


def _beside(error: SynergyError, network: Network, placed: Sequence[PlacedNetwork]) -> SynergyError:
    """Say which networks are in the way, where there are any."""
    if not placed:
        return error
    names = ", ".join(other.name for other in placed)
    return SynergyError(
        replace(item, message=f"{network.name} beside {names}: {item.message}") for item in error.diagnostics
    )


def switch_words(network: PlacedNetwork, others: Sequence[PlacedNetwork], chip: Chip) -> int:
    """Return how many 32-bit words a switch to ``network`` writes at most, if any of ``others`` ran before.

    A bound that needs no generated code; the words themselves: ``synth.switch.switch_steps``.
    """
    quadrants, addresses = len(network.quadrants), chip.cnn.addresses
    fifo = any(item.fifo for item in (network, *others))
    registers = len(addresses.layer_registers.numbers)
    registers += len(addresses.stream_registers.numbers) if fifo else 0
    shared = {number for other in others for number in _numbers(other)} & set(_numbers(network))
    words = quadrants * (_SWITCH_WORDS_PER_QUADRANT + len(shared) * registers)
    return words + _FIFO_WORDS * quadrants if fifo else words


def _numbers(network: PlacedNetwork) -> range:
    return range(network.first_layer, network.layers[-1].hardware_layer + 1)


def data_apart(done: PlacedNetwork, following: PlacedNetwork, cnn: Cnn) -> bool:
    """Tell whether the input of ``following`` can be loaded while the output of ``done`` is still there."""
    return not any(
        _meet(output, given, cnn)
        for output in done.outputs
        for given in following.inputs
        if not following.fifo
    )


def _meet(one: PlacedTensor, two: PlacedTensor, cnn: Cnn) -> bool:
    instances = [
        {processor // cnn.processors_per_instance for processor in set_bits(tensor.processors)}
        for tensor in (one, two)
    ]
    apart = one.offset_bytes >= two.end_bytes or two.offset_bytes >= one.end_bytes
    return bool(instances[0] & instances[1]) and not apart
