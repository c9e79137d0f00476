"""Channels that are only picked or repeated: convolutions pick their inputs by their weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from synergyc.ir.graph import Convolution, Copy, Flatten, Linear, Node, Relu, Reshape, Saturation
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


def made_by_weights(node: Node, editor: Editor) -> str | None:
    """Let a linear layer compute the channels that a copy picks from its results, and zeros between them."""
    operator = node.operator
    if not isinstance(operator, Copy) or not _is_pointwise(operator):
        return None
    chain: list[Node] = []
    source = editor.made(node.inputs[0])
    while source is not None and len(editor.old.consumers(source.name)) == 1:
        chain.append(source)
        if not isinstance(source.operator, Relu | Saturation | Reshape | Flatten):
            break
        source = editor.made(source.inputs[0])
    last = chain[-1] if chain else None
    if (
        last is None
        or not isinstance(last.operator, Linear)
        or editor.old.output in {item.name for item in chain}
    ):
        return None
    picks = operator.weight.reshape(operator.weight.shape[:2])
    bias = last.operator.bias
    weight = frozen_array(picks.astype(np.float32) @ last.operator.weight)
    linear = replace(
        last.operator,
        weight=weight,
        bias=None if bias is None else frozen_array(picks.astype(np.float32) @ bias),
    )
    for item in chain:
        shape = (len(picks), *item.shape[1:])
        editor.keep(replace(item, operator=linear if item is last else item.operator, shape=shape))
    return node.inputs[0]


def _is_pointwise(copy: Copy) -> bool:
    return not copy.transposed and set(copy.weight.shape[2:]) == {1} and copy.groups == 1
