"""Layers that only pass values on, written as dense convolutions: what they write may lie anywhere.

A layer without weights, and a depthwise one, leaves each channel in the processor that it comes from. A dense
kernel of zeros and ones computes the same and is free of that.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from synergyc.ir.kernels import COPY_BITS, COPY_SHIFT, dense_groups
from synergyc.ir.network import Layer, LayerOp, Tensor
from synergyc.ir.types import Array, Shape, frozen_array

_OPS = {0: LayerOp.LINEAR, 1: LayerOp.CONV1D, 2: LayerOp.CONV2D}
"""Operator of a dense copy, by the number of axes behind the channels."""


def stays_in_place(layer: Layer) -> bool:
    """Return whether each channel of ``layer`` is written by the processor that reads it."""
    return layer.op is LayerOp.PASSTHROUGH or layer.groups > 1


def densely(layer: Layer) -> Layer | None:
    """Return a layer that stays in place as an equal dense one; None if there is none."""
    if layer.wide or not stays_in_place(layer):
        return None
    if layer.weight is not None:
        return replace(layer, weight=frozen_array(dense_groups(layer.weight, layer.groups)), groups=1)
    picks = np.eye(layer.output.shape[0], dtype=np.int8)
    if math.prod(layer.pooled_shape) != math.prod(layer.output.shape) or len(layer.pooled_shape) != len(
        layer.output.shape
    ):
        return None
    return _with_picks(layer, picks, layer.output.shape)


def copy_of(tensor: Tensor, channels: range, width: int, reader: Layer, position: int) -> Layer:
    """Return a dense layer that copies ``channels`` of ``tensor``, and zeros up to ``width`` channels."""
    picks = np.zeros((width, tensor.shape[0]), dtype=np.int8)
    picks[np.arange(len(channels)), np.array(channels)] = 1
    output = replace(
        tensor, name=f"{reader.name}.operand{position}.{channels.start}", shape=(width, *tensor.shape[1:])
    )
    plain = Layer(
        output.name, LayerOp.PASSTHROUGH, (tensor.name,), output, tensor.shape, origins=reader.origins
    )
    return _with_picks(plain, picks, tensor.shape)


def _with_picks(layer: Layer, picks: Array, shape: Shape) -> Layer:
    rank = len(shape) - 1
    axes = 1 if rank == 1 else 2
    return replace(
        layer,
        op=_OPS[rank],
        kernel=(1,) * axes,
        padding=(0,) * axes,
        dilation=(1,) * axes,
        weight=frozen_array(picks.reshape(*picks.shape, *(1,) * rank)),
        weight_bits=COPY_BITS,
        output_shift=COPY_SHIFT,
    )
