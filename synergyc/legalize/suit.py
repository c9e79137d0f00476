"""Integer layers in the form that a given chip has: the same sums, with zeros where it lacks something."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from synergyc.ir.kernels import dense_groups
from synergyc.ir.network import Layer, LayerOp, Network
from synergyc.ir.types import Array, frozen_array
from synergyc.targets import Cnn

_TAPS = 3
"""Rows of the two-dimensional kernel that stands in for a padded one-dimensional one."""


def suit(network: Network, cnn: Cnn) -> Network:
    """Return ``network`` with grouped convolutions dense, and one-dimensional ones as maps of one column.

    Only where the chip does not have them; results are equal bit by bit.
    """
    return replace(network, layers=tuple(_suited(layer, cnn) for layer in network.layers))


def has_groups(layer: Layer, cnn: Cnn) -> bool:
    """Return whether the chip carries out the layer's groups."""
    if layer.groups == 1:
        return True
    depthwise = layer.groups == layer.in_shape[0] == layer.output.shape[0]
    return depthwise and "depthwise" in cnn.features and layer.op is not LayerOp.CONV1D


def _suited(layer: Layer, cnn: Cnn) -> Layer:
    weight = layer.weight
    if weight is None:
        return layer
    if not has_groups(layer, cnn):
        layer = replace(layer, weight=frozen_array(dense_groups(weight, layer.groups)), groups=1)
    if layer.op is LayerOp.CONV1D and layer.padding != (0,) and layer.weight is not None:
        many = layer.in_shape[0] > cnn.limits.conv1d_padded_channels
        if many and layer.kernel == (_TAPS,) and layer.dilation == (1,):
            return _column(layer, layer.weight)
    return layer


def _column(layer: Layer, weight: Array) -> Layer:
    """Return a padded one-dimensional layer as a two-dimensional one, of maps with a single column."""
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
