"""ATen operators, one reader each: from a call's arguments to operators of the graph.

Names are those that torch 2.13 prints after ``run_decompositions({})``. A reader raises
``UnsupportedOperatorError`` for a use of its operator that cannot be carried out.
"""

from __future__ import annotations

from dataclasses import replace

from synergyc.frontend import pools, shapes, weighted
from synergyc.frontend.aten_arguments import Reader, axis_of, source_of, spread
from synergyc.frontend.aten_moves import MOVE_READERS
from synergyc.frontend.aten_values import VALUE_READERS
from synergyc.frontend.builder import Call, UnsupportedOperatorError, Value
from synergyc.ir.graph import Abs, BatchNorm, Convolution, Operator, Relu
from synergyc.ir.tail import TailOp
from synergyc.ir.types import PoolKind, frozen_array


def _convolution(call: Call) -> Value:
    weight = call.constant("weight")
    dilation = tuple(call.arguments["dilation"])
    transposed = "output_padding" in call.arguments
    padding, asymmetric = call.arguments["padding"], None
    if isinstance(padding, str):
        if padding == "same":
            asymmetric = weighted.same_padding(weight.shape[2:], dilation)
        padding = [0] * (weight.ndim - 2)
    operator = Convolution(
        weight=weight,
        bias=call.optional_constant("bias"),
        stride=tuple(call.arguments["stride"]),
        padding=tuple(padding),
        dilation=dilation,
        groups=call.arguments["groups"],
        transposed=transposed,
        output_padding=tuple(call.arguments.get("output_padding", ())),
    )
    if asymmetric is not None and asymmetric[0] == asymmetric[1]:
        operator, asymmetric = replace(operator, padding=asymmetric[0]), None
    return weighted.convolve(call, call.value("input"), operator, asymmetric)


def _linear(call: Call) -> Value:
    return weighted.multiply(
        call, call.value("input"), call.constant("weight"), call.optional_constant("bias")
    )


def _matrix_product(call: Call) -> Value:
    other = call.constant("mat2" if "mat2" in call.arguments else "other")
    bias = None
    if "mat1" in call.arguments:
        if call.arguments.get("alpha", 1) != 1 or call.arguments.get("beta", 1) != 1:
            raise UnsupportedOperatorError("it must not scale its operands (alpha=1, beta=1)")
        return weighted.multiply(call, call.value("mat1"), frozen_array(other.T), call.constant("input"))
    return weighted.multiply(call, source_of(call), frozen_array(other.T), bias)


def _batch_norm(call: Call) -> Value:
    operator = BatchNorm(
        mean=call.constant("running_mean"),
        variance=call.constant("running_var"),
        gain=call.optional_constant("weight"),
        offset=call.optional_constant("bias"),
        epsilon=call.arguments["eps"],
    )
    return call.emit(operator, call.value("input"))


def _pooling(kind: PoolKind) -> Reader:
    def read(call: Call) -> Value:
        window = tuple(call.arguments["kernel_size"])
        rank = len(window)
        padding = spread(call.arguments["padding"], rank)
        if call.arguments.get("divisor_override") is not None:
            raise UnsupportedOperatorError(
                "average pooling must divide by the window size (divisor_override=None)"
            )
        form = pools.PoolForm(
            kind,
            window,
            spread(call.arguments["stride"] or window, rank),
            spread(call.arguments.get("dilation", 1), rank),
            padding,
            padding,
            call.arguments.get("count_include_pad", True),
        )
        return pools.pool(call, source_of(call), form)

    return read


def _adaptive(kind: PoolKind) -> Reader:
    def read(call: Call) -> Value:
        source = source_of(call)
        wanted = tuple(call.arguments["output_size"])
        weighted.of_rank(source, len(wanted) + 1)
        kept = tuple(
            size if count is None else int(count)
            for count, size in zip(wanted, source.shape[1:], strict=False)
        )
        return pools.pool_evenly(call, source, kind, kept)

    return read


def _unary(operator: Operator) -> Reader:
    return lambda call: weighted.activate(call, operator, source_of(call))


def _finish(op: TailOp) -> Reader:
    def read(call: Call) -> Value:
        source = source_of(call)
        if op in {TailOp.SIGMOID, TailOp.TANH}:
            return shapes.finish(call, source, op)
        return shapes.finish(call, source, op, axis_of(call, default=-1))

    return read


def _argmax(call: Call) -> Value:
    source = source_of(call)
    if call.arguments.get("dim") is None:
        raise UnsupportedOperatorError("the largest value must be looked for along an axis (dim=1)")
    return shapes.pick_largest(call, source, axis_of(call))


def _largest(call: Call) -> tuple[Value, ...]:
    source, axis = source_of(call), axis_of(call)
    place = shapes.pick_largest(call, source, axis)
    return pools.pool_axes(call, source, PoolKind.MAX, {axis}), place


def _bilinear(call: Call) -> Value:
    source, scales = source_of(call), call.arguments.get("scale_factors") or ()
    for size, target, scale in zip(source.shape[1:], call.shape[1:], scales, strict=False):
        if size * float(scale) != target:
            raise UnsupportedOperatorError("the new size must be the old one times scale_factor")
    return shapes.interpolate(call, source, corners=bool(call.arguments.get("align_corners")))


def _pass_through(call: Call) -> Value:
    return source_of(call)


READERS: dict[str, Reader] = {
    **MOVE_READERS,
    **VALUE_READERS,
    "conv1d.default": _convolution,
    "conv1d.padding": _convolution,
    "conv2d.default": _convolution,
    "conv2d.padding": _convolution,
    "conv3d.default": _convolution,
    "conv_transpose1d.default": _convolution,
    "conv_transpose2d.input": _convolution,
    "linear.default": _linear,
    "matmul.default": _matrix_product,
    "mm.default": _matrix_product,
    "addmm.default": _matrix_product,
    "_native_batch_norm_legit_no_training.default": _batch_norm,
    "max_pool1d.default": _pooling(PoolKind.MAX),
    "max_pool2d.default": _pooling(PoolKind.MAX),
    "max_pool2d_with_indices.default": _pooling(PoolKind.MAX),
    "avg_pool1d.default": _pooling(PoolKind.AVERAGE),
    "avg_pool2d.default": _pooling(PoolKind.AVERAGE),
    "adaptive_avg_pool1d.default": _adaptive(PoolKind.AVERAGE),
    "adaptive_avg_pool2d.default": _adaptive(PoolKind.AVERAGE),
    "adaptive_max_pool1d.default": _adaptive(PoolKind.MAX),
    "adaptive_max_pool2d.default": _adaptive(PoolKind.MAX),
    "relu.default": _unary(Relu()),
    "abs.default": _unary(Abs()),
    "upsample_bilinear2d.vec": _bilinear,
    "upsample_linear1d.vec": _bilinear,
    "softmax.int": _finish(TailOp.SOFTMAX),
    "_softmax.default": _finish(TailOp.SOFTMAX),
    "log_softmax.int": _finish(TailOp.LOG_SOFTMAX),
    "_log_softmax.default": _finish(TailOp.LOG_SOFTMAX),
    "sigmoid.default": _finish(TailOp.SIGMOID),
    "tanh.default": _finish(TailOp.TANH),
    "argmax.default": _argmax,
    "max.dim": _largest,
    "clone.default": _pass_through,
    "alias.default": _pass_through,
    "detach.default": _pass_through,
    "contiguous.default": _pass_through,
    "dropout.default": _pass_through,
    "feature_dropout.default": _pass_through,
}
"""By the operator's name without the ``aten.`` in front."""
