"""Integer layers in the form that a given chip has: the same sums, with zeros where it lacks something."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from synergyc.ir.kernels import COPY_BITS, COPY_SHIFT, dense_groups
from synergyc.ir.network import Layer, LayerOp, Network, Tensor
from synergyc.ir.types import Array, frozen_array
from synergyc.targets import Cnn

_TAPS = 3
"""Rows of the two-dimensional kernel that stands in for a padded one-dimensional one."""


def suit(network: Network, cnn: Cnn) -> Network:
    """Return ``network`` with grouped convolutions dense, and one-dimensional ones as maps of one column.

    Only where the chip does not have them; results are equal bit by bit.
    """
    layers = [form for layer in network.layers for form in _padded_first(layer, network, cnn)]
    whole = replace(network, layers=tuple(layers))
    return replace(whole, layers=tuple(_suited(layer, whole, cnn) for layer in layers))


def has_groups(layer: Layer, cnn: Cnn) -> bool:
    """Return whether the chip carries out the layer's groups."""
    if layer.groups == 1:
        return True
    depthwise = layer.groups == layer.in_shape[0] == layer.output.shape[0]
    return depthwise and "depthwise" in cnn.features and layer.op is not LayerOp.CONV1D


def _pads_too_many(layer: Layer, cnn: Cnn) -> bool:
    """Return whether a one-dimensional layer pads more channels than the chip can."""
    return (
        layer.op is LayerOp.CONV1D
        and layer.padding != (0,)
        and layer.in_shape[0] > cnn.limits.conv1d_padded_channels
    )


def _padded_first(layer: Layer, network: Network, cnn: Cnn) -> list[Layer]:
    """Return layers that pad, pixel by pixel on both sides, and then ``layer`` without padding.

    Only where the chip cannot pad it, and it does not fit the two-dimensional kernel either.
    """
    if not _pads_too_many(layer, cnn) or _fits_column(layer):
        return [layer]
    channels, length = layer.pooled_shape
    weight = np.zeros((channels, 1, _TAPS, _TAPS), dtype=np.int8)
    weight[:, :, 1, 1] = 1
    scale = network.tensor(layer.inputs[0]).fraction_bits
    made: list[Layer] = []
    for number in range(layer.padding[0]):
        length += 2
        name = f"{layer.name}_pad{number}"
        first = not made
        made.append(
            Layer(
                name=name,
                op=LayerOp.CONV2D,
                inputs=layer.inputs if first else (made[-1].name,),
                output=Tensor(name, (channels, length, 1), scale),
                in_shape=(*layer.in_shape, 1) if first else (channels, length - 2, 1),
                kernel=(_TAPS, _TAPS),
                padding=(2, 1),
                groups=channels,
                weight=frozen_array(weight),
                weight_bits=COPY_BITS,
                output_shift=COPY_SHIFT,
                pool=layer.pool if first else None,
                origins=layer.origins,
            )
        )
    return [
        *made,
        replace(layer, inputs=(made[-1].name,), in_shape=(channels, length), pool=None, padding=(0,)),
    ]


def _has_gaps(layer: Layer, network: Network, cnn: Cnn) -> bool:
    """Return whether joined tensors leave gaps between their channels, which only dense weights can skip."""
    parts = [network.tensor(name).shape[0] for name in layer.inputs]
    return layer.eltwise is None and len(parts) > 1 and any(n % cnn.processors_per_instance for n in parts)


def _fits_column(layer: Layer) -> bool:
    return layer.kernel == (_TAPS,) and layer.dilation == (1,)


def _suited(layer: Layer, network: Network, cnn: Cnn) -> Layer:
    if layer.weight is None:
        return layer
    if not has_groups(layer, cnn) or (layer.groups > 1 and _has_gaps(layer, network, cnn)):
        layer = replace(layer, weight=frozen_array(dense_groups(layer.weight, layer.groups)), groups=1)
    return _column(layer, layer.weight) if _pads_too_many(layer, cnn) and _fits_column(layer) else layer


def _column(layer: Layer, weight: Array | None) -> Layer:
    """Return a padded one-dimensional layer as a two-dimensional one, of maps with a single column."""
    assert weight is not None  # noqa: S101  the caller's condition, for the type checker
    kernel = np.zeros((*weight.shape[:2], _TAPS, _TAPS), dtype=weight.dtype)
    kernel[:, :, :, 1] = weight
    return replace(
        layer,
        op=LayerOp.CONV2D,
        in_shape=(*layer.in_shape, 1),
        kernel=(_TAPS, _TAPS),
        padding=(layer.padding[0], 1),
        dilation=(1, 1),
        weight=frozen_array(kernel),
    )
