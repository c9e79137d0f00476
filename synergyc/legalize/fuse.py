"""Fusing a graph's operators into accelerator layers: [pool or concatenate], weighted operator, activation.

Pooling comes before the operator in the hardware, so a pool joins the layers that read it; one that nothing
weighted reads becomes a layer without weights. The result computes the same integers as the graph.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from synergyc.diagnostics import fail
from synergyc.ir.graph import (
    Abs,
    Concatenation,
    Convolution,
    Elementwise,
    Flatten,
    Graph,
    Linear,
    Node,
    Pooling,
    Relu,
)
from synergyc.ir.network import Layer, LayerOp, Network, Tensor
from synergyc.ir.types import Activation, Origin, Pool, Shape, frozen_array
from synergyc.targets import Cnn

_IDENTITY_BITS = 2
"""Narrowest weights that hold a 1."""

_IDENTITY_SHIFT = 1
"""With 2-bit weights the hardware adds 6, and a shift of 7 passes sums on unchanged."""


@dataclass(frozen=True)
class _Reading:
    """How a layer can read a value: stored tensors, joined by channel, then pooled, then flattened."""

    tensors: tuple[str, ...]
    shape: Shape
    pool: Pool | None = None
    flatten: bool = False
    origins: tuple[Origin, ...] = ()

    @property
    def is_plain(self) -> bool:
        return len(self.tensors) == 1 and self.pool is None


def fuse(graph: Graph, cnn: Cnn) -> Network:
    """Return the integer ``graph`` as layers, limits unchecked. Raises SynergyError for float graphs."""
    return _Fuser(graph, cnn).network()


class _Fuser:
    def __init__(self, graph: Graph, cnn: Cnn) -> None:
        self._graph = graph
        self._cnn = cnn
        self._layers: list[Layer] = []
        self._readings = {graph.input.name: _Reading((graph.input.name,), graph.input.shape)}

    def network(self) -> Network:
        for node in self._graph.nodes:
            if node.name not in self._readings:
                self._readings[node.name] = self._read(node)
        output = self._readings[self._graph.output]
        if output.tensors == (self._graph.input.name,):
            raise fail("legalize-empty", "the model must compute something")
        source = self._graph.input
        tensor = Tensor(source.name, source.shape, self._graph.fraction_bits[source.name])
        return Network(self._graph.name, (tensor,), tuple(self._layers), output.tensors)

    def _read(self, node: Node) -> _Reading:
        operator = node.operator
        reading = self._readings[node.inputs[0]]
        match operator:
            case Convolution() | Linear():
                return self._weighted(node, operator, reading)
            case Flatten():
                return replace(reading, flatten=True)
            case Pooling():
                return self._pooled(node, operator.pool, self._stored(reading, node))
            case Relu() | Abs():
                return self._identity(node, self._stored(reading, node), _activation(node))
            case Elementwise():
                return self._combined(node, operator)
            case Concatenation():
                return self._concatenated(node)
            case _:
                raise fail("legalize-float", "batch normalization must be folded", layer=node.origin.module)

    def _weighted(self, node: Node, operator: Convolution | Linear, reading: _Reading) -> _Reading:
        how = operator.requantization
        if how is None or operator.weight.dtype != np.int8:
            raise fail("legalize-float", "weights must be quantized", layer=node.origin.module)
        last = self._activated_by(node)
        shape = reading.shape if len(reading.shape) > 1 else (*reading.shape, 1, 1)
        layer = Layer(
            name=node.name,
            op=_layer_op(operator),
            inputs=reading.tensors,
            output=Tensor(node.name, node.shape, self._graph.fraction_bits[node.name], 32 if how.wide else 8),
            in_shape=shape,
            weight=operator.weight,
            bias=operator.bias,
            weight_bits=how.weight_bits,
            output_shift=how.output_shift,
            pool=reading.pool,
            flatten=reading.flatten and math.prod(_pixels(reading)) > 1,
            activation=_activation(last),
            origins=(*reading.origins, node.origin, *([last.origin] if last is not node else [])),
        )
        if isinstance(operator, Convolution):
            layer = replace(
                layer,
                kernel=operator.weight.shape[2:],
                padding=operator.padding,
                dilation=operator.dilation,
                groups=operator.groups,
            )
        made = self._emit(layer)
        self._readings[last.name] = made
        return made

    def _activated_by(self, node: Node) -> Node:
        """Return the activation that only ``node`` feeds, or ``node`` itself."""
        readers = self._graph.consumers(node.name)
        if (
            len(readers) == 1
            and node.name != self._graph.output
            and isinstance(readers[0].operator, Relu | Abs)
        ):
            return readers[0]
        return node

    def _pooled(self, node: Node, pool: Pool, reading: _Reading) -> _Reading:
        joined = replace(reading, pool=pool, origins=(*reading.origins, node.origin))
        if self._is_absorbed(node, node.shape):
            return joined
        return self._stored(joined, node)

    def _is_absorbed(self, node: Node, shape: Shape) -> bool:
        """Return whether every reader of ``node`` is a weighted operator that can pool or concatenate first.

        The hardware cannot pool and flatten in one layer; pooled to one pixel, nothing is left to flatten.
        """
        if node.name == self._graph.output:
            return False
        readers = self._graph.consumers(node.name)
        return bool(readers) and all(
            isinstance(reader.operator, Convolution)
            or (
                isinstance(reader.operator, Flatten)
                and math.prod(shape[1:]) == 1
                and reader.name != self._graph.output
                and all(isinstance(next_.operator, Linear) for next_ in self._graph.consumers(reader.name))
            )
            for reader in readers
        )

    def _combined(self, node: Node, operator: Elementwise) -> _Reading:
        operands = [self._stored(self._readings[name], node) for name in node.inputs]
        if len({operand.shape for operand in operands}) != 1:
            raise fail("eltwise-shape", "operands must have equal shapes", layer=node.origin.module)
        layer = Layer(
            name=node.name,
            op=LayerOp.PASSTHROUGH,
            inputs=tuple(name for operand in operands for name in operand.tensors),
            output=self._tensor(node, operands[0].shape),
            in_shape=_maps_shape(operands[0].shape),
            eltwise=operator.op,
            origins=(node.origin,),
        )
        return replace(self._emit(layer), flatten=operands[0].flatten)

    def _concatenated(self, node: Node) -> _Reading:
        operands = [self._stored(self._readings[name], node) for name in node.inputs]
        joined = _Reading(
            tuple(name for operand in operands for name in operand.tensors),
            node.shape,
            origins=(node.origin,),
        )
        return joined if self._is_absorbed(node, node.shape) else self._stored(joined, node)

    def _stored(self, reading: _Reading, node: Node) -> _Reading:
        """Return a reading of one tensor without pooling; what stands before ``node`` becomes a layer."""
        if reading.is_plain:
            return reading
        pixels = math.prod(node.shape[1:]) if isinstance(node.operator, Pooling) else 1
        if reading.pool and pixels > 1 and reading.shape[0] > self._cnn.limits.pool_only_channels:
            return self._identity(node, reading, Activation.NONE)
        layer = Layer(
            name=node.name,
            op=LayerOp.PASSTHROUGH,
            inputs=reading.tensors,
            output=self._tensor(node, node.shape),
            in_shape=_maps_shape(reading.shape),
            pool=reading.pool,
            origins=reading.origins,
        )
        return self._emit(layer)

    def _identity(self, node: Node, reading: _Reading, activation: Activation) -> _Reading:
        """Emit a convolution that changes nothing, for its activation or its pooling.

        Each channel's single weight is 1, so its sum is its value, and a shift of 7 hands it on.
        """
        shape = reading.shape
        one_axis = len(shape) == 2
        rank = len(shape)
        weight = np.eye(shape[0], dtype=np.int8).reshape(shape[0], shape[0], *(1,) * (rank - 1))
        layer = Layer(
            name=node.name,
            op={1: LayerOp.LINEAR, 2: LayerOp.CONV1D, 3: LayerOp.CONV2D}[rank],
            inputs=reading.tensors,
            output=self._tensor(node, node.shape if reading.pool else shape),
            in_shape=_maps_shape(shape),
            kernel=(1,) if one_axis else (1, 1),
            padding=(0,) if one_axis else (0, 0),
            dilation=(1,) if one_axis else (1, 1),
            weight=frozen_array(weight),
            weight_bits=_IDENTITY_BITS,
            output_shift=_IDENTITY_SHIFT,
            pool=reading.pool,
            activation=activation,
            origins=(*reading.origins, *([node.origin] if node.origin not in reading.origins else [])),
        )
        return replace(self._emit(layer), flatten=reading.flatten)

    def _tensor(self, node: Node, shape: Shape) -> Tensor:
        return Tensor(node.name, shape, self._graph.fraction_bits[node.name])

    def _emit(self, layer: Layer) -> _Reading:
        self._layers.append(layer)
        return _Reading((layer.output.name,), layer.output.shape)


def _pixels(reading: _Reading) -> Shape:
    """Return rows and columns that remain of a reading after pooling."""
    if reading.pool is None:
        return reading.shape[1:]
    return tuple(
        (size - (window - 1) * step - 1) // reading.pool.stride + 1
        for size, window, step in zip(
            reading.shape[1:], reading.pool.window, reading.pool.dilation, strict=False
        )
    )


def _maps_shape(shape: Shape) -> Shape:
    """Return a layer's input shape: vectors are maps of one pixel."""
    return (*shape, 1, 1) if len(shape) == 1 else shape


def _layer_op(operator: Convolution | Linear) -> LayerOp:
    if isinstance(operator, Linear):
        return LayerOp.LINEAR
    if operator.transposed:
        return LayerOp.CONV_TRANSPOSE2D
    return LayerOp.CONV1D if operator.weight.ndim == 3 else LayerOp.CONV2D


def _activation(node: Node) -> Activation:
    match node.operator:
        case Relu():
            return Activation.RELU
        case Abs():
            return Activation.ABS
        case _:
            return Activation.NONE
