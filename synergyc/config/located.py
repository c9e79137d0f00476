"""Errors of the schema as diagnostics that point into the user's file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from synergyc.config.marks import KeyPath, Marks, describe, place_in_file
from synergyc.config.schema import AppFile
from synergyc.diagnostics import Diagnostic, did_you_mean

_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a table of keys",
    "model_type": "a table of keys",
    "literal_error": "{expected}",
    "wrong_type": "{expected}",
    "greater_than": "more than {gt:g}",
    "greater_than_equal": "at least {ge}",
}
_PATTERNS = {
    "python": "'file.py:Class'",
    "layers": "a layer such as 3 or a range such as 0-3",
    "[key]": "at most 32 letters, digits and underscores, with a letter first",
}
"""What a pattern means, by the last key of its place."""


def schema_diagnostics(error: ValidationError, marks: Marks) -> tuple[Diagnostic, ...]:
    """Return one diagnostic for each mistake; a misspelt key does not count as a missing one as well."""
    details = error.errors(include_url=False)
    unknown = [_unknown_key(item, marks) for item in details if item["type"] == "extra_forbidden"]
    meant = {path for path, _ in unknown}
    found = [diagnostic for _, diagnostic in unknown]
    for item in details:
        if item["type"] == "missing" and item["loc"] not in meant:
            found.append(_missing_key(item, marks))
        elif item["type"] not in {"missing", "extra_forbidden"}:
            found.append(_wrong_value(item, marks))
    return tuple(sorted(found, key=place_in_file))


def _unknown_key(item: ErrorDetails, marks: Marks) -> tuple[KeyPath, Diagnostic]:
    """Return the path that was probably meant, and the diagnostic."""
    *table, key = item["loc"]
    hint = did_you_mean(str(key), _known_keys(tuple(table)))
    meant = hint.split("'")[1] if hint and hint.startswith("did you mean") else ""
    message = f"{_dotted(marks.resolve(tuple(table)))} has no key {key!r}"
    place = marks.locate_key(*item["loc"])
    return (*table, meant), Diagnostic("schema-unknown-key", message, place, hint=hint)


def _missing_key(item: ErrorDetails, marks: Marks) -> Diagnostic:
    *table, key = item["loc"]
    path = marks.resolve(tuple(table))
    return Diagnostic(
        "schema-missing-key", f"{_dotted(path)} must have the key {key!r}", marks.locate_key(*path)
    )


def _wrong_value(item: ErrorDetails, marks: Marks) -> Diagnostic:
    path = marks.resolve(item["loc"])
    is_key = item["loc"][-1] == "[key]"
    shown = describe(item["input"])
    if item["type"] in {"too_short", "too_long"}:
        shown = str(item["ctx"]["actual_length"])
    message = f"{'name' if is_key else _dotted(path)} must be {_expected(item)}, not {shown}"
    place = marks.locate_key(*path) if is_key else marks.locate(*path)
    return Diagnostic("schema-value", message, place)


def _expected(item: ErrorDetails) -> str:
    kind, limits = item["type"], item.get("ctx", {})
    if kind in _EXPECTED:
        return _EXPECTED[kind].format(**limits)
    if kind == "string_pattern_mismatch":
        steps = [step for step in item["loc"] if not str(step).startswith("<")]
        return _PATTERNS[str(steps[-1])]
    if kind == "string_too_short":
        return "text that is not empty"
    if kind in {"too_short", "too_long"}:
        limit = (
            f"at least {limits['min_length']}" if kind == "too_short" else f"at most {limits['max_length']}"
        )
        return f"{'a list' if limits['field_type'] == 'List' else 'a table'} of {limit}"
    return item["msg"].removeprefix("Input should be ")


def _known_keys(table: KeyPath) -> list[str]:
    """Return the keys that the schema has at ``table``, a path with the tags of alternatives."""
    models: list[type[BaseModel]] = [AppFile]
    for step in table:
        if isinstance(step, str) and step.startswith("<"):
            models = [model for model in models if step[1:-1] in model.model_fields]
        else:
            models = [inner for model in models for inner in _step_into(model, step)] or models
    return [name for model in models for name in model.model_fields]


def _step_into(model: type[BaseModel], step: str | int) -> Iterator[type[BaseModel]]:
    if isinstance(step, str) and step in model.model_fields:
        yield from _models(model.model_fields[step].annotation)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the schema classes inside an annotation, such as ``list[LinkTable]``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)


def _dotted(path: KeyPath) -> str:
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}"
    return text.removeprefix(".") or "the file"
