"""``exact`` against ``exhaustive`` and all others on random small instances: ``python -m benchmarks.exact``.

The tests compare 120 of them; this compares 500, or as many as asked for. Exit code 1 if any differs.
"""

from __future__ import annotations

import json
import math
import sys

import click

from synergyc.diagnostics import SynergyError
from synergyc.plan.instance import Instance, make_instance
from synergyc.plan.selectors import BUILT_IN, Budget, Selection, find_selector
from tests.plan.instances import random_case


def selection(instance: Instance, name: str) -> Selection | None:
    """Return what a selector chooses, None if it finds nothing that fits."""
    try:
        return find_selector(name)(instance, Budget.of(60.0))
    except SynergyError:
        return None


def problem_of(seed: int) -> str | None:
    """Return what is wrong with ``exact`` on one instance; None: nothing, or the instance has no plan."""
    case = random_case(seed)
    try:
        instance = make_instance(case.problem, case.networks, case.fits, case.objective)
    except SynergyError:
        return None
    truth, found = selection(instance, "exhaustive"), selection(instance, "exact")
    if truth is None or found is None:
        return None if truth is found else "only one of exact and exhaustive has a plan"
    best = instance.score(found.rows)[0]
    if not math.isclose(best, instance.score(truth.rows)[0], rel_tol=1e-8) or not found.optimal:
        return "exact is not exhaustive"
    for name in BUILT_IN:
        other = selection(instance, name) if name not in ("exact", "exhaustive") else None
        if other is not None and instance.score(other.rows) < instance.score(found.rows):
            return f"{name} is better than exact"
    return None


@click.command()
@click.option("--count", default=500, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def main(count: int, as_json: bool) -> None:
    """Compare selectors."""
    problems = {seed: problem for seed in range(count) if (problem := problem_of(seed))}
    document = {"instances": count, "problems": problems}
    click.echo(
        json.dumps(document, indent=2) if as_json else f"{count} instances, wrong: {problems or 'none'}"
    )
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
