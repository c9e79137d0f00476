"""Quantization-aware training: an ``nn.Module`` that computes what the accelerator computes, with gradients.

Values are floating-point numbers that hold integers, so the module's results are the integer reference's,
bit for bit; where the hardware rounds or clips, gradients pass as if it did not round (straight-through
estimator, arXiv 1308.3432). Batch normalization is folded before, scales stay as calibration chose them, and
weights and biases are trained.

    model = QuantizedModel(quantize(graph, calibration, bits), graph)
    for images, labels in loader:          # the user's own loop, optimizer and losses
        loss = cross_entropy(model(images), labels)
        ...
    integers = model.integers()

This module imports torch at its top: import it where it is used.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

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
    Operator,
    Pooling,
    Relu,
    Requantization,
    Reshape,
    Saturation,
)
from synergyc.ir.network import BIAS_SUMS
from synergyc.ir.types import Array, EltwiseOp, Pool, PoolKind, frozen_array
from synergyc.quantize.rounding import bias_step, weight_range
from synergyc.quantize.samples import INPUT_FRACTION_BITS
from synergyc.quantize.scales import weight_fraction_bits
from synergyc.reference.arithmetic import INT8_MAX, INT8_MIN

_EXACT_SUMS = 1 << 23
"""Sums below this are exact in float32, with the half that rounding adds; larger ones are in float64."""

_WITHIN_STEP = 0.49
"""How far from an integer, in steps, a weight may start: no more than still rounds to it."""


class QuantizedModel(nn.Module):
    """An integer graph whose weights can be trained.

    Args:
        integers: from ``quantize``: scales, shifts, widths and first weights.
        real: the float graph that it was made from. Training then starts from its weights, as far as they
            round to those of ``integers``; without it, from the integers themselves.
    """

    def __init__(self, integers: Graph, real: Graph | None = None) -> None:
        super().__init__()
        if not integers.fraction_bits:
            raise ValueError(f"graph {integers.name} is not quantized")
        self._graph = integers
        sources = {} if real is None else {node.name: node.operator for node in real.nodes}
        self._layers = nn.ModuleList()
        self._place: dict[str, int] = {}
        for node in integers.nodes:
            if isinstance(node.operator, Convolution | Linear):
                self._place[node.name] = len(self._layers)
                scales = integers.fraction_bits[node.inputs[0]], weight_fraction_bits(integers, node)
                self._layers.append(_Weighted(node.operator, scales, sources.get(node.name)))

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the output in real values, float32 (N, *shape), for real inputs (N, *input shape)."""
        name = self._graph.output
        output = self.values(inputs)[name] * 2.0 ** -self._graph.fraction_bits[name]
        return output.to(torch.float32)

    def values(self, inputs: Tensor) -> dict[str, Tensor]:
        """Return every value of the graph, by name, as floating-point tensors that hold integers."""
        scaled = _round(inputs.to(torch.float64) * float(1 << INPUT_FRACTION_BITS))
        values = {self._graph.input.name: scaled.clamp(INT8_MIN, INT8_MAX).to(torch.float32)}
        for node in self._graph.nodes:
            result = self._evaluate(node, [values[name] for name in node.inputs])
            values[node.name] = result.reshape(len(result), *node.shape)
        return values

    def _evaluate(self, node: Node, operands: list[Tensor]) -> Tensor:
        if node.name in self._place:
            result: Tensor = self._layers[self._place[node.name]](operands[0])
            return result
        if isinstance(node.operator, Reshape):
            return operands[0].reshape(len(operands[0]), *node.shape)
        return _evaluate(node.operator, operands)

    def integers(self) -> Graph:
        """Return the graph with the integers that the weights have now."""
        return replace(self._graph, nodes=tuple(map(self._current, self._graph.nodes)))

    def _current(self, node: Node) -> Node:
        place = self._place.get(node.name)
        if place is None:
            return node
        layer = self._layers[place]
        assert isinstance(layer, _Weighted)  # noqa: S101 - only such are put there
        return replace(node, operator=layer.operator())


class _Weighted(nn.Module):
    """A convolution or linear layer. Its parameters are real values, so that learning rates mean the usual.

    ``scales`` are the fraction bits of input and weights.
    """

    def __init__(
        self, operator: Convolution | Linear, scales: tuple[int, int], real: Operator | None
    ) -> None:
        super().__init__()
        self._operator = operator
        self._how = _requantization(operator)
        self._weight_scale = 2.0 ** scales[1]
        self._bias_scale = 1 / bias_step(*scales)
        first = real if isinstance(real, Convolution | Linear) else None
        real_weight, real_bias = (None, None) if first is None else (first.weight, first.bias)
        self.weight = _parameter(operator.weight, real_weight, self._weight_scale)
        bias = operator.bias
        if bias is None and real_bias is not None:  # it was small enough to vanish, and may come back
            bias = np.zeros(real_bias.shape, np.int8)
        self.bias = None if bias is None else _parameter(bias, real_bias, self._bias_scale)
        largest, _ = weight_range(self._how.weight_bits)
        fan_in = operator.weight.size // operator.weight.shape[0]
        if isinstance(operator, Convolution) and operator.transposed:
            fan_in = operator.weight.size // (operator.weight.shape[1] * operator.groups)
        self._exact = fan_in * largest * INT8_MIN + BIAS_SUMS * -INT8_MIN < _EXACT_SUMS

    def forward(self, data: Tensor) -> Tensor:
        """Return int8 values, or raw sums of a wide layer, for int8 ``data`` (N, *shape)."""
        weight, bias = self._rounded()
        offset = None if bias is None else bias * BIAS_SUMS
        if not self._exact:
            data, weight = data.double(), weight.double()
            offset = None if offset is None else offset.double()
        sums = _product(self._operator, data, weight, offset)
        if self._how.wide:
            return sums
        shift = self._how.output_shift + 8 - self._how.weight_bits
        return _round(sums * 2.0 ** (shift - 7)).clamp(INT8_MIN, INT8_MAX).to(torch.float32)

    def operator(self) -> Convolution | Linear:
        """Return the operator with the integers of now."""
        with torch.no_grad():
            weight, bias = self._rounded()
        kept = None if bias is None or not bias.any() else frozen_array(bias.numpy(), np.int8)
        return replace(self._operator, weight=frozen_array(weight.numpy(), np.int8), bias=kept)

    def _rounded(self) -> tuple[Tensor, Tensor | None]:
        low, high = weight_range(self._how.weight_bits)
        weight = _round(self.weight * self._weight_scale).clamp(low, high)
        bias = None if self.bias is None else _round(self.bias * self._bias_scale).clamp(INT8_MIN, INT8_MAX)
        return weight, bias


class _Round(torch.autograd.Function):
    """Round to the nearest integer, halves up; the gradient passes unchanged."""

    @staticmethod
    def forward(_: Any, values: Tensor) -> Tensor:
        return torch.floor(values + 0.5)

    @staticmethod
    def backward(_: Any, *gradients: Tensor) -> Tensor:
        return gradients[0]


class _Truncate(torch.autograd.Function):
    """Round toward zero; the gradient passes unchanged."""

    @staticmethod
    def forward(_: Any, values: Tensor) -> Tensor:
        return torch.trunc(values)

    @staticmethod
    def backward(_: Any, *gradients: Tensor) -> Tensor:
        return gradients[0]


def _round(values: Tensor) -> Tensor:
    rounded: Tensor = _Round.apply(values)  # type: ignore[no-untyped-call]
    return rounded


def _requantization(operator: Convolution | Linear) -> Requantization:
    if operator.requantization is None:
        raise ValueError("the graph must be quantized")
    return operator.requantization


def _parameter(integers: Array, real: Array | None, scale: float) -> nn.Parameter:
    """Return the values nearest to ``real`` that round to ``integers`` at ``scale``."""
    steps = integers.astype(np.float64)
    if real is not None:
        steps = np.clip(real.astype(np.float64) * scale, steps - _WITHIN_STEP, steps + _WITHIN_STEP)
    return nn.Parameter(torch.from_numpy((steps / scale).astype(np.float32)))


def _product(operator: Convolution | Linear, data: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    if isinstance(operator, Linear):
        return functional.linear(data, weight, bias)
    one_axis = weight.ndim == 3
    stride, padding, dilation = operator.stride, operator.padding, operator.dilation
    if operator.transposed:
        transposed = functional.conv_transpose1d if one_axis else functional.conv_transpose2d
        extra = operator.output_padding or (0,)
        return transposed(data, weight, bias, stride, padding, extra, operator.groups, dilation)
    plain = functional.conv1d if one_axis else functional.conv2d
    return plain(data, weight, bias, stride, padding, dilation, operator.groups)


def _evaluate(operator: Operator, operands: list[Tensor]) -> Tensor:
    """Evaluate an operator without weights on integers; see ``reference.arithmetic``."""
    data = operands[0]
    match operator:
        case Relu():
            return functional.relu(data)
        case Abs():
            return data.abs().clamp(max=INT8_MAX)
        case Flatten():
            return data.flatten(1)
        case Saturation():  # clipping has happened: the scale says so
            return functional.relu(data) if operator.low == 0 else data
        case Copy():
            weight = torch.from_numpy(operator.weight.astype(np.float32))
            return _product(operator.convolution, data, weight, None)
        case Concatenation():
            return torch.cat(operands, dim=1)
        case Pooling():
            return _pool(data.reshape(*data.shape, *(1,) * (4 - data.ndim)), operator.pool)
        case Elementwise():
            return _combine(operands, operator.op).clamp(INT8_MIN, INT8_MAX)
    raise TypeError(f"no way to evaluate {operator}")


def _pool(data: Tensor, spec: Pool) -> Tensor:
    stride = (spec.stride, spec.stride)
    if spec.kind is PoolKind.MAX:
        return functional.max_pool2d(data, spec.window, stride, dilation=spec.dilation)
    if spec.dilation != (1, 1):
        raise TypeError("average pooling is not dilated")
    count = spec.window[0] * spec.window[1]
    sums = functional.avg_pool2d(data, spec.window, stride, divisor_override=1)
    means: Tensor = _Truncate.apply(sums / count)  # type: ignore[no-untyped-call]
    return means


def _combine(operands: list[Tensor], op: EltwiseOp) -> Tensor:
    total = operands[0]
    for operand in operands[1:]:
        if op is EltwiseOp.ADD:
            total = total + operand
        elif op is EltwiseOp.SUB:
            total = total - operand
        else:
            raise TypeError(f"{op} has no gradient")
    return total
