"""Diagnostics: what is wrong, where, which limit, and what to do about it.

Every stage reports wrong input by raising :class:`SynergyError` with one or more :class:`Diagnostic`
values. The command line renders them; nothing else prints.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class Location:
    """A place in the user's own files: ``line`` and ``column`` count from 1, 0 means unknown."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        parts = [self.file]
        if self.line:
            parts.append(str(self.line))
            if self.column:
                parts.append(str(self.column))
        return ":".join(parts)


@dataclass(frozen=True)
class Diagnostic:
    """One problem in the user's input.

    ``rule`` is a stable kebab-case identifier. ``layer`` is the name of a layer or module in the user's
    model. ``need`` and ``have`` are the number asked for and the number allowed, with their unit.
    """

    rule: str
    message: str
    location: Location | None = None
    layer: str | None = None
    need: str | None = None
    have: str | None = None
    hint: str | None = None

    def render(self, severity: Literal["error", "warning"] = "error") -> str:
        """Return the text form: place, message, then need/have and hint on lines of their own."""
        place = f"{self.location}: " if self.location else ""
        layer = f"layer {self.layer!r}: " if self.layer else ""
        lines = [f"{place}{severity}: {layer}{self.message} [{self.rule}]"]
        if self.need is not None or self.have is not None:
            lines.append(f"  need: {self.need or '-'}  have: {self.have or '-'}")
        if self.hint:
            lines.append(f"  hint: {self.hint}")
        return "\n".join(lines)

    def to_json(self) -> dict[str, object]:
        """Return a JSON-ready dictionary without the fields that are not set."""
        return {key: value for key, value in asdict(self).items() if value is not None}


class SynergyError(Exception):
    """Wrong input or an environment that cannot do the job; carries at least one diagnostic."""

    def __init__(self, diagnostics: Diagnostic | Iterable[Diagnostic]) -> None:
        items = (diagnostics,) if isinstance(diagnostics, Diagnostic) else tuple(diagnostics)
        if not items:
            raise ValueError("SynergyError must carry at least one diagnostic")
        self.diagnostics: tuple[Diagnostic, ...] = items
        super().__init__("\n".join(item.render() for item in items))


def fail(
    rule: str,
    message: str,
    *,
    location: Location | None = None,
    layer: str | None = None,
    need: str | None = None,
    have: str | None = None,
    hint: str | None = None,
) -> SynergyError:
    """Return the error for a single diagnostic: ``raise fail("rule", "message", ...)``."""
    return SynergyError(Diagnostic(rule, message, location, layer, need, have, hint))


def file_location(path: Path | str, line: int = 0, column: int = 0) -> Location:
    """Return a location whose file is shown as the user wrote it."""
    return Location(str(path), line, column)


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """Return a hint that names the nearest known word, or all known words when none is near."""
    choices = sorted(known)
    near = difflib.get_close_matches(word, choices, n=1, cutoff=0.5)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"known: {', '.join(choices)}" if choices else None
