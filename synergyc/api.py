"""What the command line does with an app file, for systems that are made in Python."""

from __future__ import annotations

from pathlib import Path

from synergyc.config import System, check
from synergyc.diagnostics import SynergyError
from synergyc.manifest import Manifest
from synergyc.pipeline import build
from synergyc.plan.problem import Objective
from synergyc.plan.selector import PlanResult


def choose(system: System, objective: Objective | None = None, selector: str = "exact") -> PlanResult:
    """Return the best plan of ``system``; ``objective`` None: the system's own.

    Raises SynergyError with everything that is wrong with the system, or if no plan fits.
    """
    _refuse(system)
    options = build.BuildOptions(objective=objective, selector=selector)
    return build.plan_system(system, options, lambda _: None)[1]


def build_system(
    system: System, output: Path | str, *, objective: Objective | None = None, selector: str = "exact"
) -> Manifest:
    """Build ``system`` into the folder ``output``, as ``synergyc build`` does, and return the manifest."""
    _refuse(system)
    options = build.BuildOptions(objective=objective, selector=selector)
    return build.build_system(system, "", Path(output), options, lambda _: None)


def _refuse(system: System) -> None:
    problems = check(system)
    if problems:
        raise SynergyError(problems)
