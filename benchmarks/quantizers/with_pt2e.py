"""PT2E (torchao): its histogram and min-max observers, with scales rounded to powers of two."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.quantizers.assemble import (
    Weights,
    Widths,
    integer_graph,
    nearest,
    power_of_two,
    real_bias,
    torch_layer,
    weighted,
)
from synergyc.ir.graph import Convolution, Graph, Linear
from synergyc.ir.types import Array
from synergyc.quantize import real_input

_WEIGHTED = {
    torch.ops.aten.conv1d.default,
    torch.ops.aten.conv2d.default,
    torch.ops.aten.linear.default,
}


def pt2e(graph: Graph, calibration: Array, widths: Widths) -> Graph:
    """Return ``graph`` in integers."""
    from torchao.quantization.pt2e.quantize_pt2e import prepare_pt2e

    model = nn.Sequential(*(torch_layer(node.operator) for node in graph)).eval()
    inputs = torch.from_numpy(real_input(calibration))
    exported = torch.export.export(model, (inputs,)).module()
    prepared = prepare_pt2e(exported, _quantizer([widths[node.name] for node in weighted(graph)]))
    with torch.no_grad():
        prepared(inputs)
    calls = [call for call in prepared.graph.nodes if call.target in _WEIGHTED]
    activations, layers = {}, {}
    for node, call in zip(weighted(graph), calls, strict=True):
        assert isinstance(node.operator, Convolution | Linear)
        data, weight = (_step(prepared, call.args[index]) for index in (0, 1))
        activations[node.inputs[0]] = power_of_two(data)
        scale = power_of_two(weight)
        integers = nearest(node.operator.weight, scale, widths[node.name])
        layers[node.name] = Weights(integers, scale, real_bias(node.operator))
    activations[graph.input.name] = 7
    return integer_graph(graph, activations, layers, widths)


def _step(prepared: Any, observer: Any) -> float:
    scale, _ = getattr(prepared, observer.target).calculate_qparams()
    return float(np.asarray(scale.detach()).reshape(-1)[0])


def _quantizer(widths: list[int]) -> Any:
    from torchao.quantization.pt2e import HistogramObserver, MinMaxObserver
    from torchao.quantization.pt2e.quantizer import QuantizationAnnotation, QuantizationSpec, Quantizer

    def spec(observer: Any, bits: int) -> Any:
        low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
        return QuantizationSpec(
            dtype=torch.int8,
            observer_or_fake_quant_ctr=observer.with_args(eps=2**-20),
            quant_min=low,
            quant_max=high,
            qscheme=torch.per_tensor_symmetric,
        )

    class Chain(Quantizer):  # type: ignore[misc]
        def annotate(self, model: Any) -> Any:
            calls = [call for call in model.graph.nodes if call.target in _WEIGHTED]
            for call, bits in zip(calls, widths, strict=True):
                specs = {call.args[0]: spec(HistogramObserver, 8), call.args[1]: spec(MinMaxObserver, bits)}
                call.meta["quantization_annotation"] = QuantizationAnnotation(
                    input_qspec_map=specs, _annotated=True
                )
            return model

        def validate(self, model: Any) -> None:
            """Accept every model."""

    return Chain()
