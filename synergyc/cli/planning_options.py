"""The options ``--objective`` (one goal, or several in order with commas between) and ``--selector``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

if TYPE_CHECKING:
    from synergyc.plan.problem import Goal, Objective

Command = TypeVar("Command", bound=Callable[..., Any])

_GOALS = ("throughput", "ratio", "latency", "energy", "battery")


def planning_options(command: Command) -> Command:
    """Add the options that say how a plan is chosen."""
    selector = click.option(
        "--selector",
        default="exact",
        show_default=True,
        help="How the plan is chosen: exact, progressive, exhaustive, a baseline, or one of another package.",
    )
    objective = click.option(
        "--objective",
        callback=_objective,
        help="What the plan is best at: throughput, ratio, latency, energy or battery, or several in order "
        "with commas between (default: what the app file says).",
    )
    return objective(selector(command))


def _objective(_: click.Context, __: click.Parameter, value: str | None) -> Objective | None:
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
