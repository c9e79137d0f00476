"""A network as an ONNX graph of integer operators, for onnxruntime to run: an executor that is not ours.

``ConvInteger`` and ``MatMulInteger`` give the exact sums; rounding is add half, subtract the remainder of
``Mod`` (never negative), divide. Covers conv2d, linear, pooling and passthrough of single operands.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from synergyc.ir.network import Layer, LayerOp, Network
from synergyc.ir.types import Activation, Array, PoolKind


class _Builder:
    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, values: npt.ArrayLike) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.array(values), name))
        return name

    def add(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        output = output or f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def integer(self, kind: str, value: str, number: int) -> str:
        return self.add(kind, value, self.constant(np.array(number, dtype=np.int32)))


def run_onnx(network: Network, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Return the network's outputs as onnxruntime computes them, of type int32."""
    builder = _Builder()
    names = {tensor.name: tensor.name for tensor in network.inputs}
    for layer in network.layers:
        names[layer.output.name] = _layer(builder, layer, names[layer.inputs[0]])
    outputs = [
        builder.add("Cast", names[name], output=f"out_{name}", to=TensorProto.INT32)
        for name in network.outputs
    ]
    graph = helper.make_graph(
        builder.nodes,
        "integers",
        [helper.make_tensor_value_info(t.name, TensorProto.INT8, ["N", *t.shape]) for t in network.inputs],
        [helper.make_tensor_value_info(name, TensorProto.INT32, None) for name in outputs],
        builder.constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return dict(zip(network.outputs, session.run(outputs, dict(inputs)), strict=True))


def _layer(builder: _Builder, layer: Layer, value: str) -> str:
    if len(layer.inputs) != 1 or layer.groups != 1:
        raise NotImplementedError(f"layer {layer.name}")
    if layer.pool is not None:
        value = _pool(builder, layer, value)
    if layer.op is LayerOp.PASSTHROUGH:
        return value
    weight = layer.weight
    assert weight is not None
    if layer.op is LayerOp.LINEAR:
        value = builder.add("Flatten", value, axis=1)
        value = builder.add("MatMulInteger", value, builder.constant(weight.T))
    elif layer.op is LayerOp.CONV2D:
        pads = [*layer.padding, *layer.padding]
        value = builder.add("ConvInteger", value, builder.constant(weight), pads=pads)
    else:
        raise NotImplementedError(str(layer.op))
    if layer.bias is not None:
        shape = (-1,) if layer.op is LayerOp.LINEAR else (-1, 1, 1)
        value = builder.add("Add", value, builder.constant(layer.bias.astype(np.int32).reshape(shape) * 128))
    return value if layer.wide else _requantized(builder, layer, value)


def _pool(builder: _Builder, layer: Layer, value: str) -> str:
    assert layer.pool is not None
    shape: dict[str, Any] = {"kernel_shape": list(layer.pool.window), "strides": [layer.pool.stride] * 2}
    if layer.pool.kind is PoolKind.MAX:
        return builder.add("MaxPool", value, **shape)
    count = math.prod(layer.pool.window)
    means = builder.add("AveragePool", builder.add("Cast", value, to=TensorProto.FLOAT), **shape)
    sums = builder.add("Round", builder.add("Mul", means, builder.constant(np.float32(count))))
    whole = builder.integer("Div", builder.add("Cast", sums, to=TensorProto.INT32), count)  # toward zero
    return builder.add("Cast", whole, to=TensorProto.INT8)


def _requantized(builder: _Builder, layer: Layer, value: str) -> str:
    right = 7 - layer.hardware_shift
    if right > 0:
        value = builder.integer("Add", value, 1 << (right - 1))
        value = builder.add("Sub", value, builder.integer("Mod", value, 1 << right))
        value = builder.integer("Div", value, 1 << right)
    elif right < 0:
        value = builder.integer("Mul", value, 1 << -right)
    low = 0 if layer.activation is Activation.RELU else -128
    limits = [builder.constant(np.array(limit, dtype=np.int32)) for limit in (low, 127)]
    value = builder.add("Clip", value, *limits)
    if layer.activation is Activation.ABS:
        value = builder.add("Clip", builder.add("Abs", value), *limits)
    return builder.add("Cast", value, to=TensorProto.INT8)
