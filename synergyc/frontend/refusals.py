"""What is refused of a model's operators: all reasons at once, but none that another one brings about."""

from __future__ import annotations

from collections.abc import Sequence

from synergyc.diagnostics import Diagnostic
from synergyc.frontend.builder import BatchMixedError, UnsupportedOperatorError


class Refusals:
    """Collects reasons while a model is read operator by operator, in the order of its graph.

    Library modules such as attention put the batch axis elsewhere for a dozen operators: only the first of
    them is a reason. What reads its result is told of only where it is refused for something else.
    """

    def __init__(self) -> None:
        self._reasons: list[Diagnostic] = []
        self._mixed: set[str] = set()

    def add(
        self, reason: Diagnostic, error: UnsupportedOperatorError, reads: Sequence[str], writes: Sequence[str]
    ) -> None:
        """Take ``reason``, which ``error`` brought about, of an operator from ``reads`` to ``writes``."""
        if isinstance(error, BatchMixedError):
            if self._mixed.intersection(reads):
                return
            self._mixed.update(writes)
        self._reasons.append(reason)

    def follow(self, reads: Sequence[str], writes: Sequence[str]) -> None:
        """Note that an operator, refused or not, makes the values ``writes`` of ``reads``."""
        if self._mixed.intersection(reads):
            self._mixed.update(writes)

    def all(self) -> list[Diagnostic]:
        """Return the reasons, each once."""
        return list(dict.fromkeys(self._reasons))
