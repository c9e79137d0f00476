"""The stage itself: fuse, then check every limit of the layers and report all that is broken at once."""

from __future__ import annotations

from collections.abc import Sequence

from synergyc.diagnostics import Diagnostic, SynergyError
from synergyc.ir.graph import Graph
from synergyc.ir.network import Layer, Network
from synergyc.ir.types import Origin
from synergyc.legalize.fuse import fuse
from synergyc.legalize.rules import LAYER_RULES, NETWORK_RULES, NODE_RULES, Finding
from synergyc.legalize.suit import suit
from synergyc.targets import Chip


def legalize(graph: Graph, chip: Chip) -> Network:
    """Return the integer ``graph`` as accelerator layers for ``chip``.

    Raises SynergyError with one diagnostic for each limit that a layer breaks. The network as a whole may be
    too big for one chip, for it may be split over several: ``check_limits`` tells.
    """
    network = suit(fuse(graph, chip.cnn), chip.cnn)
    problems = [
        _diagnostic(name, finding, node.origin)
        for node in graph.nodes
        for name, rule in NODE_RULES.items()
        if (finding := rule(node, chip.cnn)) is not None
    ]
    problems += _layer_problems(network, chip)
    if problems:
        raise SynergyError(problems)
    return network


def check_limits(network: Network, chip: Chip) -> tuple[Diagnostic, ...]:
    """Return what keeps ``network``, or a segment of one, from running on ``chip``; empty if nothing does.

    Memory is judged by lower bounds, which no placement can beat: what is refused here can never fit, what
    passes may still fail to be placed.
    """
    totals = [
        _diagnostic(name, finding, None)
        for name, rule in NETWORK_RULES.items()
        if (finding := rule(network, chip.cnn)) is not None
    ]
    return (*_layer_problems(network, chip), *totals)


def check_together(networks: Sequence[Network], chip: Chip) -> tuple[Diagnostic, ...]:
    """Return why ``networks`` cannot stay on ``chip`` at once, by lower bounds; empty if that is open."""
    layers = tuple(layer for network in networks for layer in network.layers)
    names = " and ".join(network.name for network in networks)
    union = Network(names, (), layers, ())
    found = ((name, NETWORK_RULES[name](union, chip.cnn)) for name in _SHARED_MEMORIES)
    return tuple(_diagnostic(name, finding, None) for name, finding in found if finding is not None)


_SHARED_MEMORIES = ("weight-memory", "bias-memory")
"""Rules about what stays in place when another network runs."""


def _layer_problems(network: Network, chip: Chip) -> list[Diagnostic]:
    return [
        _diagnostic(name, finding, layer.origins[0] if name.startswith("pool-") else _origin(layer))
        for layer in network.layers
        for name, rule in LAYER_RULES.items()
        if (finding := rule(layer, chip.cnn)) is not None
    ]


def _origin(layer: Layer) -> Origin:
    """Return where the layer stands in the user's model: its weighted part, which names the layer."""
    named = (origin for origin in layer.origins if origin.module.replace(".", "_") == layer.name)
    return next(named, Origin(layer.name) if not layer.origins else layer.origins[-1])


def _diagnostic(rule: str, finding: Finding, origin: Origin | None) -> Diagnostic:
    return Diagnostic(
        rule,
        finding.message,
        location=origin.location if origin else None,
        layer=origin.module if origin else None,
        need=finding.need,
        have=finding.have,
        hint=finding.hint,
    )
