"""Kernels of one-dimensional convolutions: any length up to nine, longer ones over shifted copies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from synergyc.ir.graph import Convolution, Copy, Node, Padding
from synergyc.ir.kernels import dense_groups
from synergyc.ir.types import Array, Shape, frozen_array
from synergyc.legalize.rewrite.editing import Editor
from synergyc.legalize.rewrite.maps import FOLDED_TAPS, LONGEST, MAX_PAD, Axis, fit
from synergyc.targets import most_channels

_JUMP = LONGEST - 1
"""Pixels by which a copying layer shifts at most."""

_MOST_COPIES = 8
"""Shifted copies of the input that are worth their layers: kernels of up to 65 taps."""


def replaced(
    node: Node, operator: Convolution, weight: Array, padding: Shape, source: str, editor: Editor
) -> str:
    """Keep ``node`` with other weights and padding, reading ``source``."""
    changed = replace(operator, weight=frozen_array(weight), padding=padding, dilation=(1,) * len(padding))
    return editor.keep(replace(node, operator=changed, inputs=(source,)))


def fitted_line(node: Node, operator: Convolution, axis: Axis, source: str, editor: Editor) -> str | None:
    """Fit a one-dimensional kernel: with zeros where it is filled up, or in parts."""
    weight, step = operator.weight, operator.dilation[0]
    length = (axis.taps - 1) * step + 1
    stretched = Axis(axis.size, length, axis.before, axis.after)
    if axis.before == axis.after <= min(MAX_PAD, axis.taps - 1) and length <= LONGEST and step == 1:
        if source == node.inputs[0]:
            return None
        return replaced(node, operator, weight, (axis.before,), source, editor)
    for taps in range(length, LONGEST + 1):
        found = fit(stretched, taps)
        if found is not None:
            kernel = np.zeros((*weight.shape[:2], taps), dtype=weight.dtype)
            kernel[:, :, found.shift : found.shift + length : step] = weight
            return replaced(node, operator, kernel, (found.padding,), source, editor)
    if length > LONGEST and (axis.taps > FOLDED_TAPS or step == 1):
        return _in_parts(node, operator, stretched, source, editor)
    if not axis.before and not axis.after:
        return None
    own = min(axis.before, axis.after, MAX_PAD, axis.taps - 1) if step == 1 else 0
    padded = _padded(node, source, axis.before - own, axis.after - own, editor)
    return editor.keep(replace(node, operator=replace(operator, padding=(own,)), inputs=(padded,)))


def _padded(node: Node, source: str, before: int, after: int, editor: Editor) -> str:
    if not before and not after:
        return source
    channels, size = editor.shape(source)
    shape = (channels, size + before + after)
    return editor.emit(Padding((before,), (after,)), (source,), shape, node.origin, name=f"{node.name}_pad")


def _in_parts(node: Node, operator: Convolution, axis: Axis, source: str, editor: Editor) -> str | None:
    """Let the convolution read copies of its input, each shifted by eight more, one for each part."""
    channels = editor.shape(source)[0]
    count = -(-(axis.taps - 1) // _JUMP)
    if count > _MOST_COPIES or count * channels > most_channels():
        return None
    last = axis.taps - _JUMP * (count - 1)
    taps = max(_JUMP, last)
    kernel = np.zeros((operator.weight.shape[0], count, channels, taps), dtype=operator.weight.dtype)
    dense = dense_groups(operator.weight, operator.groups)
    for index in range(dense.shape[2]):
        place = index * operator.dilation[0]
        part = min(place // _JUMP, count - 1)
        kernel[:, part, :, place - _JUMP * part] = dense[:, :, index]
    copies = _padded(node, source, axis.before, axis.after + taps - last, editor)
    for have in range(1, count):
        copies = _one_copy_more(node, copies, channels, have, editor)
    plain = replace(operator, groups=1)
    return replaced(node, plain, kernel.reshape(len(kernel), -1, taps), (0,), copies, editor)


def _one_copy_more(node: Node, source: str, channels: int, have: int, editor: Editor) -> str:
    """Emit a layer that keeps ``have`` copies, and adds the last one once more, shifted."""
    weight = np.zeros((have + 1, channels, have, channels, LONGEST), dtype=np.int8)
    channel = np.arange(channels)
    for copy in range(have):
        weight[copy, channel, copy, channel, 0] = 1
    weight[have, channel, have - 1, channel, _JUMP] = 1
    kernel = frozen_array(weight.reshape((have + 1) * channels, have * channels, LONGEST))
    shape = ((have + 1) * channels, editor.shape(source)[1] - _JUMP)
    return editor.emit(Copy(kernel, (0,)), (source,), shape, node.origin, name=f"{node.name}_shift")
