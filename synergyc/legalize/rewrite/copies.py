"""Padding and cutting as layers that copy: what no convolution or pool could take over.

Convolutions change rows and columns by even numbers. An odd number takes a transposed convolution, which puts
the pixels at every second place of a map twice as large, and a pool that picks them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synergyc.ir.graph import Copy, Node, Padding, Pooling, Reshape
from synergyc.ir.types import Pool, PoolKind, Shape, frozen_array
from synergyc.legalize.rewrite.editing import Editor
from synergyc.legalize.rewrite.maps import LONGEST, MAX_PAD, POOL_WINDOW, TAPS


def copied(node: Node, editor: Editor) -> str | None:
    """Turn padding into layers that copy."""
    operator = node.operator
    if not isinstance(operator, Padding):
        return None
    before, after = list(operator.before), list(operator.after)
    name = node.inputs[0]
    if len(before) == 1 and node.shape[1] == 1 and before[0] <= 0 and after[0] <= 0:
        name, before, after = _towards_pixel(node, editor, -before[0])
    elif len(before) == 2 and any((a + b) % 2 for a, b in zip(before, after, strict=True)):
        name, before, after = _oddly_padded(node, editor, before, after)
    return _evenly_padded(node, editor, name, before, after)


@dataclass(frozen=True)
class _Move:
    """What one copying layer does along an axis: a kernel of ``taps`` with a one at ``tap``."""

    taps: int
    padding: int
    tap: int

    @property
    def before(self) -> int:
        """Pixels that it adds at the beginning."""
        return self.padding - self.tap

    @property
    def after(self) -> int:
        """Pixels that it adds at the end."""
        return self.padding - (self.taps - 1 - self.tap)


_SPREAD = _Move(TAPS, 1, 1)


def _evenly_padded(node: Node, editor: Editor, name: str, before: list[int], after: list[int]) -> str:
    shape = editor.shape(name)
    one_axis = len(before) == 1
    while any(before) or any(after):
        rows = _best_rows(shape[1], before[0], after[0]) if one_axis else None
        if rows is not None:
            before = [before[0] - rows.before]
            after = [after[0] - rows.after]
            shape = (shape[0], shape[1] + rows.before + rows.after)
            last = not any(before) and not any(after)
            name = _padded_by_rows(node, editor, name, rows, node.name if last else f"{node.name}_part")
            continue
        moves = [_move(a, b, one_axis=one_axis) for a, b in zip(before, after, strict=True)]
        before = [left - move.before for left, move in zip(before, moves, strict=True)]
        after = [left - move.after for left, move in zip(after, moves, strict=True)]
        shape = (
            shape[0],
            *(size + m.before + m.after for size, m in zip(shape[1:], moves, strict=True)),
        )
        last = not any(before) and not any(after)
        label = node.name if last else f"{node.name}_part"
        name = editor.emit(_copy(shape[0], moves), (name,), shape, node.origin, name=label)
    return name


@dataclass(frozen=True)
class _Rows:
    """A sequence read as rows of ``width`` pixels, and what one copying layer does to the rows."""

    width: int
    move: _Move

    @property
    def before(self) -> int:
        """Pixels that it adds at the beginning."""
        return self.width * self.move.before

    @property
    def after(self) -> int:
        """Pixels that it adds at the end."""
        return self.width * self.move.after


def _best_rows(size: int, before: int, after: int) -> _Rows | None:
    """Return rows that save layers when a sequence is padded by much; None if none do."""
    plain = _layers_of_line(before, after)
    choices = [
        _Rows(width, _Move(TAPS, MAX_PAD, tap))
        for width in range(2, max(before, after, 0) + LONGEST)
        if size % width == 0
        for tap in range(TAPS)
    ]
    costs = [1 + _layers_of_line(before - item.before, after - item.after) for item in choices]
    best = min(costs, default=plain)
    return choices[costs.index(best)] if best < plain else None


def _layers_of_line(before: int, after: int) -> int:
    """Return about how many layers pad or cut a sequence, pixel by pixel."""
    pads = -(-(max(before, 0) + max(after, 0)) // MAX_PAD)
    cuts = max(-before, 0) + max(-after, 0)
    return pads + -(-cuts // (LONGEST - 1))


def _padded_by_rows(node: Node, editor: Editor, name: str, rows: _Rows, label: str) -> str:
    channels, size = editor.shape(name)
    folded = (channels, size // rows.width, rows.width)
    copy = _copy(channels, [rows.move, _SPREAD])
    padded = (channels, folded[1] + rows.move.before + rows.move.after, rows.width)
    name = editor.emit(Reshape(), (name,), folded, node.origin, name=f"{node.name}_rows")
    name = editor.emit(copy, (name,), padded, node.origin, name=f"{node.name}_rows_pad")
    return editor.emit(Reshape(), (name,), (channels, padded[1] * padded[2]), node.origin, name=label)


def _move(before: int, after: int, *, one_axis: bool) -> _Move:
    """Return a move towards padding by ``before`` and ``after``; in one dimension kernels have any length."""
    if one_axis and before <= 0 and after <= 0:
        cut = max(before, 1 - LONGEST)
        rest = max(after, 1 - LONGEST - cut)
        return _Move(1 - cut - rest, 0, -cut)
    if one_axis and (before + after) % 2:
        return _Move(2, 1, 0) if before > 0 else _Move(2, 1, 1)
    candidates = [_Move(TAPS, padding, tap) for padding in range(MAX_PAD + 1) for tap in range(TAPS)]
    return min(candidates, key=lambda move: abs(before - move.before) + abs(after - move.after))


def _copy(channels: int, moves: list[_Move], *, transposed: bool = False) -> Copy:
    kernel = np.zeros([move.taps for move in moves], dtype=np.int8)
    kernel[tuple(move.tap for move in moves)] = 1
    weight = np.broadcast_to(kernel, (channels, 1, *kernel.shape))
    return Copy(frozen_array(weight), tuple(move.padding for move in moves), channels, transposed)


_ODD_MOVES = {
    (1, 0): _Move(TAPS, 0, 2),
    (0, 1): _Move(TAPS, 0, 0),
    (-1, 0): _Move(TAPS, 2, 0),
    (0, -1): _Move(TAPS, 2, 2),
}
"""Kernels of a transposed convolution, by what they add before and behind the pixels at even places."""


def _oddly_padded(
    node: Node, editor: Editor, before: list[int], after: list[int]
) -> tuple[str, list[int], list[int]]:
    """Emit one pixel of the axes that change by an odd number; return also what is left to do."""
    shape = editor.shape(node.inputs[0])
    moves, added = [], []
    for low, high in zip(before, after, strict=True):
        if (low + high) % 2 == 0:
            moves.append(_SPREAD)
            added.append((0, 0))
            continue
        step = min(_ODD_MOVES, key=lambda item: abs(low - item[0]) + abs(high - item[1]))
        moves.append(_ODD_MOVES[step])
        added.append(step)
    sizes = tuple(size + low + high for size, (low, high) in zip(shape[1:], added, strict=True))
    doubled = (shape[0], *(2 * size for size in sizes))
    name = editor.emit(
        _copy(shape[0], moves, transposed=True), node.inputs, doubled, node.origin, name=f"{node.name}_odd"
    )
    name = _picked(node, editor, name, 2, (shape[0], *sizes))
    before = [left - low for left, (low, _) in zip(before, added, strict=True)]
    after = [left - high for left, (_, high) in zip(after, added, strict=True)]
    return name, before, after


def _picked(node: Node, editor: Editor, name: str, step: int, shape: Shape) -> str:
    pool = Pooling(Pool(PoolKind.MAX, (1, 1), step))
    return editor.emit(pool, (name,), shape, node.origin, name=f"{node.name}_pick")


def _towards_pixel(node: Node, editor: Editor, place: int) -> tuple[str, list[int], list[int]]:
    """Emit cuts and strides that keep one pixel; return also what is left to cut on both sides."""
    name = node.inputs[0]
    channels, size = editor.shape(name)
    while size > LONGEST:
        step = min(range(2, POOL_WINDOW + 1), key=lambda number: _layers_to_pixel(size, place, number))
        cut = place % step
        if cut:
            moves = [_Move(1 + part, 0, part) for part in _parts(cut)]
            for move in moves:
                size -= move.tap
                label = f"{node.name}_cut"
                name = editor.emit(
                    _copy(channels, [move]), (name,), (channels, size), node.origin, name=label
                )
        size, place = -(-size // step), place // step
        name = _picked(node, editor, name, step, (channels, size))
    return name, [-place], [place + 1 - size]


def _parts(cut: int) -> list[int]:
    """Return cuts of one layer each that make up ``cut``."""
    most = LONGEST - 1
    return [most] * (cut // most) + [cut % most] * (cut % most > 0)


def _layers_to_pixel(size: int, place: int, step: int) -> int:
    """Return how many layers it takes to keep one pixel, if every ``step``-th is picked first."""
    left = -(-(size - place % step) // step)
    return len(_parts(place % step)) + -(-(left - 1) // (LONGEST - 1))
