"""ATen operators on values: arithmetic, clipping, comparison, and reduction over axes."""

from __future__ import annotations

import math

import numpy as np

from synergyc.frontend import pools, weighted
from synergyc.frontend.aten_arguments import Reader, source_of, spread
from synergyc.frontend.builder import BatchMixedError, Call, UnsupportedOperatorError, Value
from synergyc.ir.types import EltwiseOp, PoolKind


def _elementwise(op: EltwiseOp, *, swapped: bool = False) -> Reader:
    def read(call: Call) -> Value:
        first = call.arguments.get("input", call.arguments.get("self"))
        second = call.arguments["other"]
        alpha = call.arguments.get("alpha", 1)
        if swapped:
            first, second = second, first
        if alpha != 1:
            second = weighted.scale(call, second, alpha, 0) if isinstance(second, Value) else second * alpha
        return weighted.combine(call, op, first, second)

    return read


def _product(call: Call) -> Value:
    return weighted.times(
        call, call.arguments.get("input", call.arguments.get("self")), call.arguments["other"]
    )


def _quotient(call: Call) -> Value:
    divisor = call.arguments["other"]
    if isinstance(divisor, Value) or call.arguments.get("rounding_mode"):
        raise UnsupportedOperatorError("the divisor must be constant, and the quotient exact")
    return weighted.times(call, source_of(call), 1.0 / np.asarray(divisor, dtype=np.float64))


def _negation(call: Call) -> Value:
    return weighted.scale(call, source_of(call), -1.0, 0.0)


def _clip(low_key: str | float | None, high_key: str | float | None) -> Reader:
    def limit(call: Call, key: str | float | None) -> float | None:
        found = call.arguments.get(key) if isinstance(key, str) else key
        if isinstance(found, Value):
            raise UnsupportedOperatorError("the limits must be constant")
        return None if found is None else float(found)

    return lambda call: weighted.clamp(call, source_of(call), limit(call, low_key), limit(call, high_key))


def _leaky(call: Call) -> Value:
    return weighted.leaky(call, source_of(call), float(call.arguments.get("negative_slope", 0.01)))


def _leaky_by_channel(call: Call) -> Value:
    slopes, source = call.constant("weight"), source_of(call)
    return weighted.leaky(call, source, slopes.reshape(-1, *(1,) * (len(source.shape) - 1)))


def _reduction(kind: PoolKind) -> Reader:
    def read(call: Call) -> Value:
        source = source_of(call)
        chosen = call.arguments.get("dim")
        numbers = spread(chosen, 1) if chosen not in (None, []) else ()
        axes = {(int(number) % (len(source.shape) + 1)) - 1 for number in numbers}
        if not axes or -1 in axes:
            raise BatchMixedError
        return pools.pool_axes(call, source, kind, axes)

    return read


def _sum(call: Call) -> Value:
    """Read a sum over axes: of channels by weights of one, of pixels as their mean times their number."""
    source = source_of(call)
    mean = _reduction(PoolKind.AVERAGE)(call)
    assert isinstance(mean, Value)  # noqa: S101  it has one result
    count = math.prod(source.shape) // math.prod(mean.shape)
    return weighted.scale(call, mean, float(count), 0.0)


def _larger(*, maximum: bool) -> Reader:
    """Read the larger (or smaller) of two values: ``a + relu(b - a)``, or a limit where one is a number."""

    def read(call: Call) -> Value:
        first, second = source_of(call), call.arguments["other"]
        if isinstance(second, Value):
            return weighted.larger(call, first, second, maximum=maximum)
        if np.size(second) != 1:
            raise UnsupportedOperatorError("the limit must be one number")
        limit = float(np.reshape(second, -1)[0])
        return weighted.clamp(call, first, *((limit, None) if maximum else (None, limit)))

    return read


def _threshold(call: Call) -> Value:
    limit, below = float(call.arguments["threshold"]), float(call.arguments["value"])
    if limit != below:
        raise UnsupportedOperatorError(
            f"values below {limit:g} jump to {below:g}: the accelerator has no steps", "use nn.ReLU"
        )
    return weighted.clamp(call, source_of(call), limit, None)


def _random_leaky(call: Call) -> Value:
    """Read an activation whose slope is random in training: at inference it is the mean of its limits."""
    slope = (float(call.arguments.get("lower", 1 / 8)) + float(call.arguments.get("upper", 1 / 3))) / 2
    return weighted.leaky(call, source_of(call), slope)


def _converted(call: Call) -> Value:
    """Pass values on that only change to another floating-point type."""
    kind = call.arguments.get("dtype")
    if kind is not None and not getattr(kind, "is_floating_point", False):
        raise UnsupportedOperatorError(f"values must stay floating-point numbers, not {kind}")
    return source_of(call)


VALUE_READERS: dict[str, Reader] = {
    "mean.dim": _reduction(PoolKind.AVERAGE),
    "amax.default": _reduction(PoolKind.MAX),
    "sum.dim_IntList": _sum,
    "relu6.default": _clip(0.0, 6.0),
    "hardtanh.default": _clip("min_val", "max_val"),
    "clamp.default": _clip("min", "max"),
    "clamp_min.default": _clip("min", None),
    "clamp_max.default": _clip(None, "max"),
    "threshold.default": _threshold,
    "maximum.default": _larger(maximum=True),
    "minimum.default": _larger(maximum=False),
    "max.other": _larger(maximum=True),
    "min.other": _larger(maximum=False),
    "leaky_relu.default": _leaky,
    "prelu.default": _leaky_by_channel,
    "rrelu.default": _random_leaky,
    "add.Tensor": _elementwise(EltwiseOp.ADD),
    "add.Scalar": _elementwise(EltwiseOp.ADD),
    "sub.Tensor": _elementwise(EltwiseOp.SUB),
    "sub.Scalar": _elementwise(EltwiseOp.SUB),
    "rsub.Tensor": _elementwise(EltwiseOp.SUB, swapped=True),
    "rsub.Scalar": _elementwise(EltwiseOp.SUB, swapped=True),
    "mul.Tensor": _product,
    "mul.Scalar": _product,
    "div.Tensor": _quotient,
    "div.Scalar": _quotient,
    "neg.default": _negation,
    "_to_copy.default": _converted,
}
"""By the operator's name without the ``aten.`` in front."""
