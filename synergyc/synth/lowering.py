"""Layers that the hardware runs in another form (section 5.7), such as dilated 1-D convolutions."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from synergyc.ir.network import Layer, LayerOp
from synergyc.ir.types import Array, PoolKind, frozen_array
from synergyc.targets import Cnn

MAX_LENGTH = 9
"""Longest kernel of a 1-D convolution (section 1)."""


@dataclass(frozen=True)
class HardwareForm:
    """What the hardware runs for a layer; its output starts ``skipped_pixels`` before the layer's."""

    layer: Layer
    skipped_pixels: int = 0


def hardware_form(layer: Layer, *, streaming: bool = False) -> HardwareForm:
    """Return the form of ``layer`` that the registers describe.

    ``streaming``: the layer or the one before it streams.
    """
    if layer.op is LayerOp.CONV1D and layer.dilation[0] > 1 and layer.weight is not None:
        if (layer.kernel[0] - 1) * layer.dilation[0] < MAX_LENGTH:
            return HardwareForm(_stretched(layer, layer.weight))
        return _folded(layer, layer.weight)
    if streaming and layer.op is LayerOp.CONV2D and layer.kernel == (1, 1) and layer.weight is not None:
        return HardwareForm(_widened(layer, layer.weight))
    return HardwareForm(layer)


def _stretched(layer: Layer, weight: Array) -> Layer:
    """Put zeros between the taps."""
    step = layer.dilation[0]
    length = (layer.kernel[0] - 1) * step + 1
    taps = np.zeros((*weight.shape[:2], length), dtype=weight.dtype)
    taps[:, :, ::step] = weight
    return replace(layer, weight=frozen_array(taps), kernel=(length,), dilation=(1,))


def _folded(layer: Layer, weight: Array) -> HardwareForm:
    """Read the sequence as rows of ``dilation`` values: taps that far apart are neighbours in a column."""
    columns = layer.dilation[0]
    rows = -(-layer.in_shape[1] // columns)
    taps = np.zeros((*weight.shape[:2], 3, 3), dtype=weight.dtype)
    length = layer.kernel[0]
    first = 0 if length == 3 else 1
    taps[:, :, first : first + length, 1] = weight
    folded = replace(
        layer,
        op=LayerOp.CONV2D,
        weight=frozen_array(taps),
        kernel=(3, 3),
        padding=(1, 1),
        dilation=(1, 1),
        in_shape=(layer.in_shape[0], rows, columns),
        output=replace(layer.output, shape=(layer.output.shape[0], rows, columns)),
    )
    return HardwareForm(folded, columns if length == 3 else 0)


def _widened(layer: Layer, weight: Array) -> Layer:
    """Put the single tap in the middle of a 3x3 kernel."""
    taps = np.zeros((*weight.shape[:2], 3, 3), dtype=weight.dtype)
    taps[:, :, 1, 1] = weight[:, :, 0, 0]
    return replace(layer, weight=frozen_array(taps), kernel=(3, 3), padding=(1, 1))


def needs_reset(layer: Layer, operands_before: int, cnn: Cnn) -> bool:
    """Tell whether an extra layer must clear the averaging logic before ``layer`` (section 5.7).

    ``operands_before``: how many operands the layer before combines.
    """
    average = layer.pool is not None and layer.pool.kind is PoolKind.AVERAGE
    return cnn.generation == "ai87" and average and operands_before > 1
