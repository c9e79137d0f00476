"""Brevitas: its power-of-two quantizers with least squared error, and its bias correction."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from benchmarks.quantizers.assemble import (
    Weights,
    Widths,
    integer_graph,
    power_of_two,
    torch_layer,
    with_weights,
)
from synergyc.ir.graph import Convolution, Graph, Linear, Relu
from synergyc.ir.types import Array
from synergyc.quantize import real_input


def brevitas(graph: Graph, calibration: Array, widths: Widths) -> Graph:
    """Return ``graph`` in integers."""
    from brevitas.graph.calibrate import bias_correction_mode, calibration_mode

    layers = {node.name: _layer(node.operator, widths.get(node.name, 8)) for node in graph}
    model = nn.Sequential(*layers.values()).eval()
    inputs = torch.from_numpy(real_input(calibration))
    with torch.no_grad():
        for mode in (calibration_mode, bias_correction_mode):
            with mode(model):
                model(inputs)
    activations = {graph.input.name: 7}
    made = {}
    for node in graph:
        layer: Any = layers[node.name]
        if isinstance(node.operator, Relu):
            activations[node.name] = power_of_two(float(layer.act_quant.scale()))
        elif isinstance(node.operator, Convolution | Linear):
            found = layer.quant_weight()
            integers = torch.round(found.value / found.scale).detach().numpy()
            bias = layer.bias.detach().double().numpy()
            made[node.name] = Weights(integers, power_of_two(float(found.scale.detach())), bias)
    return integer_graph(graph, activations, made, widths)


def _layer(operator: object, bits: int) -> nn.Module:
    from brevitas.nn import QuantConv1d, QuantConv2d, QuantLinear, QuantReLU
    from brevitas.quant.fixed_point import Int8ActPerTensorFixedPointMSE, Int8WeightPerTensorFixedPointMSE

    how = {
        "weight_quant": Int8WeightPerTensorFixedPointMSE,
        "weight_bit_width": bits,
        "weight_narrow_range": False,
        "bias": True,
    }
    if isinstance(operator, Linear):
        return with_weights(QuantLinear(*operator.weight.shape[::-1], **how), operator)
    if isinstance(operator, Convolution):
        outputs, inputs, *kernel = operator.weight.shape
        kind = QuantConv1d if len(kernel) == 1 else QuantConv2d
        size = kernel[0] if len(kernel) == 1 else tuple(kernel)
        padding = operator.padding[0] if len(kernel) == 1 else operator.padding
        return with_weights(kind(inputs, outputs, size, padding=padding, **how), operator)
    if isinstance(operator, Relu):
        layer: nn.Module = QuantReLU(act_quant=Int8ActPerTensorFixedPointMSE)
        return layer
    return torch_layer(operator)  # type: ignore[arg-type]
