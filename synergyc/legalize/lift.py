"""From accelerator layers back to graphs: in the same integers, and in the real numbers they stand for."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from synergyc.ir.graph import (
    Abs,
    Concatenation,
    Convolution,
    Elementwise,
    Flatten,
    Graph,
    GraphInput,
    Linear,
    Node,
    Operator,
    Pooling,
    Requantization,
    Reshape,
    Saturation,
)
from synergyc.ir.network import BIAS_SUMS, Layer, LayerOp, Network
from synergyc.ir.types import Activation, Array, Shape, frozen_array

_UNIT_SHIFT = 7
"""The programmed shift that passes sums on unchanged."""


@dataclass(frozen=True, eq=False)
class Lifted:
    """A network as graphs; ``real`` differs from ``integers`` by the rounding of activations alone."""

    real: Graph
    integers: Graph


def lift(network: Network) -> Lifted:
    """Return the graphs of a network of one input and one output; clipping is part of them."""
    return _Lifter(network).graphs()


class _Lifter:
    def __init__(self, network: Network) -> None:
        self._network = network
        (source,) = network.inputs
        self._input = GraphInput(source.name, source.shape)
        self._nodes: list[Node] = []
        self._weights: dict[str, Convolution | Linear] = {}
        self._scales = {source.name: source.fraction_bits}
        self._shapes: dict[str, Shape] = {source.name: source.shape}

    def graphs(self) -> Lifted:
        for layer in self._network.layers:
            self._lift(layer)
        (output,) = self._network.outputs
        nodes = tuple(self._nodes)
        real = Graph(self._network.name, self._input, nodes, output)
        integers = tuple(
            replace(node, operator=self._weights.get(node.name, node.operator)) for node in nodes
        )
        return Lifted(real, replace(real, nodes=integers, fraction_bits=self._scales))

    def _lift(self, layer: Layer) -> None:
        names = [self._read(layer, name) for name in layer.inputs]
        plane = layer.in_shape[1:]
        pooled = layer.pooled_shape[1:]
        if layer.pool is not None and (layer.pool_first or layer.eltwise is None):
            names = [
                self._emit(layer, "pool", Pooling(layer.pool), (name,), (self._shapes[name][0], *pooled))
                for name in names
            ]
            plane = pooled
        name = names[0]
        if layer.eltwise is not None:
            shape = (layer.in_shape[0], *plane)
            name = self._emit(layer, "eltwise", Elementwise(layer.eltwise), tuple(names), shape)
        elif len(names) > 1:
            shape = (layer.in_shape[0], *plane)
            name = self._emit(layer, "concat", Concatenation(), tuple(names), shape)
        if layer.pool is not None and layer.eltwise is not None and not layer.pool_first:
            name = self._emit(layer, "pool", Pooling(layer.pool), (name,), layer.pooled_shape)
        if layer.weight is not None:
            name = self._weighted(layer, layer.weight, name)
        self._finish(layer, name)

    def _read(self, layer: Layer, name: str) -> str:
        """Return a tensor with the rows and columns that the layer reads."""
        shape = (self._shapes[name][0], *layer.in_shape[1:])
        if shape == self._shapes[name]:
            return name
        return self._emit(layer, "view", Reshape(), (name,), shape)

    def _weighted(self, layer: Layer, weight: Array, name: str) -> str:
        shift = _UNIT_SHIFT if layer.wide else layer.hardware_shift
        source, output = self._network.tensor(layer.inputs[0]), layer.output
        scale = 2.0 ** (shift - _UNIT_SHIFT + source.fraction_bits - output.fraction_bits)
        real = frozen_array(weight * scale, np.float32)
        bias = None
        if layer.bias is not None:
            step = BIAS_SUMS * 2.0 ** (shift - _UNIT_SHIFT - output.fraction_bits)
            bias = frozen_array(layer.bias * step, np.float32)
        linear = layer.op is LayerOp.LINEAR
        if linear and self._shapes[name][1:]:
            name = self._emit(layer, "flatten", Flatten(), (name,), (math.prod(self._shapes[name]),))
        form = Linear(real, bias) if linear else _convolution(layer, real, bias)
        name = self._emit(layer, "sum", form, (name,), output.shape)
        how = Requantization(layer.weight_bits, layer.output_shift, layer.wide)
        self._weights[name] = replace(form, weight=weight, bias=layer.bias, requantization=how)
        self._scales[name] = output.fraction_bits
        return name

    def _finish(self, layer: Layer, name: str) -> None:
        """Clip and activate as the hardware does, under the name of the layer's tensor."""
        output = layer.output
        stages: list[Operator] = []
        if layer.weight is not None and not layer.wide:
            high = 128 * 2.0**-output.fraction_bits
            low = 0.0 if layer.activation is Activation.RELU else -high
            stages.append(Saturation(low, high))
            if layer.activation is Activation.ABS:
                stages.append(Abs())
        if not stages or self._shapes[name] != output.shape:
            stages.append(Reshape())
        for index, operator in enumerate(stages):
            last = index == len(stages) - 1
            shape = output.shape if last else self._shapes[name]
            if last:
                self._nodes.append(Node(output.name, operator, (name,), shape, layer.origins[-1]))
                self._shapes[output.name] = shape
                self._scales[output.name] = output.fraction_bits
            else:
                name = self._emit(layer, f"stage{index}", operator, (name,), shape)

    def _emit(
        self, layer: Layer, part: str, operator: Operator, inputs: tuple[str, ...], shape: Shape
    ) -> str:
        name, count = f"{layer.name}_{part}", 1
        while name in self._shapes:
            count += 1
            name = f"{layer.name}_{part}_{count}"
        self._nodes.append(Node(name, operator, inputs, shape, layer.origins[-1]))
        self._shapes[name] = shape
        self._scales[name] = self._scales[inputs[0]]
        return name


def _convolution(layer: Layer, weight: Array, bias: Array | None) -> Convolution:
    rank = weight.ndim - 2
    transposed = layer.op is LayerOp.CONV_TRANSPOSE2D
    return Convolution(
        weight,
        bias,
        (2 if transposed else 1,) * rank,
        layer.padding,
        layer.dilation,
        layer.groups,
        transposed,
        (1,) * rank if transposed else (),
    )
