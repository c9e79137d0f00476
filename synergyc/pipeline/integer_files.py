"""Integers as files: graphs that training made and apps name, networks, and the vendor's form of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from synergyc.diagnostics import SynergyError, fail, file_location
from synergyc.ir import store
from synergyc.ir.graph import Convolution, Graph, Linear, Node
from synergyc.ir.network import Network
from synergyc.ir.types import describe_shape
from synergyc.synth.izer.inputs import DESCRIPTION_HEAD, checkpoint_bytes, network_yaml
from synergyc.synth.placement import place
from synergyc.targets import Chip


def read_trained(path: Path, graph: Graph) -> Graph:
    """Return the integer graph in ``path``; raises SynergyError unless it is of the model ``graph``."""
    place = file_location(path)
    hint = "train it again: synergyc train"
    try:
        integers = store.load(path, Graph)
    except SynergyError as error:
        if error.diagnostics[0].rule != "stored-kind":
            raise
        message = "file holds no trained integers: `synergyc quantize` writes layers of a chip"
        raise fail(
            "trained-model", message, location=place, hint="name what `synergyc train` wrote"
        ) from error
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
    _write(path, store.dump(value))


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise fail(
            "output", f"file cannot be written: {error.strerror}", location=file_location(path)
        ) from error


def vendor_files(path: Path) -> tuple[Path, Path]:
    """Return where checkpoint and YAML for the vendor's tool stand: beside ``path``, with its stem."""
    return path.with_suffix(".pth.tar"), path.with_suffix(".yaml")


def write_vendor_files(network: Network, chip: Chip, path: Path) -> tuple[Path, Path]:
    """Write ``network``, placed on ``chip``, as the vendor's tool reads it; return checkpoint and YAML.

    They stand beside ``path`` (``vendor_files``). Raises SynergyError if the network does not fit on the
    chip, for the YAML says where everything lies, or if a YAML file of another kind has that name.
    """
    placed = place(network, chip)
    files = vendor_files(path)
    if files[1].exists() and not files[1].read_bytes().startswith(DESCRIPTION_HEAD.encode()):
        raise fail("output", f"{files[1]} is there already and was not written by synergyc")
    contents = checkpoint_bytes(placed), network_yaml(placed).encode()
    for file, content in zip(files, contents, strict=True):
        _write(file, content)
    return files


def _form(node: Node) -> str:
    """Return what quantization does not change: name, operands, operator and its shapes."""
    operator = node.operator
    what = str(operator)
    if isinstance(operator, Convolution | Linear):
        what = f"weights {describe_shape(operator.weight.shape)}"
    return f"{node.name} = {type(operator).__name__.lower()}, {what} ({', '.join(node.inputs)})"
