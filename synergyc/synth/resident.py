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
from synergyc.ir.network import Layer, Network
from synergyc.synth.geometry import set_bits
from synergyc.synth.placed import PlacedNetwork, PlacedTensor
from synergyc.synth.placement import DEFAULT_BUDGET_S, hardware_layers, place, place_together, refuse_weights
from synergyc.targets import Chip, Cnn

MOST_ORDERS = 24
"""Orders of networks that are tried: all of up to four networks."""

_SWITCH_WORDS_PER_QUADRANT = 2
"""Control register and layer count (section 4.7)."""

_FIFO_WORDS = 2
"""Size of the input frame, and FIFO control, by quadrant at most."""


Known = dict[tuple[tuple[str, tuple[Layer, ...]], ...], PlacedNetwork | None]
"""Where the last network of a begin of an order lies, beside those before it; None: it finds no room.

Networks are those of one chip, told by their name and layers, and all placed beside the same others.
"""


def place_resident(
    networks: Sequence[Network],
    chip: Chip,
    *,
    budget_s: float = DEFAULT_BUDGET_S,
    known: Known | None = None,
) -> tuple[PlacedNetwork, ...]:
    """Return ``networks``, in their order, placed so that all can stay on ``chip`` at once.

    Weights and biases of all lie side by side. Where the chip can start at any layer, each network has layer
    registers of its own as long as there are enough; else networks share them, and a switch rewrites those
    that differ (see ``synth.switch``). First one network is placed after the other, in ``MOST_ORDERS`` orders
    unless their weights are proven not to fit; then all at once, if need be by the constraint solver. What is
    ``known`` of orders that begin alike is not placed again. Raises SynergyError if they do not fit together;
    the message says whether that is proven or the solver's budget ran out.
    """
    if len(networks) < 2:
        return tuple(place(network, chip, budget_s=budget_s) for network in networks)
    first, *others = islice(permutations(range(len(networks))), MOST_ORDERS)
    known = {} if known is None else known
    found = _place_in_order(networks, first, chip, known)
    if found is not None:
        return found
    alone = [place(network, chip, budget_s=budget_s) for network in networks]
    try:
        if budget_s:
            refuse_weights(networks, alone, chip, budget_s)
        for order in others:
            found = _place_in_order(networks, order, chip, known)
            if found is not None:
                return found
        return place_together(networks, _first_layers(alone, chip.cnn), alone, chip, budget_s)
    except SynergyError as error:
        raise _together(error, networks) from error


def place_beside(
    networks: Sequence[Network],
    there: Sequence[PlacedNetwork],
    chip: Chip,
    *,
    most_orders: int = MOST_ORDERS,
    known: Known | None = None,
) -> tuple[PlacedNetwork, ...] | None:
    """Return ``networks`` placed so that they can stay on ``chip`` beside those that are ``there``.

    They are placed one after the other, in ``most_orders`` orders. None if greedy strategies do not find
    room; the constraint solver is not asked.
    """
    known = {} if known is None else known
    for order in islice(permutations(range(len(networks))), most_orders):
        found = _place_in_order(networks, order, chip, known, there)
        if found is not None:
            return found
    return None


def _place_in_order(
    networks: Sequence[Network],
    order: Sequence[int],
    chip: Chip,
    known: Known,
    there: Sequence[PlacedNetwork] = (),
) -> tuple[PlacedNetwork, ...] | None:
    """Return the networks placed one after the other by greedy strategies; None if one does not fit.

    What is ``known`` of orders that begin alike is not placed again.
    """
    found: dict[int, PlacedNetwork] = {}
    for place_number, index in enumerate(order, 1):
        begin = tuple((networks[i].name, networks[i].layers) for i in order[:place_number])
        if begin not in known:
            known[begin] = _place_next(networks[index], (*there, *found.values()), chip)
        placed = known[begin]
        if placed is None:
            return None
        found[index] = placed
    return tuple(found[index] for index in range(len(networks)))


def _place_next(network: Network, beside: Sequence[PlacedNetwork], chip: Chip) -> PlacedNetwork | None:
    """Return ``network`` with its layers behind those ``beside``, or from layer 0 on; None without room."""
    free_layer = max((other.last_layer + 1 for other in beside), default=0)
    for first in dict.fromkeys((_first_layer(network, free_layer, chip.cnn), 0)):
        try:
            return place(network, chip, first_layer=first, beside=beside, budget_s=0)
        except SynergyError:
            continue  # from layer 0 on, where it shares its registers, its input can stream
    return None


def _first_layer(network: Network, free_layer: int, cnn: Cnn) -> int:
    """Return where the layer registers of ``network`` begin: behind those in use, or at 0 to share them."""
    return _layer_behind(hardware_layers(network, cnn), free_layer, cnn)


def _layer_behind(count: int, free_layer: int, cnn: Cnn) -> int:
    own = "start_layer" in cnn.features and free_layer + count <= cnn.limits.layers
    return free_layer if own else 0


def _first_layers(alone: Sequence[PlacedNetwork], cnn: Cnn) -> tuple[int, ...]:
    """Return where the layer registers of each network begin; streaming networks need the first ones."""
    firsts = [0] * len(alone)
    free_layer = 0
    for index in sorted(range(len(alone)), key=lambda index: not alone[index].fifo):
        count = len(_numbers(alone[index]))
        firsts[index] = 0 if alone[index].fifo else _layer_behind(count, free_layer, cnn)
        free_layer = max(free_layer, firsts[index] + count)
    return tuple(firsts)


def _together(error: SynergyError, networks: Sequence[Network]) -> SynergyError:
    """Say which networks do not fit together."""
    names = " and ".join(network.name for network in networks)
    return SynergyError(
        replace(item, message=f"{names} together: {item.message}") for item in error.diagnostics
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
    return range(network.first_layer, network.last_layer + 1)


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
