"""The order of all rewriting: each step leaves an equal graph that is nearer to the accelerator's operators.

What no step can change is left as it is, and the limits of the layers refuse it by its own name.
"""

from __future__ import annotations

from collections.abc import Callable

from synergyc.ir.fold import fold_batch_norm
from synergyc.ir.graph import Graph
from synergyc.legalize.rewrite import (
    activations,
    channels,
    copies,
    kernels,
    padding,
    pools,
    strides,
    thinning,
    transposed,
)
from synergyc.legalize.rewrite.editing import Rule, apply


def rewrite(graph: Graph) -> Graph:
    """Return the float ``graph`` with operators that accelerator layers are made of; outputs are equal.

    Batch normalization is folded. Raises SynergyError for padded pools that cannot be expressed.
    """
    for step in _STEPS:
        graph = step(graph)
    return graph


def _each(*rules: Rule) -> Callable[[Graph], Graph]:
    def step(graph: Graph) -> Graph:
        for rule in rules:
            graph = apply(graph, rule)
        return graph

    return step


_STEPS: tuple[Callable[[Graph], Graph], ...] = (
    fold_batch_norm,
    activations.leaky,
    activations.saturate,
    _each(activations.clip_in_layers),
    fold_batch_norm,
    padding.zeros_for_lowest,
    strides.fold_input,
    _each(thinning.padded_first, thinning.joined, padding.join),
    _each(transposed.transposed, padding.join, padding.into_convolution, strides.thin_out),
    _each(thinning.pooled),
    _each(padding.crop_before_convolution, padding.join, kernels.along_one_axis, kernels.fitted),
    _each(padding.even_out, padding.join, copies.copied, pools.in_two_steps),
    _each(channels.made_by_weights, channels.picked_by_weights),
)
