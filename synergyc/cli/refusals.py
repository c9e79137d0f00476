"""How diagnostics are shown: one by one, or as one table where several layers of a model are refused."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import click

from synergyc.cli.console import table_console

if TYPE_CHECKING:
    from synergyc.diagnostics import Diagnostic


_NAMED = 4
"""Layers that are named beside a hint."""


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


def warn(diagnostics: Iterable[Diagnostic]) -> None:
    """Print what is wrong although the job was done to standard error."""
    for item in diagnostics:
        click.echo(item.render("warning"), err=True)


def _table(diagnostics: Sequence[Diagnostic]) -> None:
    """Print one row for each reason, then each hint once."""
    from rich.markup import escape
    from rich.table import Table

    numbers = any(item.need or item.have for item in diagnostics)
    table = Table("layer", "line", "error", title="not possible on this chip")
    for heading in ("need", "have") if numbers else ():
        table.add_column(heading)
    for item in diagnostics:
        cells = [item.layer or "", str(item.location or ""), f"{item.message} [{item.rule}]"]
        cells += [item.need or "", item.have or ""] if numbers else []
        table.add_row(*map(escape, cells))
    table_console(stderr=True).print(table)
    for hint in dict.fromkeys(item.hint for item in diagnostics if item.hint):
        layers = list(dict.fromkeys(item.layer or "" for item in diagnostics if item.hint == hint))
        more = f" and {len(layers) - _NAMED} more" if len(layers) > _NAMED else ""
        click.echo(f"  hint ({', '.join(layers[:_NAMED])}{more}): {hint}", err=True)
