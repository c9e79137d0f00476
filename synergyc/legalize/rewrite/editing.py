"""Editing a graph node by node: a rule returns the name of the value that takes a node's place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from synergyc.ir.graph import Graph, Node, Operator
from synergyc.ir.types import Origin, Shape


class Editor:
    """A graph under construction; ``old`` is the one that is walked, its names are still valid there."""

    def __init__(self, old: Graph) -> None:
        self.old = old
        self._nodes: dict[str, Node] = {}
        self._renamed: dict[str, str] = {}
        self._taken = {old.input.name, *(node.name for node in old.nodes)}
        self.own = ""
        """Name of the node that is walked over: what takes its place may have it."""

    def emit(
        self, operator: Operator, inputs: tuple[str, ...], shape: Shape, origin: Origin, *, name: str
    ) -> str:
        """Add a node of the new graph and return its name; ``name`` gets a number if it is taken."""
        unique, count = name, 1
        if name == self.own and name not in self._nodes:
            self._taken.discard(name)
        while unique in self._taken:
            count += 1
            unique = f"{name}_{count}"
        self._taken.add(unique)
        self._nodes[unique] = Node(unique, operator, inputs, shape, origin)
        return unique

    def keep(self, node: Node) -> str:
        """Add ``node`` under its own name."""
        self._nodes[node.name] = node
        return node.name

    def discard(self, node: Node) -> None:
        """Remove a node that nothing reads any more, so that another may have its name."""
        if len(self.old.consumers(node.name)) <= 1:
            self._nodes.pop(node.name, None)
            self._taken.discard(node.name)

    def made(self, name: str) -> Node | None:
        """Return the node of the new graph that makes a value; None for the input."""
        return self._nodes.get(name)

    def shape(self, name: str) -> Shape:
        """Return the shape of a value of the new graph."""
        node = self._nodes.get(name)
        return self.old.input.shape if node is None else node.shape

    def current(self, name: str) -> str:
        """Return the new name of an old value."""
        return self._renamed.get(name, name)

    def replace_with(self, name: str, new: str) -> None:
        """Let readers of the old value ``name`` read ``new``."""
        self._renamed[name] = new

    def graph(self) -> Graph:
        """Return the new graph without nodes that nothing reads."""
        output = self.current(self.old.output)
        needed, kept = {output}, []
        for node in reversed(self._nodes.values()):
            if node.name in needed:
                needed.update(node.inputs)
                kept.append(node)
        return replace(self.old, nodes=tuple(kept[::-1]), output=output)


Rule = Callable[[Node, Editor], str | None]


def apply(graph: Graph, rule: Rule) -> Graph:
    """Return ``graph`` with ``rule`` applied to each node; None from the rule keeps the node."""
    editor = Editor(graph)
    for old in graph.nodes:
        editor.own = old.name
        node = replace(old, inputs=tuple(editor.current(name) for name in old.inputs))
        new = rule(node, editor)
        editor.replace_with(old.name, editor.keep(node) if new is None else new)
    return editor.graph()
