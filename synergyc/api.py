"""What the command line does with an app file, for systems that are made in Python."""

from __future__ import annotations

from pathlib import Path

from synergyc.config import System, check
from synergyc.diagnostics import SynergyError
from synergyc.manifest import Manifest
from synergyc.pipeline import build, run
from synergyc.plan.problem import Objective
from synergyc.plan.selector import PlanResult
from synergyc.report.outcome import RunOutcome


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


def run_build(folder: Path | str, runs: int = 100) -> RunOutcome:
    """Run the build in ``folder`` on emulated devices, as ``synergyc run`` does, and return what came of it.

    ``ok`` of the result: every one of the ``runs`` of each app was right, bit by bit. Raises SynergyError if
    the build is damaged, or devices fault or hang.
    """
    return run.run(Path(folder), run.RunOptions(runs))


def _refuse(system: System) -> None:
    problems = check(system)
    if problems:
        raise SynergyError(problems)
