"""ONNX models in half, double or brain precision, read in single precision."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import onnx
from onnx import numpy_helper

_OTHER_FLOATS = {onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE, onnx.TensorProto.BFLOAT16}


def in_single_precision(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return ``model`` with float32 in place of other floating-point types; the same one if it has none."""
    values = (*model.graph.input, *model.graph.output, *model.graph.value_info)
    kinds = {item.type.tensor_type.elem_type for item in values}
    kinds |= {tensor.data_type for tensor in _tensors(model)}
    kinds |= {item.i for item in _casts(model)}
    if not kinds & _OTHER_FLOATS:
        return model
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    for item in (*changed.graph.input, *changed.graph.output, *changed.graph.value_info):
        if item.type.tensor_type.elem_type in _OTHER_FLOATS:
            item.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    for tensor in _tensors(changed):
        if tensor.data_type in _OTHER_FLOATS:
            values32 = numpy_helper.to_array(tensor).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(values32, tensor.name))
    for attribute in _casts(changed):
        if attribute.i in _OTHER_FLOATS:
            attribute.i = onnx.TensorProto.FLOAT
    return changed


def _tensors(model: onnx.ModelProto) -> Iterable[onnx.TensorProto]:
    yield from model.graph.initializer
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.TENSOR:
                yield attribute.t


def _casts(model: onnx.ModelProto) -> Iterable[onnx.AttributeProto]:
    for node in model.graph.node:
        if node.op_type == "Cast":
            yield from (attribute for attribute in node.attribute if attribute.name == "to")
