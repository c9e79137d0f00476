"""One weighted operator, from float to integers: its moments on calibration data, then rounding."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from synergyc.ir.graph import Convolution, Linear, Node, Requantization
from synergyc.ir.kernels import plain_kernel
from synergyc.ir.network import LARGEST_SHIFT
from synergyc.ir.types import Array, frozen_array
from synergyc.quantize.evaluate import Product, product
from synergyc.quantize.rounding import Moments, RealLayer, round_layer, weight_fraction_bits
from synergyc.reference import arithmetic

_SAMPLED_POSITIONS = 1 << 12
_COLUMN_VALUES = 1 << 24
"""Window positions that make a layer's moments, and a bound on their memory for large windows."""


def real_layer(
    operator: Convolution | Linear, real: Array, integers: Array, input_bits: int, bits: int
) -> RealLayer:
    """Return what is to be rounded to ``bits``, given the operator's input in both forms.

    ``real`` is the float model's, ``integers`` what the integer layers before deliver, of scale
    ``input_bits``: the layer is fitted to the second, and its bias makes good for the difference's mean.
    """
    plain = product(operator)
    seen = plain.data(integers).astype(np.float32) * np.float32(2.0**-input_bits)
    return RealLayer(
        weight=plain.weight.reshape(plain.groups, -1, math.prod(plain.weight.shape[1:])).astype(np.float64),
        bias=_corrected_bias(operator, plain, plain.data(real), seen),
        moments=tuple(_moments(columns) for columns in _columns(plain, seen)),
        bits=bits,
        input_bits=input_bits,
        has_bias=operator.bias is not None,  # bias memory is scarce: a layer without bias stays without
    )


def rounded_node(
    node: Node, layer: RealLayer, scales: Mapping[str, int], wide: bool
) -> tuple[Node, dict[str, int]]:
    """Return the node in integers, and the scales with that of a wide output filled in."""
    operator = node.operator
    assert isinstance(operator, Convolution | Linear)  # noqa: S101 - the layer is made of one
    # hardware shift = 7 + output - input - weight fraction bits, see arithmetic.requantize
    centre = 7 + scales[node.name] - layer.input_bits
    allowed = range(-64, 65) if wide else range(centre - LARGEST_SHIFT, centre + LARGEST_SHIFT + 1)
    chosen = weight_fraction_bits(layer, allowed)
    rounded = round_layer(layer, chosen)
    shift = 0 if wide else centre - chosen - (8 - layer.bits)
    integers = replace(
        operator,
        weight=frozen_array(_own_layout(operator, product(operator), rounded.weight), np.int8),
        bias=frozen_array(rounded.bias, np.int8) if rounded.bias.any() else None,
        requantization=Requantization(layer.bits, shift, wide),
    )
    filled = {**scales, node.name: layer.input_bits + chosen} if wide else dict(scales)
    return replace(node, operator=integers), filled


def _corrected_bias(operator: Convolution | Linear, plain: Product, real: Array, seen: Array) -> Array:
    """Return the bias (out,) that makes mean sums equal those of the float model, despite input errors."""
    bias = np.zeros(len(plain.weight)) if operator.bias is None else operator.bias.astype(np.float64)
    difference = plain.sums(real - seen)
    return np.asarray(bias + difference.mean(axis=(0, 2, 3), dtype=np.float64))


def _columns(plain: Product, data: Array) -> Iterator[Array]:
    """Yield, for each group, columns (samples, K) that the weights multiply, evenly spaced over ``data``."""
    rows, columns = plain.padding
    padded = np.pad(data, ((0, 0), (0, 0), (rows, rows), (columns, columns)))
    kernel = (plain.weight.shape[2], plain.weight.shape[3])
    view = arithmetic.windows(padded, kernel, 1, plain.dilation).transpose(0, 2, 3, 1, 4, 5)
    available = math.prod(view.shape[:3])
    wanted = min(_SAMPLED_POSITIONS, _COLUMN_VALUES // math.prod(view.shape[3:]) + 1)
    positions = np.arange(0, available, max(1, available // wanted))
    picked = view[np.unravel_index(positions, view.shape[:3])]
    channels = plain.weight.shape[1]
    for group in range(plain.groups):
        part = picked[:, group * channels : (group + 1) * channels]
        yield part.reshape(len(part), -1)


def _moments(columns: Array) -> Moments:
    second = (columns.T @ columns).astype(np.float64) / len(columns)
    return Moments(columns.mean(axis=0, dtype=np.float64), second)


def _own_layout(operator: Convolution | Linear, plain: Product, weight: Array) -> Array:
    """Return correlation weights (out, K) in the operator's own layout."""
    shaped = weight.reshape(plain.weight.shape)
    if isinstance(operator, Convolution) and operator.transposed:
        return plain_kernel(shaped, plain.groups)  # its own inverse
    return shaped.reshape(operator.weight.shape)
