"""Transposed convolutions: the accelerator has kernels of 3x3 and stride 2, and doubles rows and columns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from synergyc.ir.graph import Convolution, Node, Padding, Pooling, Reshape, doubling
from synergyc.ir.kernels import plain_kernel
from synergyc.ir.types import Pool, PoolKind, frozen_array
from synergyc.legalize.rewrite.editing import Editor
from synergyc.legalize.rewrite.maps import MAX_PAD, TAPS

_STRIDE = 2
_STRIDES = (1, 2, 4, 8)
"""Strides that doubling the distance of pixels makes, and so often."""


def transposed(node: Node, editor: Editor) -> str | None:
    """Rewrite a transposed convolution: with a 3x3 kernel, or as insertion of zeros and a convolution."""
    operator = node.operator
    if not isinstance(operator, Convolution) or not operator.transposed:
        return None
    native = _as_native(operator)
    if native is not None:
        return None if native is operator else editor.keep(replace(node, operator=native))
    strides = set(operator.stride)
    if len(strides) != 1 or operator.stride[0] not in _STRIDES:
        return None
    source = node.inputs[0]
    spread = _spread if len(operator.stride) == 2 else _spread_line
    for _ in range(_STRIDES.index(operator.stride[0])):
        source = spread(node, source, editor)
    plain = plain_kernel(operator.weight, operator.groups)
    shape = editor.shape(source)
    before = [
        step * (taps - 1) - pad
        for step, taps, pad in zip(operator.dilation, plain.shape[2:], operator.padding, strict=True)
    ]
    extent = [step * (taps - 1) for step, taps in zip(operator.dilation, plain.shape[2:], strict=True)]
    after = [
        wanted + reach - size - low
        for wanted, reach, size, low in zip(node.shape[1:], extent, shape[1:], before, strict=True)
    ]
    rank = len(operator.stride)
    convolution = Convolution(
        frozen_array(plain), operator.bias, (1,) * rank, (0,) * rank, operator.dilation, operator.groups
    )
    padded = tuple(size + a + b for size, a, b in zip(shape[1:], before, after, strict=True))
    name = editor.emit(
        Padding(tuple(before), tuple(after)),
        (source,),
        (shape[0], *padded),
        node.origin,
        name=f"{node.name}_pad",
    )
    return editor.emit(convolution, (name,), node.shape, node.origin, name=node.name)


def _as_native(operator: Convolution) -> Convolution | None:
    """Return an equal operator with a kernel of 3x3, stride 2 and output padding 1, if there is one."""
    if operator.stride != (_STRIDE, _STRIDE) or set(operator.dilation) != {1}:
        return None
    taps, padding = operator.weight.shape[2:], operator.padding
    target: list[int] = []
    for size, pad, extra in zip(taps, padding, operator.output_padding, strict=True):
        # outputs are 2 * (n - 1) - 2 * pad + size + extra, and the hardware's 2 * n + 2 - 2 * new padding
        odd = 4 + 2 * pad - size - extra
        if odd % 2 or not pad <= odd // 2 <= MAX_PAD or odd // 2 - pad + size > TAPS:
            return None
        target.append(odd // 2)
    if tuple(taps) == (TAPS, TAPS) and set(operator.output_padding) == {1}:
        return operator
    weight = np.zeros((*operator.weight.shape[:2], TAPS, TAPS), dtype=operator.weight.dtype)
    rows, columns = (
        slice(new - old, new - old + size) for new, old, size in zip(target, padding, taps, strict=True)
    )
    weight[:, :, rows, columns] = operator.weight
    return replace(operator, weight=frozen_array(weight), padding=tuple(target), output_padding=(1, 1))


def _spread(node: Node, source: str, editor: Editor) -> str:
    """Emit a layer that puts a zero behind each pixel, in both directions."""
    channels, rows, columns = editor.shape(source)
    copy = doubling(channels, rows=False, columns=False)
    shape = (channels, _STRIDE * rows, _STRIDE * columns)
    return editor.emit(copy, (source,), shape, node.origin, name=f"{node.name}_spread")


def _spread_line(node: Node, source: str, editor: Editor) -> str:
    """Emit layers that put a zero behind each pixel of a sequence: as rows of two equal columns."""
    channels, size = editor.shape(source)
    column = editor.emit(Reshape(), (source,), (channels, size, 1), node.origin, name=f"{node.name}_column")
    wide = editor.emit(
        doubling(channels, rows=False),
        (column,),
        (channels, _STRIDE * size, _STRIDE),
        node.origin,
        name=f"{node.name}_spread",
    )
    pairs = Pooling(Pool(PoolKind.MAX, (1, _STRIDE), 1))
    narrow = editor.emit(pairs, (wide,), (channels, 2 * size, 1), node.origin, name=f"{node.name}_narrow")
    return editor.emit(Reshape(), (narrow,), (channels, 2 * size), node.origin, name=f"{node.name}_line")
