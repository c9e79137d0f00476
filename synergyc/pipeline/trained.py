"""Integers that training made, as a file: written by ``synergyc train``, read where an app names it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from synergyc.diagnostics import fail, file_location
from synergyc.ir import store
from synergyc.ir.graph import Convolution, Graph, Linear, Node
from synergyc.ir.network import Network
from synergyc.ir.types import describe_shape


def read_trained(path: Path, graph: Graph) -> Graph:
    """Return the integer graph in ``path``; raises SynergyError unless it is of the model ``graph``."""
    integers = store.load(path, Graph)
    place = file_location(path)
    hint = "train it again: synergyc train"
    mine, found = [_form(node) for node in graph], [_form(node) for node in integers]
    for node, need, have in zip(graph, mine, found, strict=False):
        if need != have:
            raise fail(
                "trained-model",
                "trained integers are of another model",
                location=place,
                layer=node.origin.module,
                need=need,
                have=have,
                hint=hint,
            )
    if len(mine) != len(found) or integers.input != graph.input or not integers.fraction_bits:
        raise fail("trained-model", "trained integers are of another model", location=place, hint=hint)
    return replace(integers, name=graph.name)


def write_stored(value: Graph | Network, path: Path) -> None:
    """Write a graph or network as safetensors; raises SynergyError if that is not possible."""
    try:
        path.write_bytes(store.dump(value))
    except OSError as error:
        raise fail(
            "output", f"file cannot be written: {error.strerror}", location=file_location(path)
        ) from error


def _form(node: Node) -> str:
    """Return what quantization does not change: name, operands, operator and its shapes."""
    operator = node.operator
    what = str(operator)
    if isinstance(operator, Convolution | Linear):
        what = f"weights {describe_shape(operator.weight.shape)}"
    return f"{node.name} = {type(operator).__name__.lower()}, {what} ({', '.join(node.inputs)})"
