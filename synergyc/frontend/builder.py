"""Building a float graph, operator by operator: what all source formats share.

Work that the accelerator leaves to the CPU, reordering the input and functions of the output, is set aside
and must stand at the model's beginning or end.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from synergyc.diagnostics import Diagnostic, SynergyError, fail
from synergyc.frontend.layouts import layers_of
from synergyc.frontend.normalization import normalized
from synergyc.ir.graph import BatchNorm, Graph, GraphInput, Node, Operator
from synergyc.ir.preparation import Preparation, Step
from synergyc.ir.tail import Tail, behind
from synergyc.ir.types import Array, Origin, Shape

INPUT = "input"


class UnsupportedOperatorError(Exception):
    """An operator, or a use of it, that the front end refuses."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class BatchMixedError(UnsupportedOperatorError):
    """An operator that computes across the images of a batch, or puts the batch axis elsewhere."""

    def __init__(self, message: str = "the images of a batch must not be mixed") -> None:
        super().__init__(message)


@dataclass(frozen=True)
class Value:
    """A tensor of the graph: its name there and its shape without the batch axis."""

    name: str
    shape: Shape


@dataclass(frozen=True)
class _Aside:
    """Work of the CPU: what it reads, where the model says so, and what to do where it has no place."""

    work: Step | tuple[Tail, ...]
    source: Value
    shape: Shape
    origin: Origin
    hint: str | None


class GraphBuilder:
    """Collects nodes; names are unique and made of the module's names."""

    def __init__(self, name: str, input_shape: Shape, *, reads_bytes: bool = False) -> None:
        self._name, self._reads_bytes = name, reads_bytes
        self.input = Value(INPUT, input_shape)
        self._nodes: list[Node] = []
        self._aside: dict[str, _Aside] = {}
        self._built: dict[str, Value] = {}
        self._taken = {INPUT}

    def emit(self, operator: Operator, sources: tuple[Value, ...], shape: Shape, origin: Origin) -> Value:
        """Add a node and return its value; what it reads is reordered by layers, if they can."""
        sources = tuple(self._in_layers(item) for item in sources)
        value = Value(self._unique(origin.module), shape)
        self._nodes.append(Node(value.name, operator, tuple(item.name for item in sources), shape, origin))
        return value

    def _in_layers(self, value: Value) -> Value:
        """Return ``value`` made by layers where it was left to the CPU, and they can; else ``value``."""
        item = self._aside.get(value.name)
        if item is None or self.unmoved(value)[0] == self.input:
            return value
        if value.name not in self._built:
            layers = layers_of(item.work, item.source.shape)
            made = item.source
            for operator, shape in layers or ():
                made = self.emit(operator, (made,), shape, item.origin)
            self._built[value.name] = made if layers else value
        return self._built[value.name]

    def set_aside(
        self, work: Step | tuple[Tail, ...], source: Value, shape: Shape, origin: Origin, hint: str | None
    ) -> Value:
        """Note work of the CPU and return its result."""
        value = Value(self._unique(origin.module), shape)
        self._aside[value.name] = _Aside(work, source, shape, origin, hint)
        return value

    def is_finished(self, value: Value) -> bool:
        """Return whether ``value`` is made by work that can only stand at the model's end."""
        while (item := self._aside.get(value.name)) is not None:
            if not isinstance(item.work, Step):
                return True
            value = item.source
        return False

    def unmoved(self, value: Value) -> tuple[Value, tuple[Step, ...]]:
        """Return what ``value`` is made of by reordering that was set aside, and the steps of it."""
        steps: list[Step] = []
        while (item := self._aside.get(value.name)) is not None and isinstance(item.work, Step):
            steps.insert(0, item.work)
            value = item.source
        return value, tuple(steps)

    def graph(self, output: Value) -> Graph:
        """Return the graph; raises SynergyError for work of the CPU between layers of the accelerator."""
        tail: list[Tail] = []
        while (last := self._aside.get(output.name)) is not None:
            tail[:0] = behind(last.work, last.source.shape) if isinstance(last.work, Step) else last.work
            output = last.source
        kept = _needed(self._nodes, output.name)
        start, steps = self._head(kept)
        problems = self.misplaced(kept, start, output) or [
            problem for node in kept if (problem := _unusable(node)) is not None
        ]
        if problems:
            raise SynergyError(problems)
        if not kept:
            raise fail("capture-signature", "the model must compute its output from its input")
        result = output.name
        if self._reads_bytes:
            found = normalized(kept, start.name, start.shape, result)
            kept, result = list(found.nodes), found.output
            steps.append(found.step)
        preparation = Preparation(self.input.shape, tuple(steps)) if steps else None
        renamed = {start.name: INPUT}
        nodes = [
            Node(
                node.name,
                node.operator,
                tuple(renamed.get(name, name) for name in node.inputs),
                node.shape,
                node.origin,
            )
            for node in kept
        ]
        source = GraphInput(INPUT, start.shape, preparation)
        return Graph(self._name, source, tuple(nodes), result, tail=tuple(tail))

    def _head(self, nodes: list[Node]) -> tuple[Value, list[Step]]:
        """Return the value that the first layers read, and the steps that make it of the input."""
        current = self.input
        steps: list[Step] = []
        while True:
            readers = [node for node in nodes if current.name in node.inputs]
            following = [
                (name, item) for name, item in self._aside.items() if item.source.name == current.name
            ]
            work = following[0][1].work if len(following) == 1 and not readers else None
            if not isinstance(work, Step):
                return current, steps
            name, item = following[0]
            current = Value(name, item.shape)
            steps.append(work)

    def misplaced(
        self, nodes: list[Node] | None = None, start: Value | None = None, output: Value | None = None
    ) -> list[Diagnostic]:
        """Return what stands against work of the CPU that layers of the accelerator read."""
        nodes = self._nodes if nodes is None else nodes
        start = start or self._head(nodes)[0]
        read = {name for node in nodes for name in node.inputs} | {output.name if output else ""}
        names = self._aside_chain(read - {start.name})
        return [_misplaced(self._aside[name]) for name in names]

    def _aside_chain(self, names: set[str]) -> list[str]:
        """Return ``names`` that were set aside, with those that they read, in order."""
        found: set[str] = set()
        pending = set(names)
        while pending:
            name = pending.pop()
            if name in self._aside and name not in found:
                found.add(name)
                pending.add(self._aside[name].source.name)
        return [name for name in self._aside if name in found]

    def _unique(self, module: str) -> str:
        stem = re.sub(r"[^A-Za-z0-9_]", "_", module) or "layer"
        name, count = stem, 1
        while name in self._taken:
            count += 1
            name = f"{stem}_{count}"
        self._taken.add(name)
        return name


def _misplaced(item: _Aside) -> Diagnostic:
    either = isinstance(item.work, Step)
    what = item.work if isinstance(item.work, Step) else ", ".join(map(str, item.work))
    return Diagnostic(
        "cpu-place",
        f"{what} must stand at the {'beginning or the ' if either else ''}end of the model:"
        " the accelerator cannot do it",
        layer=item.origin.module,
        location=item.origin.location,
        hint=item.hint,
    )


def _unusable(node: Node) -> Diagnostic | None:
    """Return what keeps a node's weights or statistics from being used; None if nothing does."""
    operator = node.operator
    arrays = [value for value in vars(operator).values() if isinstance(value, np.ndarray)]
    message = None
    if not all(np.isfinite(array).all() for array in arrays):
        message = "weights, biases and statistics must be finite, not NaN or infinite"
    elif isinstance(operator, BatchNorm) and not (operator.variance + operator.epsilon > 0).all():
        message = "the variance of batch normalization must be more than 0"
    if message is None:
        return None
    return Diagnostic("weight-value", message, node.origin.location, layer=node.origin.module)


def _needed(nodes: list[Node], output: str) -> list[Node]:
    """Return the nodes that ``output`` depends on."""
    needed, kept = {output}, []
    for node in reversed(nodes):
        if node.name in needed:
            needed.update(node.inputs)
            kept.append(node)
    return kept[::-1]


@dataclass(frozen=True)
class Call:
    """One operator call; ``arguments`` holds :class:`Value` for activations, arrays for constants.

    ``shape`` is that of its (first) result, without the batch axis.
    """

    builder: GraphBuilder
    arguments: Mapping[str, Any]
    shape: Shape
    origin: Origin

    def value(self, *keys: str) -> Value:
        """Return the activation passed under one of ``keys``."""
        key = next((key for key in keys if key in self.arguments), keys[0])
        argument = self.arguments.get(key)
        if not isinstance(argument, Value):
            raise UnsupportedOperatorError(
                f"argument {key!r} must be computed from the input, not a constant",
                "fold constants into the weights or the bias of a neighbouring layer",
            )
        return argument

    def constant(self, key: str) -> Array:
        """Return the parameter or buffer passed as ``key``."""
        array = self.optional_constant(key)
        if array is None:
            raise UnsupportedOperatorError(f"argument {key!r} must be given")
        return array

    def optional_constant(self, key: str) -> Array | None:
        """Return the parameter or buffer passed as ``key``, or None where there is none."""
        argument = self.arguments.get(key)
        if isinstance(argument, Value):
            raise UnsupportedOperatorError(
                f"argument {key!r} must be a parameter, not computed from the input"
            )
        array: Array | None = argument
        return array

    def emit(self, operator: Operator, *sources: Value, shape: Shape | None = None) -> Value:
        """Add an operator to the graph, with the call's shape where none is given."""
        return self.builder.emit(operator, sources, self.shape if shape is None else shape, self.origin)

    def set_aside(self, work: Step | tuple[Tail, ...], source: Value, hint: str | None = None) -> Value:
        """Leave work to the CPU; ``hint``: what to do where it has no place."""
        return self.builder.set_aside(work, source, self.shape, self.origin, hint)
