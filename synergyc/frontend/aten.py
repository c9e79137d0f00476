"""ATen operators, one reader each: from a call's arguments to an operator of the graph.

Operators are keyed by the name torch 2.13 prints for them after ``run_decompositions({})``. A reader raises
``UnsupportedOperatorError`` for a use of its operator that the accelerator cannot carry out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from synergyc.ir.graph import (
    Abs,
    BatchNorm,
    Concatenation,
    Convolution,
    Elementwise,
    Flatten,
    Linear,
    Operator,
    Pooling,
    Relu,
)
from synergyc.ir.types import Array, EltwiseOp, Pool, PoolKind, Shape


class UnsupportedOperatorError(Exception):
    """An operator, or a use of it, that the front end refuses."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@dataclass(frozen=True)
class Value:
    """A tensor of the graph: its name there and its shape without the batch axis."""

    name: str
    shape: Shape


@dataclass(frozen=True)
class Call:
    """One operator call; ``arguments`` holds :class:`Value` for activations, arrays for constants."""

    arguments: Mapping[str, Any]
    shape: Shape

    def value(self, key: str) -> Value:
        """Return the activation passed as ``key``."""
        argument = self.arguments[key]
        if not isinstance(argument, Value):
            raise UnsupportedOperatorError(
                f"argument {key!r} must be computed from the input, not a constant",
                "fold constants into the weights or the bias of a neighbouring layer",
            )
        return argument

    def constant(self, key: str) -> Array:
        """Return the parameter or buffer passed as ``key``."""
        array = self.optional_constant(key)
        if array is None:
            raise UnsupportedOperatorError(f"argument {key!r} must be given")
        return array

    def optional_constant(self, key: str) -> Array | None:
        """Return the parameter or buffer passed as ``key``, or None where there is none."""
        argument = self.arguments[key]
        if isinstance(argument, Value):
            raise UnsupportedOperatorError(
                f"argument {key!r} must be a parameter, not computed from the input"
            )
        array: Array | None = argument
        return array


Reading = tuple[Operator | None, tuple[Value, ...]]
"""The operator (None: the value passes unchanged) and the values that it reads."""


def _convolution(call: Call) -> Reading:
    weight = call.constant("weight")
    dilation = tuple(call.arguments["dilation"])
    transposed = "output_padding" in call.arguments
    padding = _padding(call.arguments["padding"], weight.shape[2:], dilation)
    if transposed and any(
        pad > step * (size - 1) for pad, step, size in zip(padding, dilation, weight.shape[2:], strict=True)
    ):
        raise UnsupportedOperatorError("padding of a transposed convolution must be smaller than the kernel")
    operator = Convolution(
        weight=weight,
        bias=call.optional_constant("bias"),
        stride=tuple(call.arguments["stride"]),
        padding=padding,
        dilation=dilation,
        groups=call.arguments["groups"],
        transposed=transposed,
        output_padding=tuple(call.arguments.get("output_padding", ())),
    )
    return operator, (_of_rank(call.value("input"), weight.ndim - 1),)


def _of_rank(source: Value, rank: int) -> Value:
    """Return ``source`` if it has channels and the given number of axes; torch also takes single images."""
    if len(source.shape) != rank:
        raise UnsupportedOperatorError(
            f"its input must have a batch axis and {rank} more, not shape {source.shape}"
        )
    return source


def _padding(padding: str | list[int], kernel: Shape, dilation: Shape) -> tuple[int, ...]:
    if padding == "valid":
        return (0,) * len(kernel)
    if padding != "same":
        return tuple(int(size) for size in padding)
    total = [(size - 1) * step for size, step in zip(kernel, dilation, strict=True)]
    if any(size % 2 for size in total):
        raise UnsupportedOperatorError("padding 'same' of an even kernel pads one side more than the other")
    return tuple(size // 2 for size in total)


def _linear(call: Call) -> Reading:
    source = call.value("input")
    if len(source.shape) != 1:
        raise UnsupportedOperatorError(
            f"linear must read a vector, not shape {source.shape}",
            "flatten its input, or use a 1x1 convolution",
        )
    return Linear(call.constant("weight"), call.optional_constant("bias")), (source,)


def _batch_norm(call: Call) -> Reading:
    operator = BatchNorm(
        mean=call.constant("running_mean"),
        variance=call.constant("running_var"),
        gain=call.optional_constant("weight"),
        offset=call.optional_constant("bias"),
        epsilon=call.arguments["eps"],
    )
    return operator, (call.value("input"),)


def _pooling(kind: PoolKind) -> Callable[[Call], Reading]:
    def read(call: Call) -> Reading:
        window = _rows_columns(call.arguments["kernel_size"])
        steps = _rows_columns(call.arguments["stride"] or call.arguments["kernel_size"])
        source = _of_rank(call.value("input"), len(call.arguments["kernel_size"]) + 1)
        one_axis = len(source.shape) == 2
        if any(call.arguments["padding"]):
            raise UnsupportedOperatorError("pooling must not pad", "pad in the convolution that follows")
        if call.arguments["ceil_mode"]:
            raise UnsupportedOperatorError("pooling must round its output size down (ceil_mode=False)")
        if call.arguments.get("divisor_override") is not None:
            raise UnsupportedOperatorError(
                "average pooling must divide by the window size (divisor_override=None)"
            )
        if steps[0] != steps[1] and not one_axis:
            raise UnsupportedOperatorError(f"pooling stride must be equal for rows and columns, not {steps}")
        dilation = _rows_columns(call.arguments.get("dilation", [1, 1]))
        return Pooling(Pool(kind, window, steps[0], dilation)), (source,)

    return read


def _rows_columns(sizes: list[int]) -> tuple[int, int]:
    """Return pooling sizes as (rows, columns); one-dimensional pools work on a single column."""
    return (sizes[0], sizes[1]) if len(sizes) == 2 else (sizes[0], 1)


def _adaptive_average(call: Call) -> Reading:
    wanted = tuple(call.arguments["output_size"])
    source = _of_rank(call.value("input"), len(wanted) + 1)
    sizes = source.shape[1:]
    if any(size % parts for size, parts in zip(sizes, wanted, strict=True)):
        raise UnsupportedOperatorError(
            f"adaptive pooling from {sizes} to {wanted} needs windows of several sizes"
        )
    window = _rows_columns([size // parts for size, parts in zip(sizes, wanted, strict=True)])
    stride = window[0]
    if len(sizes) == 2 and window[0] != window[1]:
        if wanted != (1, 1):
            raise UnsupportedOperatorError(f"pooling stride must be equal for rows and columns, not {window}")
        stride = 1  # a single window: the stride has no effect
    return Pooling(Pool(PoolKind.AVERAGE, window, stride)), (source,)


def _reshape(call: Call) -> Reading:
    source = call.value("self" if "self" in call.arguments else "input")
    if call.shape == source.shape:
        return None, (source,)
    if call.shape != (math.prod(source.shape),):
        raise UnsupportedOperatorError(
            f"reshaping {source.shape} to {call.shape} is not supported", "only flattening to a vector is"
        )
    return Flatten(), (source,)


def _elementwise(op: EltwiseOp) -> Callable[[Call], Reading]:
    def read(call: Call) -> Reading:
        operands = (call.value("input"), call.value("other"))
        if call.arguments.get("alpha", 1) != 1:
            raise UnsupportedOperatorError(f"{op} must not scale its operand (alpha=1)")
        if operands[0].shape != operands[1].shape:
            raise UnsupportedOperatorError(
                f"{op} needs operands of equal shape, not {operands[0].shape} and {operands[1].shape}"
            )
        return Elementwise(op), operands

    return read


def _concatenation(call: Call) -> Reading:
    operands: tuple[Any, ...] = tuple(call.arguments["tensors"])
    if not all(isinstance(operand, Value) for operand in operands):
        raise UnsupportedOperatorError("concatenation must not have constant operands")
    if call.arguments["dim"] not in {1, -len(call.shape)}:
        raise UnsupportedOperatorError("concatenation must be by channel (dim=1)")
    return Concatenation(), operands


def _unary(operator: Operator) -> Callable[[Call], Reading]:
    return lambda call: (operator, (call.value("self" if "self" in call.arguments else "input"),))


def _pass_through(call: Call) -> Reading:
    return None, (call.value("self" if "self" in call.arguments else "input"),)


READERS: Mapping[str, Callable[[Call], Reading]] = {
    "aten.conv1d.default": _convolution,
    "aten.conv1d.padding": _convolution,
    "aten.conv2d.default": _convolution,
    "aten.conv2d.padding": _convolution,
    "aten.conv_transpose2d.input": _convolution,
    "aten.linear.default": _linear,
    "aten._native_batch_norm_legit_no_training.default": _batch_norm,
    "aten.max_pool1d.default": _pooling(PoolKind.MAX),
    "aten.max_pool2d.default": _pooling(PoolKind.MAX),
    "aten.avg_pool1d.default": _pooling(PoolKind.AVERAGE),
    "aten.avg_pool2d.default": _pooling(PoolKind.AVERAGE),
    "aten.adaptive_avg_pool1d.default": _adaptive_average,
    "aten.adaptive_avg_pool2d.default": _adaptive_average,
    "aten.relu.default": _unary(Relu()),
    "aten.abs.default": _unary(Abs()),
    "aten.add.Tensor": _elementwise(EltwiseOp.ADD),
    "aten.sub.Tensor": _elementwise(EltwiseOp.SUB),
    "aten.cat.default": _concatenation,
    "aten.view.default": _reshape,
    "aten.reshape.default": _reshape,
    "aten._unsafe_view.default": _reshape,
    "aten.clone.default": _pass_through,
    "aten.alias.default": _pass_through,
    "aten.dropout.default": _pass_through,
}

HINTS: Mapping[str, str] = {
    "aten.hardtanh.default": "use ReLU: the accelerator clips at the top of its 8-bit range anyway",
    "aten.clamp.default": "use ReLU: the accelerator clips at the top of its 8-bit range anyway",
    "aten.sigmoid.default": "the accelerator has ReLU and Abs; apply it to the output after inference",
    "aten.softmax.int": "leave softmax out: the largest output stays the largest",
    "aten._softmax.default": "leave softmax out: the largest output stays the largest",
    "aten.log_softmax.int": "leave softmax out: the largest output stays the largest",
    "aten._log_softmax.default": "leave softmax out: the largest output stays the largest",
    "aten.mean.dim": "use nn.AdaptiveAvgPool2d(1) followed by a flatten",
    "aten.mul.Tensor": "the accelerator cannot multiply two tensors; fold constant factors into weights",
    "aten.matmul.default": "the accelerator multiplies by constant weights only; use nn.Linear",
}
"""What to do instead, for operators that users often bring."""
