"""Kernels of sizes, dilations and paddings that the accelerator lacks."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np

from synergyc.ir.graph import Convolution, Copy, Node, Padding, Reshape
from synergyc.ir.kernels import dense_groups
from synergyc.ir.types import Array, Shape, frozen_array
from synergyc.legalize.rewrite.editing import Editor
from synergyc.legalize.rewrite.lines import fitted_line, replaced
from synergyc.legalize.rewrite.maps import MAX_PAD, TAPS, Axis, Blocks, fit, split, steps
from synergyc.targets import most_channels

_MAX_COPYING_LAYERS = 3


def along_one_axis(node: Node, editor: Editor) -> str | None:
    """Turn a convolution of maps with one row or one column into one-dimensional convolution."""
    operator = node.operator
    if not isinstance(operator, Convolution) or operator.weight.ndim != 4 or operator.transposed:
        return None
    source = editor.shape(node.inputs[0])
    for axis, other in ((0, 1), (1, 0)):
        taps = operator.weight.shape[2 + axis]
        unit = (source[1 + axis], node.shape[1 + axis], taps, operator.padding[axis])
        if unit != (1, 1, 1, 0) or operator.weight.shape[2 + other] == 1:
            continue
        flat = editor.emit(
            Reshape(), node.inputs, (source[0], source[1 + other]), node.origin, name=f"{node.name}_line"
        )
        line = replace(
            operator,
            weight=frozen_array(operator.weight.reshape(*operator.weight.shape[:2], -1)),
            stride=(operator.stride[other],),
            padding=(operator.padding[other],),
            dilation=(operator.dilation[other],),
        )
        shape = (node.shape[0], node.shape[1 + other])
        made = editor.emit(line, (flat,), shape, node.origin, name=f"{node.name}_1d")
        return editor.emit(Reshape(), (made,), node.shape, node.origin, name=node.name)
    return None


def fitted(node: Node, editor: Editor) -> str | None:
    """Give a convolution of stride 1 a kernel that the accelerator has, if an equal one exists."""
    operator = node.operator
    if not isinstance(operator, Convolution) or operator.transposed or set(operator.stride) != {1}:
        return None
    source, before, after = _padded_source(node, operator, editor)
    weight = _without_gaps(operator)
    sizes = editor.shape(source)[1:]
    axes = [
        Axis(size, taps, low, high)
        for size, taps, low, high in zip(sizes, weight.shape[2:], before, after, strict=True)
    ]
    if len(axes) == 1:
        return fitted_line(node, operator, axes[0], source, editor)
    if _is_native(operator, axes):
        return None
    if any((axis.before + axis.after - axis.taps) % 2 == 0 for axis in axes):
        source, axes = _odd_in_front(node, source, axes, editor)
    fits = [fit(axis, TAPS) for axis in axes]
    if fits[0] is not None and fits[1] is not None:
        kernel = np.zeros((*weight.shape[:2], TAPS, TAPS), dtype=weight.dtype)
        rows, columns = (
            slice(found.shift, found.shift + axis.taps)
            for found, axis in zip(fits, axes, strict=True)
            if found
        )
        kernel[:, :, rows, columns] = weight
        padding = (fits[0].padding, fits[1].padding)
        return replaced(node, operator, kernel, padding, source, editor)
    return _in_blocks(node, operator, axes, weight, source, editor)


def _odd_in_front(node: Node, source: str, axes: list[Axis], editor: Editor) -> tuple[str, list[Axis]]:
    """Pad by one pixel in front of a kernel that would change rows or columns by an odd number."""
    before, after, left = [], [], []
    for axis in axes:
        odd = (axis.before + axis.after - axis.taps) % 2 == 0
        low = int(odd and axis.before >= axis.after)
        high = int(odd) - low
        before.append(low)
        after.append(high)
        left.append(Axis(axis.size + low + high, axis.taps, axis.before - low, axis.after - high))
    shape = (editor.shape(source)[0], *(axis.size for axis in left))
    padding = Padding(tuple(before), tuple(after))
    return editor.emit(padding, (source,), shape, node.origin, name=f"{node.name}_odd"), left


def _is_native(operator: Convolution, axes: list[Axis]) -> bool:
    """Return whether the hardware has the kernel as it is: 1x1 or 3x3, padded on both sides alike."""
    square = operator.weight.shape[2:] in {(1, 1), (TAPS, TAPS)} and set(operator.dilation) == {1}
    return (
        square
        and all(axis.before == axis.after <= MAX_PAD and axis.before < axis.taps for axis in axes)
        and all(axis.before == pad for axis, pad in zip(axes, operator.padding, strict=True))
    )


def _padded_source(node: Node, operator: Convolution, editor: Editor) -> tuple[str, Shape, Shape]:
    """Return the value that padding is put around, and how much there is before and after each axis."""
    source = editor.made(node.inputs[0])
    before = after = operator.padding
    if source is not None and isinstance(source.operator, Padding):
        padding = source.operator
        if min(*padding.before, *padding.after) >= 0:
            low = tuple(a + b for a, b in zip(before, padding.before, strict=True))
            high = tuple(a + b for a, b in zip(after, padding.after, strict=True))
            return source.inputs[0], low, high
    return node.inputs[0], before, after


def _without_gaps(operator: Convolution) -> Array:
    """Return the weights with the zeros that dilation skips; one-dimensional ones as they are."""
    weight = operator.weight
    if weight.ndim == 3 or set(operator.dilation) == {1}:
        return weight
    sizes = [(taps - 1) * step + 1 for taps, step in zip(weight.shape[2:], operator.dilation, strict=True)]
    spread = np.zeros((*weight.shape[:2], *sizes), dtype=weight.dtype)
    spread[:, :, :: operator.dilation[0], :: operator.dilation[1]] = weight
    return spread


def _in_blocks(
    node: Node, operator: Convolution, axes: list[Axis], weight: Array, source: str, editor: Editor
) -> str | None:
    """Let the convolution read shifted copies of its input, one for each block of 3x3 taps."""
    channels = editor.shape(source)[0]
    for layers in range(1, _MAX_COPYING_LAYERS + 1):
        rows, columns = split(axes[0], layers), split(axes[1], layers)
        if rows is None or columns is None:
            continue
        bases = list(product(rows.bases, columns.bases))
        if channels * len(bases) > most_channels():
            return None
        copies = _copies(node, (rows, columns), bases, source, editor)
        kernel = _block_weights(weight, bases, axes, operator.groups)
        changed = replace(operator, weight=frozen_array(kernel), padding=(0, 0), dilation=(1, 1), groups=1)
        return editor.keep(replace(node, operator=changed, inputs=(copies,)))
    return None


def _copies(
    node: Node, axes: tuple[Blocks, Blocks], bases: list[tuple[int, int]], source: str, editor: Editor
) -> str:
    """Emit the copying layers; channels of the result: those of the input, shifted by each base in turn."""
    channels, *sizes = editor.shape(source)
    taps = [
        list(zip(steps(row, axes[0].paddings), steps(column, axes[1].paddings), strict=True))
        for row, column in bases
    ]
    for layer, padding in enumerate(zip(axes[0].paddings, axes[1].paddings, strict=True)):
        first = layer == 0
        groups = 1 if first else channels * len(bases)
        weight = np.zeros((channels * len(bases), channels if first else 1, TAPS, TAPS), dtype=np.int8)
        for block, wanted in enumerate(taps):
            for channel in range(channels):
                weight[block * channels + channel, channel if first else 0, *wanted[layer]] = 1
        sizes = [size + 2 * pad - TAPS + 1 for size, pad in zip(sizes, padding, strict=True)]
        copy = Copy(frozen_array(weight), padding, groups)
        shape = (channels * len(bases), *sizes)
        source = editor.emit(copy, (source,), shape, node.origin, name=f"{node.name}_shift")
    return source


def _block_weights(weight: Array, bases: list[tuple[int, int]], axes: list[Axis], groups: int) -> Array:
    """Return weights (out, blocks * in, 3, 3); taps that two blocks cover belong to the first."""
    dense = dense_groups(weight, groups)
    outputs, inputs, rows, columns = dense.shape
    kernel = np.zeros((outputs, len(bases), inputs, TAPS, TAPS), dtype=weight.dtype)
    done = np.zeros((rows, columns), dtype=bool)
    for block, base in enumerate(bases):
        for down, right in product(range(TAPS), repeat=2):
            row, column = base[0] + down + axes[0].before, base[1] + right + axes[1].before
            if 0 <= row < rows and 0 <= column < columns and not done[row, column]:
                kernel[:, block, :, down, right] = dense[:, :, row, column]
                done[row, column] = True
    return kernel.reshape(outputs, -1, TAPS, TAPS)
