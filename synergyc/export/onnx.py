"""A network as standard ONNX whose integers are exact, for an executor that is not ours.

``ConvInteger`` and ``MatMulInteger`` give the sums; rounding is add half, subtract the remainder of ``Mod``
(never negative for a positive divisor), divide. ``QLinearConv`` would not do: it rounds half to even.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from synergyc.ir.kernels import plain_kernel
from synergyc.ir.network import BIAS_SUMS, Layer, LayerOp, Network
from synergyc.ir.types import Activation, Array, EltwiseOp, Pool, PoolKind, Shape

OPSET = 19
"""The first with dilated average pooling; bitwise operators came with 18."""

_IR_VERSION = 9
_ELTWISE = {
    EltwiseOp.ADD: "Add",
    EltwiseOp.SUB: "Sub",
    EltwiseOp.OR: "BitwiseOr",
    EltwiseOp.XOR: "BitwiseXor",
}


def to_onnx(network: Network) -> onnx.ModelProto:
    """Return ``network`` as an ONNX model: int8 inputs (N, *shape), int8 or int32 outputs (N, *shape).

    Inputs and outputs have the names of the network's tensors; integers are real values times 2**fraction
    bits, which the model's metadata state for each tensor (``fraction_bits:NAME``).
    """
    builder = _Builder()
    values = {tensor.name: f"in_{tensor.name}" for tensor in network.inputs}
    for layer in network.layers:
        values[layer.output.name] = _layer(builder, layer, [values[name] for name in layer.inputs])
    for name in network.outputs:
        builder.add("Identity", values[name], output=name)
    kinds = {8: TensorProto.INT8, 32: TensorProto.INT32}
    outputs = [network.tensor(name) for name in network.outputs]
    graph = helper.make_graph(
        builder.nodes,
        network.name,
        [
            helper.make_tensor_value_info(f"in_{t.name}", TensorProto.INT8, ["N", *t.shape])
            for t in network.inputs
        ],
        [helper.make_tensor_value_info(t.name, kinds[t.width_bits], ["N", *t.shape]) for t in outputs],
        builder.constants,
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=_IR_VERSION,
        producer_name="synergyc",
    )
    for tensor in (*network.inputs, *outputs):
        model.metadata_props.add(key=f"fraction_bits:{tensor.name}", value=str(tensor.fraction_bits))
    return model


def run_onnxruntime(model: onnx.ModelProto, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Return the outputs by name as onnxruntime computes them for int8 ``inputs`` (N, *shape) by tensor name.

    Raises ImportError where onnxruntime is not installed.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    feeds = {f"in_{name}": values for name, values in inputs.items()}
    return dict(zip(names, session.run(names, feeds), strict=True))


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

    def reshape(self, value: str, shape: Shape) -> str:
        """Return ``value`` with ``shape`` behind its batch axis."""
        return self.add("Reshape", value, self.constant(np.array([0, *shape], dtype=np.int64)))

    def clip(self, value: str, low: int) -> str:
        limits = [self.constant(np.array(limit, dtype=np.int32)) for limit in (low, 127)]
        return self.add("Clip", value, *limits)


def _layer(builder: _Builder, layer: Layer, inputs: list[str]) -> str:
    """Add the nodes of ``layer`` and return the name of what it makes, shape (N, *layer.output.shape)."""
    if layer.eltwise is None:
        value = inputs[0] if len(inputs) == 1 else builder.add("Concat", *inputs, axis=1)
        value = builder.reshape(value, _maps(layer.in_shape))
        value = _pooled(builder, layer.pool, value)
    else:
        maps = [builder.reshape(name, _maps(layer.in_shape)) for name in inputs]
        early, late = (layer.pool, None) if layer.pool_first else (None, layer.pool)
        value = _combined(builder, layer.eltwise, [_pooled(builder, early, name) for name in maps])
        value = _pooled(builder, late, value)
    if layer.weight is not None:
        value = _weighted(builder, layer, layer.weight, value)
    return builder.reshape(value, layer.output.shape)


def _maps(shape: Shape) -> Shape:
    """Return (C, H, W) for vectors and one-dimensional data too."""
    return (*shape, 1, 1)[:3]


def _combined(builder: _Builder, op: EltwiseOp, operands: list[str]) -> str:
    wide = [builder.add("Cast", name, to=TensorProto.INT32) for name in operands]
    total = wide[0]
    for operand in wide[1:]:
        total = builder.add(_ELTWISE[op], total, operand)
    return builder.add("Cast", builder.clip(total, -128), to=TensorProto.INT8)


def _pooled(builder: _Builder, pool: Pool | None, value: str) -> str:
    if pool is None:
        return value
    how: dict[str, Any] = {
        "kernel_shape": list(pool.window),
        "strides": [pool.stride] * 2,
        "dilations": list(pool.dilation),
    }
    if pool.kind is PoolKind.MAX:
        return builder.add("MaxPool", value, **how)
    count = math.prod(pool.window)
    means = builder.add("AveragePool", builder.add("Cast", value, to=TensorProto.FLOAT), **how)
    sums = builder.add("Round", builder.add("Mul", means, builder.constant(np.float32(count))))
    whole = builder.integer("Div", builder.add("Cast", sums, to=TensorProto.INT32), count)  # toward zero
    return builder.add("Cast", whole, to=TensorProto.INT8)


def _weighted(builder: _Builder, layer: Layer, weight: Array, value: str) -> str:
    if layer.op is LayerOp.LINEAR:
        value = builder.add(
            "MatMulInteger", builder.add("Flatten", value, axis=1), builder.constant(weight.T)
        )
        bias_shape: tuple[int, ...] = (-1,)
    else:
        value, weight, padding = _as_plain_convolution(builder, layer, weight, value)
        value = builder.add(
            "ConvInteger",
            value,
            builder.constant(weight),
            pads=[*padding, *padding],
            dilations=[*layer.dilation, 1][:2],
            group=layer.groups,
        )
        bias_shape = (-1, 1, 1)
    if layer.bias is not None:
        sums = layer.bias.astype(np.int32).reshape(bias_shape) * BIAS_SUMS
        value = builder.add("Add", value, builder.constant(sums))
    return value if layer.wide else _requantized(builder, layer, value)


def _as_plain_convolution(
    builder: _Builder, layer: Layer, weight: Array, value: str
) -> tuple[str, Array, tuple[int, int]]:
    """Return input, weights (out, in/groups, kh, kw) and padding of an equal two-dimensional convolution."""
    if layer.op is LayerOp.CONV1D:
        return value, weight[..., None], (layer.padding[0], 0)
    rows, columns = layer.padding
    if layer.op is LayerOp.CONV2D:
        return value, weight, (rows, columns)
    flipped = plain_kernel(weight, layer.groups)
    channels, height, width = layer.pooled_shape
    apart = builder.reshape(value, (channels, height, 1, width, 1))
    behind = builder.constant(np.array([0] * 6 + [0, 0, 0, 1, 0, 1], dtype=np.int64))
    spread = builder.reshape(builder.add("Pad", apart, behind), (channels, 2 * height, 2 * width))
    return spread, np.ascontiguousarray(flipped), (layer.kernel[0] - 1 - rows, layer.kernel[1] - 1 - columns)


def _requantized(builder: _Builder, layer: Layer, value: str) -> str:
    right = 7 - layer.hardware_shift
    if right > 0:
        value = builder.integer("Add", value, 1 << (right - 1))
        value = builder.add("Sub", value, builder.integer("Mod", value, 1 << right))
        value = builder.integer("Div", value, 1 << right)
    elif right < 0:
        value = builder.integer("Mul", value, 1 << -right)
    value = builder.clip(value, 0 if layer.activation is Activation.RELU else -128)
    if layer.activation is Activation.ABS:
        value = builder.clip(builder.add("Abs", value), 0)
    return builder.add("Cast", value, to=TensorProto.INT8)
