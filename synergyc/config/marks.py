"""Reading YAML into plain values together with the place of every key and value in the file."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from synergyc.diagnostics import Diagnostic, Location, SynergyError, fail, file_location

Step = str | int
KeyPath = tuple[Step, ...]
"""Keys and list positions from the top of the file, such as ``("links", 0, "medium")``."""

_TAG = "tag:yaml.org,2002:"
_TYPED = {f"{_TAG}{kind}" for kind in ("int", "float", "bool", "null")}
_TEXT = {f"{_TAG}{kind}" for kind in ("str", "timestamp")}
_MAX_NODES = 10_000
"""Aliases can make a short file expand without end; no app file comes near this."""


@dataclass(frozen=True)
class Marks:
    """Where keys and values stand in a file; empty for a system that was made in Python."""

    file: str = ""
    keys: Mapping[KeyPath, Location] = field(default_factory=dict)
    values: Mapping[KeyPath, Location] = field(default_factory=dict)

    def resolve(self, path: KeyPath) -> KeyPath:
        """Return ``path`` without the steps that the file does not have.

        Such steps come from a missing key, from a one-element list that the file writes without its
        brackets, or name the alternative of a union.
        """
        found: KeyPath = ()
        for step in path:
            if (*found, step) in self.values:
                found = (*found, step)
        return found

    def locate(self, *path: Step) -> Location | None:
        """Return the place of the value at ``path``, or of what is nearest above it."""
        return self.values.get(self.resolve(path))

    def locate_key(self, *path: Step) -> Location | None:
        """Return the place of the key that ``path`` ends with, or of what is nearest above it."""
        found = self.resolve(path)
        return self.keys.get(found) or self.values.get(found)


def place_in_file(diagnostic: Diagnostic) -> tuple[int, int]:
    """Return the sort key that puts diagnostics in the order of the file."""
    location = diagnostic.location
    return (location.line, location.column) if location else (0, 0)


def read_yaml(path: Path) -> tuple[dict[str, object], Marks]:
    """Return the table in ``path`` and the places in it.

    Raises SynergyError if the file cannot be read, is not YAML, or is not a table: duplicate and
    non-text keys are all reported together.
    """
    reader = _Reader(str(path))
    node = _compose(path, reader.file)
    if node is None:
        raise fail("yaml-empty", "file must describe a system, not be empty", location=file_location(path))
    try:
        value = reader.value(node, (), ())
    except RecursionError:
        raise _too_deep(reader.file) from None
    if reader.problems:
        raise SynergyError(reader.problems)
    if not isinstance(value, dict):
        raise fail(
            "yaml-table",
            f"file must be a table of keys, not {describe(value)}",
            location=reader.place(node),
            hint="start with: synergy: 1",
        )
    return value, Marks(reader.file, reader.keys, reader.values)


def describe(value: object) -> str:
    """Return a short form of a value from YAML for a message."""
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return _shorten(f"a table of {', '.join(value) or 'nothing'}")
    if isinstance(value, list):
        return "a list"
    return _shorten(repr(value))


def _shorten(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:56]} ..."


def _compose(path: Path, file: str) -> Node | None:
    text = _read_text(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a reused anchor is legal YAML
            node: Node | None = YAML(typ="safe", pure=True).compose(text)
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        column = error.position - text.rfind("\n", 0, error.position)
        raise fail(
            "yaml-syntax", "file must not have control characters", location=Location(file, line, column)
        ) from error
    except MarkedYAMLError as error:
        raise SynergyError(_syntax(error, file)) from error
    except RecursionError:
        raise _too_deep(file) from None
    except (YAMLError, ValueError) as error:
        raise fail("yaml-syntax", f"not YAML: {error}", location=Location(file)) from error
    return node


def _read_text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise fail("yaml-encoding", "file must be UTF-8 text", location=Location(str(path), line)) from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or str(error)
        raise fail("app-file", f"cannot read the app file: {reason}", location=file_location(path)) from error


def _syntax(error: MarkedYAMLError, file: str) -> Diagnostic:
    mark = error.problem_mark or error.context_mark
    problem = " ".join(str(error.problem or error.context or "not YAML").split())
    hint = None
    if "\\t" in problem or "\t" in str(error.problem):
        problem, hint = "a tab cannot indent YAML", "indent with spaces"
    elif "could not find expected ':'" in problem:
        hint = "a key is followed by a colon and a space"
    elif "single document" in str(error.context):
        problem, hint = "file must hold one document", "remove the line ---"
    location = Location(file, mark.line + 1, mark.column + 1) if mark else Location(file)
    return Diagnostic("yaml-syntax", problem, location, hint=hint)


def _too_deep(file: str) -> SynergyError:
    return fail("yaml-depth", "file must not nest lists and tables that deeply", location=Location(file))


@dataclass
class _Reader:
    """Turns composed nodes into values and collects their places and the problems on the way."""

    file: str
    keys: dict[KeyPath, Location] = field(default_factory=dict)
    values: dict[KeyPath, Location] = field(default_factory=dict)
    problems: list[Diagnostic] = field(default_factory=list)

    def place(self, node: Node) -> Location:
        return Location(self.file, node.start_mark.line + 1, node.start_mark.column + 1)

    def value(self, node: Node, path: KeyPath, above: tuple[Node, ...]) -> object:
        self.values[path] = self.place(node)
        if any(node is ancestor for ancestor in above):
            self._report("yaml-alias", "an alias must not stand inside its own anchor", node)
            return None
        if len(self.values) > _MAX_NODES:
            raise fail(
                "yaml-size",
                "file must not expand to so many values",
                location=self.place(node),
                need=f"more than {_MAX_NODES} values",
                have=f"{_MAX_NODES} values",
                hint="aliases multiply what they stand for",
            )
        if isinstance(node, MappingNode):
            return self._table(node, path, (*above, node))
        if isinstance(node, SequenceNode):
            return [self.value(item, (*path, i), (*above, node)) for i, item in enumerate(node.value)]
        return self._scalar(node)

    def _table(self, node: MappingNode, path: KeyPath, above: tuple[Node, ...]) -> dict[str, object]:
        table: dict[str, object] = {}
        for key_node, value_node in node.value:
            key = key_node.value
            if not isinstance(key_node, ScalarNode) or str(key_node.ctag) not in _TEXT:
                shown = repr(key) if isinstance(key_node, ScalarNode) else "a list or table"
                self._report("yaml-key", f"key must be text, not {shown}", key_node)
                continue
            if key in table:
                first = self.keys[(*path, key)]
                self._report("yaml-duplicate-key", f"key {key!r} stands twice", key_node, f"first: {first}")
                continue
            self.keys[(*path, key)] = self.place(key_node)
            table[key] = self.value(value_node, (*path, key), above)
        return table

    def _scalar(self, node: Node) -> object:
        tag = str(node.ctag)
        if tag in _TEXT:
            return str(node.value)
        if tag in _TYPED:
            constructor = YAML(typ="safe", pure=True).constructor
            try:
                value: object = constructor.construct_object(node)
            except ValueError:  # such as an integer of 5,000 digits
                self._report("yaml-number", f"not a number: {describe(node.value)}", node)
                return None
            return value
        self._report("yaml-tag", f"tag {tag!r} has no meaning here", node)
        return None

    def _report(self, rule: str, message: str, node: Node, hint: str | None = None) -> None:
        self.problems.append(Diagnostic(rule, message, self.place(node), hint=hint))
