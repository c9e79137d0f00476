"""Running a network layer by layer in exact integers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from synergyc.diagnostics import Diagnostic, SynergyError, fail
from synergyc.ir.kernels import plain_kernel
from synergyc.ir.network import Layer, LayerOp, Network, Tensor
from synergyc.ir.types import Array, describe_shape
from synergyc.reference import arithmetic


def run(network: Network, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Return the network's outputs: int8, or int32 for 32-bit tensors, batch axis first.

    ``inputs`` holds, for every input tensor, int8 values of shape (N, *tensor.shape). Raises SynergyError if
    an input is missing, unknown, of another type or shape, or the batch sizes differ.
    """
    tensors = _checked(network, inputs)
    for index, layer in enumerate(network.layers):
        tensors[layer.output.name] = run_layer(layer, [tensors[name] for name in layer.inputs])
        tensors = {name: tensors[name] for name in network.live_after(index)}
    return {name: tensors[name] for name in network.outputs}


def run_layers(network: Network, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Return every tensor of the network, inputs included, in order of execution; otherwise as ``run``."""
    tensors = _checked(network, inputs)
    for layer in network.layers:
        tensors[layer.output.name] = run_layer(layer, [tensors[name] for name in layer.inputs])
    return tensors


def run_layer(layer: Layer, operands: Sequence[Array], *, average_rounding: bool = False) -> Array:
    """Return what ``layer`` makes of its operands (int8, batch axis first): shape (N, *layer.output.shape).

    ``average_rounding``: average pooling rounds instead of truncating.
    """
    data = _pooled_and_combined(layer, [_as_maps(operand, layer) for operand in operands], average_rounding)
    values = data if layer.weight is None else _weighted(layer, data)
    if math.prod(values.shape[1:]) != math.prod(layer.output.shape):
        raise fail(
            "network-shape",
            f"output must be {describe_shape(layer.output.shape)}, not {describe_shape(values.shape[1:])}",
            layer=layer.name,
        )
    return values.reshape(len(values), *layer.output.shape)


def _as_maps(data: Array, layer: Layer) -> Array:
    """Return an operand as (N, C, H, W), with the rows and columns that ``layer`` reads it in."""
    plane = (*layer.in_shape[1:], 1, 1)[:2]
    return data.reshape(len(data), -1, *plane)


def _pooled_and_combined(layer: Layer, operands: list[Array], average_rounding: bool) -> Array:
    early = layer.pool if layer.pool_first or layer.eltwise is None else None
    late = layer.pool if early is None else None
    if early is not None:
        operands = [arithmetic.pool(operand, early, rounding=average_rounding) for operand in operands]
    if layer.eltwise is not None:
        data = arithmetic.combine(operands, layer.eltwise)
    else:
        data = operands[0] if len(operands) == 1 else np.concatenate(operands, axis=1)
    return data if late is None else arithmetic.pool(data, late, rounding=average_rounding)


def _weighted(layer: Layer, data: Array) -> Array:
    weight, padding, dilation = layer.weight, (0, 0), (1, 1)
    assert weight is not None  # noqa: S101  the caller's condition, for the type checker
    match layer.op:
        case LayerOp.LINEAR:
            if layer.flatten:
                data = data.reshape(len(data), -1, 1, 1)
            weight = weight[:, :, None, None]
        case LayerOp.CONV1D:
            weight = weight[:, :, :, None]
            padding, dilation = (layer.padding[0], 0), (layer.dilation[0], 1)
        case LayerOp.CONV_TRANSPOSE2D:
            data = arithmetic.spread_transposed(data)
            weight = plain_kernel(weight, layer.groups)
            rows, columns = layer.padding
            padding = (layer.kernel[0] - 1 - rows, layer.kernel[1] - 1 - columns)
        case _:
            padding, dilation = _pair(layer.padding), _pair(layer.dilation)
    sums = arithmetic.weighted_sums(data, weight, layer.bias, padding, dilation, layer.groups)
    if layer.wide:
        return sums
    return arithmetic.activate(arithmetic.requantize(sums, layer.hardware_shift), layer.activation)


def _pair(values: tuple[int, ...]) -> tuple[int, int]:
    rows, columns = values
    return rows, columns


def _checked(network: Network, inputs: Mapping[str, Array]) -> dict[str, Array]:
    known = {tensor.name: tensor for tensor in network.inputs}
    problems = [
        Diagnostic("reference-input", f"network {network.name} has no input {name!r}")
        for name in inputs
        if name not in known
    ]
    for tensor in network.inputs:
        problems += _input_problems(tensor, inputs.get(tensor.name))
    if not problems and len({len(inputs[name]) for name in known}) > 1:
        problems.append(Diagnostic("reference-input", "all inputs must have the same batch size"))
    if problems:
        raise SynergyError(problems)
    return {name: inputs[name] for name in known}


def _input_problems(tensor: Tensor, data: Array | None) -> list[Diagnostic]:
    if data is None:
        return [Diagnostic("reference-input", f"input {tensor.name!r} is missing")]
    problems = []
    if data.dtype != np.int8:
        problems.append(
            Diagnostic("reference-input", f"input {tensor.name!r} must be int8, not {data.dtype}")
        )
    if data.shape[1:] != tensor.shape or not len(data):
        problems.append(
            Diagnostic(
                "reference-input",
                f"input {tensor.name!r} has a wrong shape",
                need=f"N x {describe_shape(tensor.shape)}, N at least 1",
                have=describe_shape(data.shape),
            )
        )
    return problems
