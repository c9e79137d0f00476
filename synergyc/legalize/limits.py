"""A limit of the chip as a rule: what it says, how it is counted, how to check it, what to do about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from inspect import getdoc
from typing import Generic, TypeVar

from synergyc.targets import Cnn

Subject_contra = TypeVar("Subject_contra", contravariant=True)


@dataclass(frozen=True)
class Finding:
    """How a rule is broken; ``layer`` names the layer where the rule is about a whole network."""

    message: str
    need: str
    have: str
    layer: str | None = None


@dataclass(frozen=True)
class Rule(Generic[Subject_contra]):
    """One limit.

    Attributes:
        name: stable identifier in diagnostics, kebab-case.
        statement: the rule in one sentence.
        formula: what is counted against the limit.
        ways: what a user can do about it, the best first.
        check: returns how a node, layer or network breaks it, None if it does not.
    """

    name: str
    statement: str
    formula: str
    ways: tuple[str, ...]
    check: Callable[[Subject_contra, Cnn], Finding | None]

    def __call__(self, subject: Subject_contra, cnn: Cnn) -> Finding | None:
        """Return how ``subject`` breaks the rule, None if it does not."""
        return self.check(subject, cnn)

    @property
    def hint(self) -> str:
        """The ways out, in one line."""
        return "; or ".join(self.ways)


_Check = Callable[[Subject_contra, Cnn], Finding | None]


def limit(formula: str, *ways: str) -> Callable[[_Check[Subject_contra]], Rule[Subject_contra]]:
    """Make a rule of a function whose name and docstring are the rule's name and statement."""

    def make(check: _Check[Subject_contra]) -> Rule[Subject_contra]:
        statement = " ".join((getdoc(check) or "").split())
        return Rule(check.__name__.replace("_", "-"), statement, formula, ways, check)

    return make


def over(what: str, need: int, have: int) -> Finding | None:
    """Return the finding for more of something than allowed, None if there is not more."""
    return Finding(f"too many {what}", str(need), f"at most {have}") if need > have else None
