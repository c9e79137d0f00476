"""All limits of the chips, by the identifiers that diagnostics use; docs/rules.md lists them."""

from __future__ import annotations

from collections.abc import Mapping

from synergyc.ir.graph import Node
from synergyc.ir.network import Layer, Network
from synergyc.legalize import memory_rules, operator_rules
from synergyc.legalize.limits import Rule, Subject_contra


def _named(*rules: Rule[Subject_contra]) -> dict[str, Rule[Subject_contra]]:
    return {rule.name: rule for rule in rules}


NODE_RULES: Mapping[str, Rule[Node]] = _named(operator_rules.convolution_stride)
"""Rules of the graph, for what layers have no room to express."""

LAYER_RULES: Mapping[str, Rule[Layer]] = _named(
    operator_rules.channels,
    operator_rules.map_size,
    operator_rules.conv2d_kernel,
    operator_rules.conv2d_dilation,
    operator_rules.conv1d_kernel,
    operator_rules.padding_size,
    operator_rules.conv1d_padding,
    operator_rules.groups,
    operator_rules.pool_window,
    operator_rules.pool_stride,
    operator_rules.pool_dilation,
    operator_rules.pool_alone,
    operator_rules.eltwise_operands,
    operator_rules.eltwise_passes,
    operator_rules.eltwise_bias,
    operator_rules.distinct_inputs,
    operator_rules.flatten_size,
    operator_rules.flatten_alone,
    operator_rules.weight_bits,
    operator_rules.output_shift,
    operator_rules.output_width,
    operator_rules.activation_place,
    memory_rules.layer_weights,
    memory_rules.layer_bias,
    memory_rules.layer_data,
)
"""Rules of a single layer."""

NETWORK_RULES: Mapping[str, Rule[Network]] = _named(
    memory_rules.layer_count,
    memory_rules.network_data,
    memory_rules.weight_memory,
    memory_rules.bias_memory,
)
"""Rules of all layers together."""

ALL_RULES: tuple[Rule[Node] | Rule[Layer] | Rule[Network], ...] = (
    *NODE_RULES.values(),
    *LAYER_RULES.values(),
    *NETWORK_RULES.values(),
)
"""Every rule, in the order of the page docs/rules.md."""
