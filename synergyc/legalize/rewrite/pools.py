"""Pooling windows that are larger than the accelerator's: pooled twice."""

from __future__ import annotations

from synergyc.ir.graph import Node, Pooling
from synergyc.ir.types import Pool
from synergyc.legalize.rewrite.editing import Editor

_LARGEST = 16
"""Rows and columns of a window (targets: limits.pool_window), and the largest stride."""


def in_two_steps(node: Node, editor: Editor) -> str | None:
    """Pool a window that does not fit by parts of it, then the parts: exact where parts fill the window."""
    operator = node.operator
    if not isinstance(operator, Pooling) or max(operator.pool.window) <= _LARGEST:
        return None
    pool, sizes = operator.pool, (*editor.shape(node.inputs[0])[1:], 1)[:2]
    counts = (*node.shape[1:], 1)[:2]
    apart = all(
        count == 1 or pool.stride == window for count, window in zip(counts, pool.window, strict=True)
    )
    if not apart or set(pool.dilation) != {1}:
        return None
    part = next(
        (
            size
            for size in range(_LARGEST, 1, -1)
            if all(window % size == 0 for window in pool.window if window > 1)
            and all(window // size <= _LARGEST for window in pool.window)
        ),
        None,
    )
    if part is None:
        return None
    first = tuple(part if window > 1 else 1 for window in pool.window)
    second = tuple(window // size for window, size in zip(pool.window, first, strict=True))
    middle = tuple((size - window) // part + 1 for size, window in zip(sizes, first, strict=True))
    rank = len(node.shape) - 1
    shape = (node.shape[0], *middle[:rank])
    name = editor.emit(
        Pooling(Pool(pool.kind, (first[0], first[1]), part)),
        node.inputs,
        shape,
        node.origin,
        name=f"{node.name}_part",
    )
    stride = max(
        window for window, count in zip(second, counts, strict=True) if count > 1 or window == max(second)
    )
    last = Pooling(Pool(pool.kind, (second[0], second[1]), stride))
    return editor.emit(last, (name,), node.shape, node.origin, name=node.name)
