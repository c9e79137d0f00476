"""What a node of torch's exported graph says: its shape, and where in the user's model it stands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synergyc.diagnostics import Diagnostic, Location
from synergyc.frontend.builder import BatchMixedError, UnsupportedOperatorError
from synergyc.ir.types import Origin, Shape

if TYPE_CHECKING:
    from torch import fx

_FRAME = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+)')
_LIBRARY_MODULES = "torch.nn.modules."


def operands_of(node: fx.Node) -> list[str]:
    """Return the names of the nodes that ``node`` reads."""
    return [used.name for used in node.all_input_nodes]


def is_random(node: fx.Node) -> bool:
    """Return whether an operator draws random numbers."""
    import torch

    return torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ())


def sizes_of(node: fx.Node) -> tuple[Any, ...]:
    """Return the sizes of what ``node`` computes, batch axis first; not numbers where data decides them."""
    value = node.meta["val"]
    return tuple(getattr(value[0] if isinstance(value, tuple | list) else value, "shape", ()))


def fixed_shape(node: fx.Node) -> Shape:
    """Return the shape of what ``node`` computes, without the batch axis; raises if it has none."""
    sizes = sizes_of(node)
    if not all(isinstance(size, int) for size in sizes):
        raise UnsupportedOperatorError("the shape of its result depends on the values of the input")
    if not sizes or sizes[0] != 1:
        raise BatchMixedError(f"its result of shape {sizes} mixes the images of a batch")
    if 0 in sizes:
        raise UnsupportedOperatorError(f"its result of shape {sizes} is empty")
    return sizes[1:]


def origin_of(node: fx.Node) -> Origin:
    """Return the dotted module name, with the operator's name where it is not a library module, and line."""
    path, kind = list((node.meta.get("nn_module_stack") or {"": ("", "")}).values())[-1]
    if not str(kind).startswith(_LIBRARY_MODULES):
        short = str(node.target).split(".")[1] if "." in str(node.target) else str(node.target)
        path = f"{path}.{short}" if path else short
    place = _place(node)
    return Origin(path, Path(place.file).name, place.line) if place else Origin(path)


def _place(node: fx.Node) -> Location | None:
    """Return the innermost line outside torch that led to the call."""
    import torch

    library = str(Path(torch.__file__).parent)
    frames = [
        Location(match["file"], int(match["line"]))
        for match in _FRAME.finditer(node.meta.get("stack_trace") or "")
        if not match["file"].startswith(library)
    ]
    return frames[-1] if frames else None


def refusal(node: fx.Node, error: UnsupportedOperatorError) -> Diagnostic:
    """Return why ``node`` is refused, with its layer and its line in the user's file."""
    return Diagnostic(
        "unsupported-operator",
        f"operator {node.target}: {error.message}",
        location=_place(node),
        layer=origin_of(node).module,
        hint=error.hint,
    )
