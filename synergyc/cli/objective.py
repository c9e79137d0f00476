"""The option ``--objective``: one goal, or several in order with commas between."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import click

if TYPE_CHECKING:
    from synergyc.plan.problem import Goal, Objective

_GOALS = ("throughput", "ratio", "latency", "energy", "battery")


def objective_option(_: click.Context, __: click.Parameter, value: str | None) -> Objective | None:
    """Return what the option says; raises BadParameter for what is no goal."""
    if value is None:
        return None
    goals = tuple(part.strip() for part in value.split(","))
    for goal in goals:
        if goal not in _GOALS:
            raise click.BadParameter(f"must be one of {', '.join(_GOALS)}, not {goal!r}")
    if len(set(goals)) < len(goals):
        raise click.BadParameter(f"must name each goal once, not {value!r}")
    return cast("Goal", goals[0]) if len(goals) == 1 else cast("tuple[Goal, ...]", goals)
