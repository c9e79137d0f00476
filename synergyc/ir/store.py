"""Saving and loading graphs and networks: a safetensors file, structure as JSON in its metadata.

The format holds tensors and text only, so that reading a file never executes code, and two equal values
give the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import cattrs
import numpy as np
from cattrs.strategies import configure_tagged_union
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from synergyc.diagnostics import fail, file_location
from synergyc.ir.graph import Graph, Operator
from synergyc.ir.network import Network
from synergyc.ir.types import Array, frozen_array

_FORMAT = 1
_DAMAGE = (
    *(OSError, SafetensorError, KeyError, TypeError, ValueError, RecursionError),
    cattrs.BaseValidationError,
)
"""What reading a file raises that is missing, torn, or of another tool."""

Stored = TypeVar("Stored", Graph, Network)


def dump(value: Graph | Network) -> bytes:
    """Return the file content for a graph or network."""
    tensors: dict[str, Array] = {}

    def put(array: Array) -> str:
        key = f"t{len(tensors):04d}"
        tensors[key] = array
        return key

    structure = {
        "format": _FORMAT,
        "kind": type(value).__name__,
        "value": _converter(put, _no_arrays).unstructure(value, type(value)),
    }
    return bytes(save(tensors, metadata={"synergyc": json.dumps(structure, sort_keys=True)}))


def load(path: Path, kind: type[Stored]) -> Stored:
    """Read a graph or network from ``path``; raises SynergyError if it is missing or damaged."""
    try:
        with safe_open(path, framework="numpy") as file:
            structure = json.loads(file.metadata()["synergyc"])
            if structure["format"] != _FORMAT or structure["kind"] != kind.__name__:
                raise fail(
                    "stored-kind",
                    f"file must hold a {kind.__name__} of format {_FORMAT}, not"
                    f" a {structure['kind']} of format {structure['format']}",
                    location=file_location(path),
                )
            converter = _converter(_no_arrays, lambda key, _: frozen_array(file.get_tensor(key)))
            return converter.structure(structure["value"], kind)
    except _DAMAGE as error:
        raise fail(
            "stored-damaged",
            f"not a readable {kind.__name__} file: {error}",
            location=file_location(path),
            hint="write it again with the command that made it",
        ) from error


def _converter(put: Callable[[Any], Any], get: Callable[[Any, Any], Array]) -> cattrs.Converter:
    """Return a converter that stores arrays with ``put`` and fetches them with ``get``."""

    def is_array(hint: Any) -> bool:
        return getattr(hint, "__origin__", hint) is np.ndarray

    converter = cattrs.Converter()
    converter.register_unstructure_hook_func(is_array, put)
    converter.register_structure_hook_func(is_array, get)
    configure_tagged_union(Operator, converter, tag_name="operator")
    return converter


def _no_arrays(*_: object) -> Any:
    raise TypeError("this converter works in one direction only")
