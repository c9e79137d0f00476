"""``exact`` against ``exhaustive`` and all others on random small instances: ``python -m benchmarks.exact``.

Every fourth one has apps that may need chains of four or five devices. Of every second one ``exact`` is given
tables with the shortest chains only, and has to build the others. The tests compare 120 of them and some of
long chains; this compares 500, or as many as asked for. Exit code 1 if any differs.
"""

from __future__ import annotations

import json
import math
import sys
from functools import partial
from itertools import count

import click

from synergyc.diagnostics import SynergyError
from synergyc.plan.instance import Instance, make_instance
from synergyc.plan.selectors import BUILT_IN, Budget, Selection, find_selector
from synergyc.plan.table import MAX_CANDIDATES
from tests.plan.instances import RandomCase, long_case, random_case

MOST_PLANS = 10_000
"""Long cases with more plans are drawn again: ``exhaustive`` scores every one."""


def selection(instance: Instance, name: str) -> Selection | None:
    """Return what a selector chooses, None if it finds nothing that fits."""
    try:
        return find_selector(name)(instance, Budget.of(60.0))
    except SynergyError:
        return None


def case_of(seed: int) -> RandomCase:
    """Return a case, the same for the same seed."""
    if seed % 4:
        return random_case(seed)
    draws = (long_case(seed + draw * 10_000) for draw in count())
    return next(case for case in draws if (found := instance_of(case)) is None or found.size <= MOST_PLANS)


def instance_of(case: RandomCase, max_candidates: int = MAX_CANDIDATES) -> Instance | None:
    """Return the question with its tables; None where an app has no candidate."""
    try:
        return make_instance(case.problem, case.networks, case.fits, case.objective, max_candidates)
    except SynergyError:
        return None


def problem_of(seed: int) -> str | None:
    """Return what is wrong with ``exact`` on one instance; None: nothing, or the instance has no plan."""
    case = case_of(seed)
    instance, given = instance_of(case), instance_of(case, MAX_CANDIDATES if seed % 2 else 1)
    if instance is None or given is None:
        return None if instance is given else "an app has candidates of some lengths only"
    truth, found = selection(instance, "exhaustive"), selection(given, "exact")
    if truth is None or found is None or found.grown is None:
        return None if truth is found else "only one of exact and exhaustive has a plan"
    best, wanted = found.grown.score(found.rows), instance.score(truth.rows)
    if not found.optimal or not all(map(partial(math.isclose, rel_tol=1e-8), best, wanted)):
        return "exact is not exhaustive"
    for name in BUILT_IN:
        other = selection(given, name) if name not in ("exact", "exhaustive") else None
        if other is not None and given.score(other.rows) < best:
            return f"{name} is better than exact"
    return None


@click.command()
@click.option("--count", "number", default=500, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def main(number: int, as_json: bool) -> None:
    """Compare selectors."""
    problems = {seed: problem for seed in range(number) if (problem := problem_of(seed))}
    document = {"instances": number, "problems": problems}
    click.echo(
        json.dumps(document, indent=2) if as_json else f"{number} instances, wrong: {problems or 'none'}"
    )
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
