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
    Copy,
    Elementwise,
    Flatten,
    Graph,
    Linear,
    Node,
    Pooling,
    Relu,
    Reshape,
    Saturation,
)
from synergyc.ir.kernels import COPY_BITS, COPY_SHIFT
from synergyc.ir.network import Layer, LayerOp, Network, Tensor
from synergyc.ir.tail import Tail, TailOp
from synergyc.ir.types import Activation, Origin, Pool, Shape, frozen_array
from synergyc.targets import Cnn


@dataclass(frozen=True)
class _Reading:
    """How a layer can read a value: stored tensors, joined by channel, then pooled, then flattened.

    ``shape`` is that of the joined tensors, before pooling and flattening.
    """

    tensors: tuple[str, ...]
    shape: Shape
    pool: Pool | None = None
    flatten: bool = False
    origins: tuple[Origin, ...] = ()

    @property
    def pixels(self) -> Shape:
        """Rows and columns that pooling leaves."""
        if self.pool is None:
            return self.shape[1:]
        return tuple(
            (size - (window - 1) * step - 1) // self.pool.stride + 1
            for size, window, step in zip(self.shape[1:], self.pool.window, self.pool.dilation, strict=False)
        )

    @property
    def layout(self) -> Shape:
        """The shape without pooling; vectors and maps of one pixel are the same."""
        return self.shape[:1] if math.prod(self.shape[1:]) == 1 else self.shape


def fuse(graph: Graph, cnn: Cnn) -> Network:
    """Return the integer ``graph`` as layers, limits unchecked. Raises SynergyError for float graphs."""
    return _Fuser(graph, cnn).network()


class _Fuser:
    def __init__(self, graph: Graph, cnn: Cnn) -> None:
        self._graph = graph
        self._cnn = cnn
        self._layers: list[Layer] = []
        self._shapes = {graph.input.name: graph.input.shape}
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
        network = Network(self._graph.name, (tensor,), tuple(self._layers), output.tensors)
        return replace(network, tail=self._tail(network), preparation=source.preparation)

    def _tail(self, network: Network) -> tuple[Tail, ...]:
        """Return the graph's tail, which reads the output in the shape that the model gives it."""
        tail, shape = self._graph.tail, self._graph.node(self._graph.output).shape
        if not tail or shape == network.tensor(network.outputs[0]).shape:
            return tail
        return (Tail(TailOp.RESHAPE, sizes=shape), *tail)

    def _read(self, node: Node) -> _Reading:
        operator = node.operator
        reading = self._readings[node.inputs[0]]
        match operator:
            case Convolution() | Linear():
                return self._weighted(node, operator, reading)
            case Flatten():
                return replace(reading, flatten=True)
            case Reshape():
                return replace(reading, shape=node.shape, flatten=False)
            case Copy():
                return self._copied(node, operator, reading)
            case Saturation() if operator.low != 0:  # clipping is part of storing
                return reading
            case Pooling():
                joined = replace(reading, pool=operator.pool, origins=(*reading.origins, node.origin))
                return joined if self._is_absorbed(node, joined) else self._stored(node, joined)
            case Relu() | Abs() | Saturation():
                return self._identity(node, reading, _activation(node))
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
        layer = Layer(
            name=node.name,
            op=_layer_op(operator),
            inputs=reading.tensors,
            output=Tensor(node.name, node.shape, self._graph.fraction_bits[node.name], 32 if how.wide else 8),
            in_shape=_maps_shape(reading.shape),
            weight=operator.weight,
            bias=operator.bias,
            weight_bits=how.weight_bits,
            output_shift=how.output_shift,
            pool=reading.pool,
            flatten=reading.flatten and math.prod(reading.pixels) > 1,
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
            and isinstance(readers[0].operator, Relu | Abs | Saturation)
        ):
            return readers[0]
        return node

    def _is_absorbed(self, node: Node, reading: _Reading) -> bool:
        """Return whether all readers of ``node``, a pool or a concatenation, can do its work themselves.

        Weighted operators and activations can; but the hardware cannot pool and flatten in one layer, unless
        pooling leaves one pixel, so that there is nothing to flatten. Transposed convolutions do not pool.
        """

        def absorbs(reader: Node) -> bool:
            operator = reader.operator
            if isinstance(operator, Convolution | Copy) and operator.transposed:
                return reading.pool is None
            if isinstance(operator, Convolution | Copy | Linear | Relu | Abs):
                return True
            if not isinstance(operator, Flatten):
                return False
            if reader.name == self._graph.output or (reading.pool and math.prod(reading.pixels) > 1):
                return False
            return all(isinstance(after.operator, Linear) for after in self._graph.consumers(reader.name))

        readers = self._graph.consumers(node.name)
        return node.name != self._graph.output and all(absorbs(reader) for reader in readers)

    def _combined(self, node: Node, operator: Elementwise) -> _Reading:
        operands = [self._readings[name] for name in node.inputs]
        if len({(operand.layout, operand.flatten) for operand in operands}) != 1:
            raise fail(
                "eltwise-shape",
                "operands must have equal shapes before they are flattened",
                layer=node.origin.module,
            )
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
        operands = [self._readings[name] for name in node.inputs]
        if len({(operand.layout[1:], operand.flatten) for operand in operands}) != 1:
            raise fail(
                "concat-shape",
                "operands must have equal rows and columns before they are flattened",
                layer=node.origin.module,
            )
        joined = _Reading(
            tuple(name for operand in operands for name in operand.tensors),
            (sum(operand.shape[0] for operand in operands), *operands[0].shape[1:]),
            flatten=operands[0].flatten,
            origins=(node.origin,),
        )
        return joined if self._is_absorbed(node, joined) else self._stored(node, joined)

    def _stored(self, node: Node, reading: _Reading) -> _Reading:
        """Emit a layer that does the work of ``node`` alone, and return how its result is read."""
        shape = (reading.shape[0], *reading.pixels)
        many = reading.shape[0] > self._cnn.limits.pool_only_channels
        if (reading.pool and many and math.prod(reading.pixels) > 1) or self._is_uneven(reading):
            return self._identity(node, reading, Activation.NONE)
        layer = Layer(
            name=node.name,
            op=LayerOp.PASSTHROUGH,
            inputs=reading.tensors,
            output=self._tensor(node, shape),
            in_shape=_maps_shape(reading.shape),
            pool=reading.pool,
            origins=reading.origins,
        )
        return replace(self._emit(layer), flatten=reading.flatten)

    def _is_uneven(self, reading: _Reading) -> bool:
        """Return whether tensors are joined whose channels leave gaps, which only weights can skip."""
        unit = self._cnn.processors_per_instance
        parts = [self._shapes[name][0] for name in reading.tensors]
        return len(parts) > 1 and any(channels % unit for channels in parts)

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
            output=self._tensor(node, (shape[0], *reading.pixels)),
            in_shape=_maps_shape(shape),
            kernel=(1,) if one_axis else (1, 1),
            padding=(0,) if one_axis else (0, 0),
            dilation=(1,) if one_axis else (1, 1),
            weight=frozen_array(weight),
            weight_bits=COPY_BITS,
            output_shift=COPY_SHIFT,
            pool=reading.pool,
            activation=activation,
            origins=(*reading.origins, *([node.origin] if node.origin not in reading.origins else [])),
        )
        return replace(self._emit(layer), flatten=reading.flatten)

    def _copied(self, node: Node, operator: Copy, reading: _Reading) -> _Reading:
        """Emit a convolution of zeros and ones that hands values on."""
        rank = operator.weight.ndim - 2
        kind = LayerOp.CONV1D if rank == 1 else LayerOp.CONV2D
        layer = Layer(
            name=node.name,
            op=LayerOp.CONV_TRANSPOSE2D if operator.transposed else kind,
            inputs=reading.tensors,
            output=self._tensor(node, node.shape),
            in_shape=reading.shape,
            kernel=operator.weight.shape[2:],
            padding=operator.padding,
            dilation=(1,) * rank,
            groups=operator.groups,
            weight=operator.weight,
            weight_bits=COPY_BITS,
            output_shift=COPY_SHIFT,
            pool=reading.pool,
            origins=(*reading.origins, node.origin),
        )
        return self._emit(layer)

    def _tensor(self, node: Node, shape: Shape) -> Tensor:
        return Tensor(node.name, shape, self._graph.fraction_bits[node.name])

    def _emit(self, layer: Layer) -> _Reading:
        self._layers.append(layer)
        self._shapes[layer.output.name] = layer.output.shape
        return _Reading((layer.output.name,), layer.output.shape)


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
        case Relu() | Saturation(low=0):
            return Activation.RELU
        case Abs():
            return Activation.ABS
        case _:
            return Activation.NONE
