"""Padding: joined with what reads it, or evened out for it; ``copies`` makes layers of what is left."""

from __future__ import annotations

from dataclasses import replace

from synergyc.diagnostics import fail
from synergyc.ir.graph import (
    Abs,
    Concatenation,
    Convolution,
    Copy,
    Flatten,
    Graph,
    Node,
    Padding,
    Pooling,
    Relu,
    Reshape,
    Saturation,
)
from synergyc.ir.types import PoolKind
from synergyc.legalize.rewrite.editing import Editor


def zeros_for_lowest(graph: Graph) -> Graph:
    """Return ``graph`` with zeros around maps where a maximum pool asked for what it never picks.

    Zeros do as well if no value is negative, or if what reads the pool clips negative ones to zero.
    """
    nodes = {node.name: node for node in graph.nodes}
    for node in graph.nodes:
        operator = node.operator
        if isinstance(operator, Padding) and operator.lowest:
            if not (_never_negative(graph, node.inputs[0]) or _clipped_behind(graph, node)):
                raise fail(
                    "pool-padding",
                    "padded maximum pooling of values that may be negative is not supported",
                    layer=node.origin.module,
                    location=node.origin.location,
                    hint="put a ReLU in front of the pooling or behind it, or leave its padding out",
                )
            nodes[node.name] = replace(node, operator=replace(operator, lowest=False))
    return replace(graph, nodes=tuple(nodes.values()))


def _never_negative(graph: Graph, name: str) -> bool:
    if name == graph.input.name:
        return False
    node = graph.node(name)
    operator = node.operator
    if isinstance(operator, Saturation):
        return operator.low >= 0
    if isinstance(operator, Relu | Abs):
        return True
    if isinstance(operator, Pooling | Concatenation | Copy | Padding | Reshape | Flatten):
        return all(_never_negative(graph, source) for source in node.inputs)
    return False


def _clipped_behind(graph: Graph, node: Node) -> bool:
    """Return whether only maximum pools read ``node``, and only ReLUs them."""
    pools = graph.consumers(node.name)
    if not pools or graph.output in {node.name, *(item.name for item in pools)}:
        return False
    for item in pools:
        operator, readers = item.operator, graph.consumers(item.name)
        if not isinstance(operator, Pooling) or operator.pool.kind is not PoolKind.MAX:
            return False
        if not readers or not all(isinstance(reader.operator, Relu) for reader in readers):
            return False
    return True


def even_out(node: Node, editor: Editor) -> str | None:
    """Pad pools by one pixel more where rows or columns grow by an odd number, if that changes nothing.

    Layers that copy change both sizes by even numbers only; pooling drops what does not fill a stride.
    """
    operator = node.operator
    padding = editor.made(node.inputs[0])
    if not isinstance(operator, Pooling) or padding is None or not isinstance(padding.operator, Padding):
        return None
    before, after = padding.operator.before, list(padding.operator.after)
    pool = operator.pool
    shape = list(padding.shape)
    for axis, (low, high) in enumerate(zip(before, padding.operator.after, strict=True)):
        if (low + high) % 2 == 0 or len(before) == 1:
            continue
        extent = (pool.window[axis] - 1) * pool.dilation[axis] + 1
        if (shape[axis + 1] + 1 - extent) // pool.stride + 1 == node.shape[axis + 1]:
            after[axis] += 1
            shape[axis + 1] += 1
    if tuple(after) == padding.operator.after:
        return None
    editor.discard(padding)
    name = editor.emit(
        replace(padding.operator, after=tuple(after)),
        padding.inputs,
        tuple(shape),
        padding.origin,
        name=padding.name,
    )
    return editor.emit(operator, (name,), node.shape, node.origin, name=node.name)


def join(node: Node, editor: Editor) -> str | None:
    """Join padding with padding before it."""
    source = editor.made(node.inputs[0])
    if source is None or not isinstance(source.operator, Padding):
        return None
    operator, padding = node.operator, source.operator
    if isinstance(operator, Padding) and _same_direction(padding, operator):
        before = tuple(a + b for a, b in zip(padding.before, operator.before, strict=True))
        after = tuple(a + b for a, b in zip(padding.after, operator.after, strict=True))
        return editor.emit(Padding(before, after), source.inputs, node.shape, node.origin, name=node.name)
    return None


def into_convolution(node: Node, editor: Editor) -> str | None:
    """Let a convolution pad by itself where both sides are padded alike."""
    source = editor.made(node.inputs[0])
    if source is None or not isinstance(source.operator, Padding):
        return None
    operator, padding = node.operator, source.operator
    if isinstance(operator, Convolution) and not operator.transposed and padding.before == padding.after:
        if min(padding.before) < 0:
            return None
        total = tuple(a + b for a, b in zip(operator.padding, padding.before, strict=True))
        return editor.keep(replace(node, operator=replace(operator, padding=total), inputs=source.inputs))
    return None


def _same_direction(first: Padding, second: Padding) -> bool:
    """Return whether both add pixels, or both cut them, on each side: cut ones do not come back as zeros."""
    pairs = zip((*first.before, *first.after), (*second.before, *second.after), strict=True)
    return all(a * b >= 0 or a > 0 for a, b in pairs)


def crop_before_convolution(node: Node, editor: Editor) -> str | None:
    """Compute less instead of cutting off: a cut behind a convolution becomes less padding before it."""
    operator = node.operator
    if not isinstance(operator, Padding):
        return None
    source = editor.made(node.inputs[0])
    if source is None or not isinstance(source.operator, Convolution):
        return None
    convolution = source.operator
    if convolution.transposed or set(convolution.stride) != {1} or len(_readers(editor, source)) > 1:
        return None
    before = tuple(pad + cut for pad, cut in zip(convolution.padding, operator.before, strict=True))
    after = tuple(pad + cut for pad, cut in zip(convolution.padding, operator.after, strict=True))
    if max(*operator.before, *operator.after) > 0 or min(*before, *after) < 0:
        return None
    sizes = [
        size + a + b for size, a, b in zip(editor.shape(source.inputs[0])[1:], before, after, strict=True)
    ]
    padded = editor.emit(
        Padding(before, after),
        source.inputs,
        (editor.shape(source.inputs[0])[0], *sizes),
        node.origin,
        name=f"{node.name}_pad",
    )
    plain = replace(convolution, padding=(0,) * len(before))
    editor.discard(source)
    return editor.emit(plain, (padded,), node.shape, source.origin, name=source.name)


def _readers(editor: Editor, source: Node) -> tuple[Node, ...]:
    return editor.old.consumers(source.name)
