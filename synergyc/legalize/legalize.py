"""The stage itself: fuse, then check every limit of the layers and report all that is broken at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from synergyc.diagnostics import Diagnostic, SynergyError
from synergyc.ir.graph import Graph
from synergyc.ir.network import Layer, Network
from synergyc.ir.types import Origin
from synergyc.legalize.fuse import fuse
from synergyc.legalize.limits import Finding, Rule, Subject_contra
from synergyc.legalize.rules import LAYER_RULES, NETWORK_RULES, NODE_RULES
from synergyc.legalize.suit import suit
from synergyc.targets import Chip


def legalize(graph: Graph, chip: Chip) -> Network:
    """Return the integer ``graph`` as accelerator layers for ``chip``.

    Raises SynergyError with one diagnostic for each limit that a layer breaks. The network as a whole may be
    too big for one chip, for it may be split over several: ``check_limits`` tells.
    """
    network = suit(fuse(graph, chip.cnn), chip.cnn)
    problems = [
        _diagnostic(rule, finding, node.origin)
        for node in graph.nodes
        for rule in NODE_RULES.values()
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
    return (*_layer_problems(network, chip), *_network_problems(network, tuple(NETWORK_RULES), chip))


def check_together(networks: Sequence[Network], chip: Chip) -> tuple[Diagnostic, ...]:
    """Return why ``networks`` cannot stay on ``chip`` at once, by lower bounds; empty if that is open."""
    layers = tuple(layer for network in networks for layer in network.layers)
    names = " and ".join(network.name for network in networks)
    return _network_problems(Network(names, (), layers, ()), _SHARED_MEMORIES, chip)


_SHARED_MEMORIES = ("weight-memory", "bias-memory")
"""Rules about what stays in place when another network runs."""


def in_model_terms(problems: Sequence[Diagnostic], networks: Sequence[Network]) -> tuple[Diagnostic, ...]:
    """Return ``problems`` of later stages with layers named as in the user's model, and with their place."""
    origins = {layer.name: _origin(layer) for network in networks for layer in network.layers}
    return tuple(
        replace(item, layer=origin.module, location=item.location or origin.location)
        if (origin := origins.get(item.layer or "")) is not None
        else item
        for item in problems
    )


def _network_problems(network: Network, rules: Sequence[str], chip: Chip) -> tuple[Diagnostic, ...]:
    origins = {layer.name: _origin(layer) for layer in network.layers}
    found = ((NETWORK_RULES[name], NETWORK_RULES[name](network, chip.cnn)) for name in rules)
    return tuple(
        _diagnostic(rule, finding, origins.get(finding.layer or ""))
        for rule, finding in found
        if finding is not None
    )


def _layer_problems(network: Network, chip: Chip) -> list[Diagnostic]:
    return [
        _diagnostic(rule, finding, _origin(layer, pools=rule.name.startswith("pool-")))
        for layer in network.layers
        for rule in LAYER_RULES.values()
        if (finding := rule(layer, chip.cnn)) is not None
    ]


def _origin(layer: Layer, *, pools: bool = False) -> Origin:
    """Return where the layer stands in the user's model: its weighted part, which names it, or its pool."""
    if not layer.origins:
        return Origin(layer.name)
    if pools:
        return layer.origins[0]
    named = (origin for origin in layer.origins if origin.module.replace(".", "_") == layer.name)
    return next(named, layer.origins[-1])


def _diagnostic(rule: Rule[Subject_contra], finding: Finding, origin: Origin | None) -> Diagnostic:
    return Diagnostic(
        rule.name,
        f"{finding.message} (counted: {rule.formula})",
        location=origin.location if origin else None,
        layer=origin.module if origin else None,
        need=finding.need,
        have=finding.have,
        hint=rule.hint,
    )
