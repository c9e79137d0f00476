"""Types of what target files hold."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict


class TargetData(BaseModel):
    """A part of a target file: frozen, without unknown keys, and without conversions but lists to tuples."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def as_tuple(value: object) -> object:
    """Return a list as a tuple, anything else as it is."""
    return tuple(value) if isinstance(value, list) else value


Integers = Annotated[tuple[int, ...], BeforeValidator(as_tuple)]
Names = Annotated[tuple[str, ...], BeforeValidator(as_tuple)]
NamedBit = Annotated[tuple[str, int], BeforeValidator(as_tuple)]
