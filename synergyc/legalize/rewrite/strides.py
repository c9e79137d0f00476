"""Convolutions that skip pixels: the accelerator computes all of them, and skips when it pools."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from synergyc.ir.graph import Abs, Convolution, Graph, Node, Padding, Pooling, Relu, Saturation, Thinning
from synergyc.ir.kernels import dense_groups
from synergyc.ir.preparation import Preparation, PreparationStep, Step, folded_shape
from synergyc.ir.types import Array, Pool, PoolKind, Shape, frozen_array
from synergyc.legalize.rewrite.editing import Editor

_MOST_FOLDED_CHANNELS = 64
"""Channels of a folded input: as many as there are processors."""


def fold_input(graph: Graph) -> Graph:
    """Return ``graph`` with a strided first convolution on an input whose pixels are folded into channels.

    Each output then reads neighbouring folded pixels, one apart: no work is done that a stride would skip.
    The sensor side folds, and adds zeros where the stride does not divide the size.
    """
    found = _first_strided(graph)
    if found is None:
        return graph
    node, operator, before = found
    source = graph.input
    shape = folded_shape(source.shape, operator.stride)
    weight, low = _folded_weights(operator, before)
    weight, shape = _evened(weight, low, shape, node.shape)
    kernel = weight.shape[2:]
    high = tuple(
        wanted + taps - 1 - size - a
        for wanted, taps, size, a in zip(node.shape[1:], kernel, shape[1:], low, strict=True)
    )
    rank = len(low)
    steps = [Step(PreparationStep.FOLD, operator.stride)]
    if shape != folded_shape(source.shape, operator.stride):
        steps.append(Step(PreparationStep.EXTEND, shape[1:]))
    earlier = source.preparation or Preparation(source.shape, ())
    padded = (shape[0], *(size + a + b for size, a, b in zip(shape[1:], low, high, strict=True)))
    name = f"{node.name}_pad"
    padding = Node(name, Padding(low, high), (source.name,), padded, node.origin)
    changed = replace(
        operator,
        weight=frozen_array(weight),
        stride=(1,) * rank,
        padding=(0,) * rank,
        dilation=(1,) * rank,
        groups=1,
    )
    nodes: list[Node] = [padding]
    for item in graph.nodes:
        nodes.append(replace(item, operator=changed, inputs=(name,)) if item is node else item)
    folded = replace(source, shape=shape, preparation=replace(earlier, steps=(*earlier.steps, *steps)))
    return replace(graph, input=folded, nodes=tuple(nodes))


def _evened(weight: Array, low: Shape, shape: Shape, output: Shape) -> tuple[Array, Shape]:
    """Return weights and input shape with a tap of zeros and a pixel more where rows grow by an odd number.

    Kernels of the hardware fit only where the number of rows changes by an even one.
    """
    if len(low) == 1:
        return weight, shape
    more = [(new - old) % 2 for new, old in zip(output[1:], shape[1:], strict=True)]
    padded = np.pad(weight, [(0, 0), (0, 0), *((0, extra) for extra in more)])
    return padded, (shape[0], *(size + extra for size, extra in zip(shape[1:], more, strict=True)))


def _first_strided(graph: Graph) -> tuple[Node, Convolution, Shape] | None:
    """Return the only reader of the input if it is a strided convolution, and the padding before its axes."""
    readers = graph.consumers(graph.input.name)
    before: Shape = ()
    if len(readers) == 1 and isinstance(readers[0].operator, Padding):
        if graph.output == readers[0].name or min(readers[0].operator.before) < 0:
            return None
        before = readers[0].operator.before
        readers = graph.consumers(readers[0].name)
    if len(readers) != 1 or not isinstance(readers[0].operator, Convolution):
        return None
    operator = readers[0].operator
    channels = folded_shape(graph.input.shape, operator.stride)[0]
    if operator.transposed or set(operator.stride) == {1} or channels > _MOST_FOLDED_CHANNELS:
        return None
    before = tuple(
        a + b for a, b in zip(before or (0,) * len(operator.padding), operator.padding, strict=True)
    )
    return readers[0], operator, before


def _folded_weights(operator: Convolution, before: Shape) -> tuple[Array, Shape]:
    """Return the weights on folded pixels, and how many of those are read before each output's own."""
    weight = dense_groups(operator.weight, operator.groups)
    outputs, inputs, *taps = weight.shape
    steps = operator.stride
    reach = [(size - 1) * gap + 1 for size, gap in zip(taps, operator.dilation, strict=True)]
    low = tuple(-(-pad // step) for pad, step in zip(before, steps, strict=True))
    kernel = [
        (size - 1 - pad) // step + 1 + least
        for size, pad, step, least in zip(reach, before, steps, low, strict=True)
    ]
    folded = np.zeros((outputs, inputs, *steps, *kernel), dtype=weight.dtype)
    for tap in np.ndindex(*taps):
        offsets = [
            position * gap - pad for position, gap, pad in zip(tap, operator.dilation, before, strict=True)
        ]
        phases = [offset % step for offset, step in zip(offsets, steps, strict=True)]
        places = [offset // step + least for offset, step, least in zip(offsets, steps, low, strict=True)]
        folded[(slice(None), slice(None), *phases, *places)] = weight[(slice(None), slice(None), *tap)]
    return folded.reshape(outputs, -1, *kernel), low


def thin_out(node: Node, editor: Editor) -> str | None:
    """Compute a strided convolution everywhere and skip afterwards, or skip first where the kernel is 1x1.

    Skipping happens behind the activation, which is part of the convolution's layer.
    """
    if isinstance(node.operator, Relu | Abs | Saturation):
        return _thinned_behind(node, editor)
    operator = node.operator
    if isinstance(operator, Convolution) and _differ(node):
        return _thinned_apart(node, operator, editor)
    step = _step(node)
    if not isinstance(operator, Convolution) or step is None:
        return None
    source = editor.shape(node.inputs[0])
    plain = replace(operator, stride=(1,) * len(operator.stride))
    if set(operator.weight.shape[2:]) == {1} and not any(operator.padding):
        shape = (source[0], *node.shape[1:])
        name = editor.emit(_skip(step), node.inputs, shape, node.origin, name=f"{node.name}_skip")
        return editor.keep(replace(node, operator=plain, inputs=(name,)))
    full = tuple(
        size + 2 * pad - (taps - 1) * gap
        for size, pad, taps, gap in zip(
            source[1:], operator.padding, operator.weight.shape[2:], operator.dilation, strict=True
        )
    )
    more = _one_more(operator, full, node.shape[1:], step, editor.made(node.inputs[0]))
    if any(more):
        padded = Padding(operator.padding, tuple(a + b for a, b in zip(operator.padding, more, strict=True)))
        around = (
            source[0],
            *(size + 2 * pad + b for size, pad, b in zip(source[1:], operator.padding, more, strict=True)),
        )
        name = editor.emit(padded, node.inputs, around, node.origin, name=f"{node.name}_pad")
        node = replace(node, inputs=(name,))
        plain = replace(plain, padding=(0,) * len(more))
        full = tuple(size + b for size, b in zip(full, more, strict=True))
    shape = (node.shape[0], *full)
    if _activated(node, editor):
        return editor.keep(replace(node, operator=plain, shape=shape))
    name = editor.emit(plain, node.inputs, shape, node.origin, name=f"{node.name}_all")
    return editor.emit(_skip(step), (name,), node.shape, node.origin, name=node.name)


def _one_more(operator: Convolution, full: Shape, counts: Shape, step: int, before: Node | None) -> Shape:
    """Return 1 for each axis that needs a row more of padding at its end, which skipping drops again.

    Kernels of the hardware fit only where rows in all grow by an even number.
    """
    if len(counts) == 1:
        return (0,)
    more = []
    for axis, (size, count) in enumerate(zip(full, counts, strict=True)):
        reach = (operator.weight.shape[2 + axis] - 1) * operator.dilation[axis]
        grown = 2 * operator.padding[axis]
        if before is not None and isinstance(before.operator, Padding):
            grown += before.operator.before[axis] + before.operator.after[axis]
        more.append(int((grown - reach) % 2 == 1 and size // step + 1 == count))
    return tuple(more)


def _differ(node: Node) -> bool:
    """Return whether rows and columns of a convolution have different strides."""
    operator = node.operator
    if not isinstance(operator, Convolution) or operator.transposed:
        return False
    return len({step for step, count in zip(operator.stride, node.shape[1:], strict=True) if count > 1}) > 1


def _thinned_apart(node: Node, operator: Convolution, editor: Editor) -> str:
    """Compute a convolution everywhere; rows and columns are thinned by different numbers behind it."""
    full = tuple(
        size + 2 * pad - (taps - 1) * gap
        for size, pad, taps, gap in zip(
            editor.shape(node.inputs[0])[1:],
            operator.padding,
            operator.weight.shape[2:],
            operator.dilation,
            strict=True,
        )
    )
    plain = replace(operator, stride=(1,) * len(full))
    name = editor.emit(plain, node.inputs, (node.shape[0], *full), node.origin, name=f"{node.name}_all")
    return editor.emit(Thinning(operator.stride), (name,), node.shape, node.origin, name=node.name)


def _step(node: Node) -> int | None:
    """Return the stride of a convolution, None if it is 1, or differs between rows and columns."""
    operator = node.operator
    if not isinstance(operator, Convolution) or operator.transposed:
        return None
    steps = {step for step, count in zip(operator.stride, node.shape[1:], strict=True) if count > 1}
    if len(steps) > 1:
        return None
    step = steps.pop() if steps else max(operator.stride)
    return None if step == 1 else step


def _skip(step: int) -> Pooling:
    return Pooling(Pool(PoolKind.MAX, (1, 1), step))


def _activated(node: Node, editor: Editor) -> bool:
    """Return whether an activation alone reads ``node``."""
    readers = editor.old.consumers(node.name)
    return (
        len(readers) == 1
        and node.name != editor.old.output
        and isinstance(readers[0].operator, Relu | Abs | Saturation)
    )


def _thinned_behind(node: Node, editor: Editor) -> str | None:
    """Skip behind an activation whose operand was not thinned."""
    full = editor.shape(node.inputs[0])
    if full == node.shape:
        return None
    (source,) = editor.old.node(node.name).inputs
    step = _step(editor.old.node(source))
    name = editor.emit(node.operator, node.inputs, full, node.origin, name=f"{node.name}_all")
    return editor.emit(_skip(step or 1), (name,), node.shape, node.origin, name=node.name)
