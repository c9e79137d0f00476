"""Pooling windows that are larger than the accelerator's: pooled twice."""

from __future__ import annotations

from synergyc.ir.graph import Node, Pooling
from synergyc.ir.types import Pool, PoolKind
from synergyc.legalize.rewrite.editing import Editor
from synergyc.legalize.rewrite.maps import POOL_WINDOW


def in_two_steps(node: Node, editor: Editor) -> str | None:
    """Pool a window that does not fit by parts of it, and then the parts.

    Parts of an average must fill the window side by side; those of a maximum may overlap. An axis that fits
    and leaves one pixel is not divided.
    """
    operator = node.operator
    if not isinstance(operator, Pooling) or max(operator.pool.window) <= POOL_WINDOW:
        return None
    pool = operator.pool
    source = editor.shape(node.inputs[0])
    sizes, counts = (*source[1:], 1)[:2], (*node.shape[1:], 1)[:2]
    overlap = pool.kind is PoolKind.MAX and counts == (1, 1)
    apart = all(
        count == 1 or pool.stride == window for count, window in zip(counts, pool.window, strict=True)
    )
    whole = [
        size == width <= POOL_WINDOW and count == 1
        for size, width, count in zip(sizes, pool.window, counts, strict=True)
    ]
    rows, columns = (1 if done else width for width, done in zip(pool.window, whole, strict=True))
    found = _parts((rows, columns), overlap=overlap) if apart and set(pool.dilation) == {1} else None
    if found is None:
        return None
    part, step = found
    first = tuple(
        width if done or width == 1 else part for width, done in zip(pool.window, whole, strict=True)
    )
    middle = tuple((size - width) // step + 1 for size, width in zip(sizes, first, strict=True))
    second = tuple((window - width) // step + 1 for window, width in zip(pool.window, first, strict=True))
    if any(
        count > 1 and (width, rest) != (step, max(second))
        for count, width, rest in zip(counts, first, second, strict=True)
    ):
        return None  # both axes have one stride: it would thin the one that needs a smaller
    shape = (node.shape[0], *middle[: len(node.shape) - 1])
    parts = Pooling(Pool(pool.kind, (first[0], first[1]), step))
    name = editor.emit(parts, node.inputs, shape, node.origin, name=f"{node.name}_part")
    last = Pooling(Pool(pool.kind, (second[0], second[1]), max(second)))
    return editor.emit(last, (name,), node.shape, node.origin, name=node.name)


def _parts(window: tuple[int, int], *, overlap: bool) -> tuple[int, int] | None:
    """Return width and distance of parts that make up ``window`` along each axis of more than one pixel."""
    for part in range(POOL_WINDOW, 1, -1):
        for step in range(part, 0, -1) if overlap else (part,):
            rests = [size - part for size in window if size > 1]
            if all(rest >= 0 and rest % step == 0 and rest // step < POOL_WINDOW for rest in rests):
                return part, step
    return None
