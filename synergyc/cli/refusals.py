"""How diagnostics are shown: one by one, or as one table where several layers of a model are refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from synergyc.cli.console import table_console

if TYPE_CHECKING:
    from synergyc.diagnostics import Diagnostic


def show(diagnostics: Sequence[Diagnostic]) -> None:
    """Print diagnostics to standard error, with their number where there are several."""
    layered = [item for item in diagnostics if item.layer]
    if len(layered) > 1:
        _table(layered)
    for item in diagnostics:
        if len(layered) < 2 or not item.layer:
            click.echo(item.render(), err=True)
    if len(diagnostics) > 1:
        click.echo(f"{len(diagnostics)} errors", err=True)


def _table(diagnostics: Sequence[Diagnostic]) -> None:
    """Print one row for each reason, then each hint once."""
    from rich.markup import escape
    from rich.table import Table

    table = Table("layer", "line", "error", "need", "have", title="not possible on this chip")
    for item in diagnostics:
        place = str(item.location or "")
        reason = escape(f"{item.message} [{item.rule}]")
        table.add_row(escape(item.layer or ""), place, reason, item.need or "", item.have or "")
    table_console(stderr=True).print(table)
    for hint in dict.fromkeys(item.hint for item in diagnostics if item.hint):
        rules = dict.fromkeys(item.rule for item in diagnostics if item.hint == hint)
        click.echo(f"  hint ({', '.join(rules)}): {hint}", err=True)
