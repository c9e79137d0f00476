"""An ONNX node as its reader sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from synergyc.frontend.builder import BatchMixedError, Call, UnsupportedOperatorError, Value
from synergyc.ir.types import Array, Shape


@dataclass(frozen=True)
class OnnxCall:
    """A node: its inputs (values, arrays, or None where left out), attributes, and what it adds to."""

    inputs: tuple[Value | Array | None, ...]
    attributes: Mapping[str, Any]
    call: Call
    outputs: tuple[Shape, ...]
    opset: int

    def source(self, index: int = 0) -> Value:
        """Return an input that must be computed from the model's."""
        found = self.inputs[index] if index < len(self.inputs) else None
        if not isinstance(found, Value):
            raise UnsupportedOperatorError(f"its input {index} must be computed from the model's input")
        return found

    def optional(self, index: int) -> Array | None:
        """Return a constant input, None where it is left out."""
        found = self.inputs[index] if index < len(self.inputs) else None
        if isinstance(found, Value):
            raise UnsupportedOperatorError(f"its input {index} must be constant")
        return found

    def constant(self, index: int) -> Array:
        """Return a constant input."""
        found = self.optional(index)
        if found is None:
            raise UnsupportedOperatorError(f"its input {index} must be given")
        return found

    @property
    def operands(self) -> tuple[Value | Array, ...]:
        """All inputs, none of which may be left out."""
        found = tuple(item for item in self.inputs if item is not None)
        if len(found) != len(self.inputs):
            raise UnsupportedOperatorError("its operands must all be given")
        return found

    def setting(self, name: str, index: int, default: Any = None) -> Any:
        """Return what is an attribute in old opsets and an input in new ones, as a list or number."""
        if name in self.attributes:
            return self.attributes[name]
        found = self.optional(index)
        return default if found is None else found.tolist()

    def axis(self, number: int, rank: int) -> int:
        """Return an axis counted without the batch axis."""
        positive = number + rank if number < 0 else number
        if positive == 0:
            raise BatchMixedError
        return positive - 1
