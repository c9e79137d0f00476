"""Rows and columns that are skipped: by pooling, which has one stride for both.

A map is read as one sequence of pixels to skip columns alone, and its columns are repeated first to skip rows
alone.
"""

from __future__ import annotations

import math

from synergyc.diagnostics import fail
from synergyc.ir.graph import Node, Padding, Pooling, Reshape, Thinning, doubling
from synergyc.ir.types import Pool, PoolKind
from synergyc.legalize.rewrite.editing import Editor


def joined(node: Node, editor: Editor) -> str | None:
    """Join thinning with thinning before it."""
    source = editor.made(node.inputs[0])
    if not isinstance(node.operator, Thinning) or source is None or not isinstance(source.operator, Thinning):
        return None
    steps = tuple(a * b for a, b in zip(source.operator.steps, node.operator.steps, strict=True))
    return editor.emit(Thinning(steps), source.inputs, node.shape, node.origin, name=node.name)


def padded_first(node: Node, editor: Editor) -> str | None:
    """Pad, or cut, before thinning instead of behind it, along axes that are not thinned."""
    operator, source = node.operator, editor.made(node.inputs[0])
    if not isinstance(operator, Padding) or source is None or not isinstance(source.operator, Thinning):
        return None
    changes = zip(operator.before, operator.after, source.operator.steps, strict=True)
    if any((low or high) and step > 1 for low, high, step in changes):
        return None
    channels, *sizes = editor.shape(source.inputs[0])
    grown = (a + b + c for a, b, c in zip(sizes, operator.before, operator.after, strict=True))
    name = editor.emit(operator, source.inputs, (channels, *grown), node.origin, name=f"{node.name}_first")
    return editor.emit(source.operator, (name,), node.shape, source.origin, name=node.name)


def pooled(node: Node, editor: Editor) -> str | None:
    """Turn thinning into pools with windows of one pixel."""
    if not isinstance(node.operator, Thinning):
        return None
    name, steps = node.inputs[0], node.operator.steps
    both = math.gcd(*(step for step, size in zip(steps, editor.shape(name)[1:], strict=True) if size > 1))
    name = _skipped(node, editor, name, max(both, 1))
    if len(steps) == 2:
        rows, columns = (max(step // max(both, 1), 1) for step in steps)
        name = _skipped_columns(node, editor, name, columns)
        name = _skipped_rows(node, editor, name, rows)
    return name


def _skipped(node: Node, editor: Editor, name: str, step: int) -> str:
    if step == 1:
        return name
    channels, *sizes = editor.shape(name)
    shape = (channels, *(-(-size // step) for size in sizes))
    pool = Pooling(Pool(PoolKind.MAX, (1, 1), step))
    return editor.emit(pool, (name,), shape, node.origin, name=f"{node.name}_skip")


def _skipped_columns(node: Node, editor: Editor, name: str, step: int) -> str:
    """Keep every ``step``-th column: rows follow each other in memory, and begin at a multiple of it."""
    channels, rows, columns = editor.shape(name)
    if step == 1 or columns == 1:
        return name
    missing = -columns % step
    if missing:
        shape = (channels, rows, columns + missing)
        padding = Padding((0, 0), (0, missing))
        name = editor.emit(padding, (name,), shape, node.origin, name=f"{node.name}_fill")
    left = (columns + missing) // step
    line = (channels, rows * (columns + missing))
    name = editor.emit(Reshape(), (name,), line, node.origin, name=f"{node.name}_line")
    name = _skipped(node, editor, name, step)
    return editor.emit(Reshape(), (name,), (channels, rows, left), node.origin, name=f"{node.name}_map")


def _skipped_rows(node: Node, editor: Editor, name: str, step: int) -> str:
    """Keep every ``step``-th row: each column is repeated as often, so that both are skipped alike."""
    channels, rows, columns = editor.shape(name)
    if step == 1 or rows == 1:
        return name
    if step & (step - 1):
        raise fail(
            "stride-axes",
            f"rows cannot be skipped by {step} where columns are not",
            layer=node.origin.module,
            location=node.origin.location,
            need=f"stride {step} of rows alone",
            have="powers of two",
            hint="use the same stride for rows and columns, or exchange them",
        )
    repeated, length = 1, rows * columns
    while repeated < step:
        column = (channels, length, 1)
        name = editor.emit(Reshape(), (name,), column, node.origin, name=f"{node.name}_column")
        doubled = (channels, 2 * length, 2)
        name = editor.emit(doubling(channels), (name,), doubled, node.origin, name=f"{node.name}_wide")
        repeated, length = 4 * repeated, 4 * length
        name = editor.emit(Reshape(), (name,), (channels, length), node.origin, name=f"{node.name}_line")
    if repeated > step:
        name = _skipped(node, editor, name, repeated // step)
    wide = (channels, rows, step * columns)
    name = editor.emit(Reshape(), (name,), wide, node.origin, name=f"{node.name}_map")
    return _skipped(node, editor, name, step)
