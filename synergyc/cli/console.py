"""Where tables are printed: as wide as the terminal, or wide enough that nothing is cut."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

_WIDTH = 150
"""Columns in pipes and files, which have no width of their own."""


def table_console(*, stderr: bool = False) -> Console:
    """Return a console for tables on standard output or standard error; COLUMNS sets its width."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else _WIDTH
    return Console(stderr=stderr, width=width)
