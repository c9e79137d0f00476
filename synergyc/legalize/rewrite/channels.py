"""Channels that are only picked or repeated: convolutions pick their inputs by their weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from synergyc.ir.graph import Convolution, Copy, Node
from synergyc.ir.kernels import dense_groups
from synergyc.ir.types import frozen_array
from synergyc.legalize.rewrite.editing import Editor


def picked_by_weights(node: Node, editor: Editor) -> str | None:
    """Let a convolution read the channels that a copy picks from, with zero weights for the others."""
    operator = node.operator
    source = editor.made(node.inputs[0])
    if not isinstance(operator, Convolution) or operator.transposed or source is None:
        return None
    if not isinstance(source.operator, Copy) or not _is_pointwise(source.operator):
        return None
    outputs, inputs = source.operator.weight.shape[:2]
    picks = source.operator.weight.reshape(outputs, inputs)
    if 1 < operator.groups == outputs:
        return None  # stays depthwise behind the copy
    weight = dense_groups(operator.weight, operator.groups)
    spread = np.einsum("oi...,ij->oj...", weight, picks.astype(weight.dtype))
    changed = replace(operator, weight=frozen_array(spread), groups=1)
    return editor.keep(replace(node, operator=changed, inputs=source.inputs))


def _is_pointwise(copy: Copy) -> bool:
    return not copy.transposed and set(copy.weight.shape[2:]) == {1} and copy.groups == 1
