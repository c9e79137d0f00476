"""Transposed convolutions: the accelerator has kernels of 3x3 and stride 2, and doubles rows and columns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from synergyc.ir.graph import Convolution, Copy, Node, Padding
from synergyc.ir.kernels import plain_kernel
from synergyc.ir.types import frozen_array
from synergyc.legalize.rewrite.editing import Editor
from synergyc.legalize.rewrite.maps import MAX_PAD, TAPS

_STRIDE = 2


def transposed(node: Node, editor: Editor) -> str | None:
    """Rewrite a transposed convolution: with a 3x3 kernel, or as insertion of zeros and a convolution."""
    operator = node.operator
    if not isinstance(operator, Convolution) or not operator.transposed:
        return None
    native = _as_native(operator)
    if native is not None:
        return None if native is operator else editor.keep(replace(node, operator=native))
    strides = set(operator.stride)
    if len(strides) != 1 or strides.pop() not in {1, _STRIDE}:
        return None
    source = node.inputs[0]
    if operator.stride[0] == _STRIDE:
        source = _spread(node, editor)
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
    convolution = Convolution(
        frozen_array(plain), operator.bias, (1, 1), (0, 0), operator.dilation, operator.groups
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
    if set(operator.stride) != {_STRIDE} or set(operator.dilation) != {1}:
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


def _spread(node: Node, editor: Editor) -> str:
    """Emit a layer that puts a zero behind each pixel, in both directions."""
    channels, rows, columns = editor.shape(node.inputs[0])
    weight = np.zeros((channels, 1, TAPS, TAPS), dtype=np.int8)
    weight[:, :, 1, 1] = 1
    copy = Copy(frozen_array(weight), (1, 1), channels, transposed=True)
    shape = (channels, _STRIDE * rows, _STRIDE * columns)
    return editor.emit(copy, node.inputs, shape, node.origin, name=f"{node.name}_spread")
