"""ONNX operators on values: arithmetic, clipping, comparison, and reduction over axes."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from synergyc.frontend import pools, shapes, weighted
from synergyc.frontend.builder import BatchMixedError, UnsupportedOperatorError, Value
from synergyc.frontend.onnx_call import OnnxCall
from synergyc.ir.types import EltwiseOp, PoolKind

Reader = Callable[[OnnxCall], Value | tuple[Value, ...]]


def _reduction(kind: PoolKind) -> Reader:
    def read(node: OnnxCall) -> Value:
        source = node.source()
        numbers = node.setting("axes", 1)
        if not numbers:
            raise BatchMixedError
        axes = {node.axis(int(number), len(source.shape) + 1) for number in numbers}
        return pools.pool_axes(node.call, source, kind, axes)

    return read


def _clip(node: OnnxCall) -> Value:
    limits = [node.setting("min", 1), node.setting("max", 2)]
    low, high = (None if limit is None else float(np.asarray(limit).reshape(-1)[0]) for limit in limits)
    return weighted.clamp(node.call, node.source(), low, high)


def _extreme(*, maximum: bool) -> Reader:
    """Read a maximum or minimum: with a constant it is how exporters spell clipping at one end."""

    def read(node: OnnxCall) -> Value:
        constants = [item for item in node.inputs if isinstance(item, np.ndarray)]
        values = [item for item in node.inputs if isinstance(item, Value)]
        if len(values) == 2 and not constants:
            return weighted.larger(node.call, *values, maximum=maximum)
        if len(values) != 1 or len(constants) != 1 or constants[0].size != 1:
            raise UnsupportedOperatorError("it must compare two tensors, or one with a number")
        limit = float(constants[0].reshape(-1)[0])
        return weighted.clamp(node.call, values[0], *((limit, None) if maximum else (None, limit)))

    return read


def _leaky(node: OnnxCall) -> Value:
    slope = node.attributes.get("alpha", 0.01) if len(node.inputs) == 1 else node.constant(1)
    return weighted.leaky(node.call, node.source(), slope)


def _elementwise(op: EltwiseOp) -> Reader:
    def read(node: OnnxCall) -> Value:
        result, *others = node.operands
        for value in others:
            result = weighted.combine(node.call, op, result, value)
        if not isinstance(result, Value):
            raise UnsupportedOperatorError("operands must be computed from the model's input")
        return result

    return read


def _product(node: OnnxCall) -> Value:
    first, second = node.operands
    return weighted.times(node.call, first, second)


def _mean(node: OnnxCall) -> Value:
    return weighted.scale(node.call, _elementwise(EltwiseOp.ADD)(node), 1.0 / len(node.inputs), 0.0)  # type: ignore[arg-type]


def _sum(node: OnnxCall) -> Value:
    """Read a sum over axes as their mean times the number of values."""
    mean = _reduction(PoolKind.AVERAGE)(node)
    assert isinstance(mean, Value)  # noqa: S101 - it has one result
    count = math.prod(node.source().shape) // math.prod(mean.shape)
    return weighted.scale(node.call, mean, float(count), 0.0)


def _tile(node: OnnxCall) -> Value:
    source, counts = node.source(), [int(count) for count in node.constant(1)]
    if counts != [1, counts[1], *[1] * (len(counts) - 2)]:
        raise UnsupportedOperatorError("only channels can be repeated", "use Resize for rows and columns")
    return shapes.pick(node.call, source, list(range(source.shape[0])) * counts[1])


def _quotient(node: OnnxCall) -> Value:
    return weighted.times(node.call, node.source(), 1.0 / node.constant(1).astype(np.float64))


def _negation(node: OnnxCall) -> Value:
    return weighted.scale(node.call, node.source(), -1.0, 0.0)


VALUE_READERS: dict[str, Reader] = {
    "ReduceMean": _reduction(PoolKind.AVERAGE),
    "ReduceMax": _reduction(PoolKind.MAX),
    "Clip": _clip,
    "Max": _extreme(maximum=True),
    "Min": _extreme(maximum=False),
    "LeakyRelu": _leaky,
    "PRelu": _leaky,
    "Add": _elementwise(EltwiseOp.ADD),
    "Sum": _elementwise(EltwiseOp.ADD),
    "Sub": _elementwise(EltwiseOp.SUB),
    "Mean": _mean,
    "ReduceSum": _sum,
    "Tile": _tile,
    "Mul": _product,
    "Div": _quotient,
    "Neg": _negation,
}
"""By the operator's name in ONNX's own domain."""
