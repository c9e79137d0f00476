"""What to say when no plan fits: the app that fits nowhere, or the smallest set that conflicts."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations, islice

import numpy as np

from synergyc.diagnostics import Diagnostic, SynergyError
from synergyc.plan.instance import Instance
from synergyc.plan.necessary import covered, too_many
from synergyc.plan.selectors.base import Budget, first_that_fits, ranking
from synergyc.plan.selectors.search import Search

_CHECKED = 100
"""Candidates of an app that are looked at for the nearest one."""

_SUBSETS = 64
"""Sets of apps that are tried for the smallest one that conflicts."""

_LOOSEN_RATE = "loosen rate_hz, or add devices or faster links"


def never_fits(instance: Instance) -> SynergyError | None:
    """Return the error for an instance that breaks a condition which is quick to check; None if none is."""
    crowded = too_many(instance)
    if crowded is not None:
        return crowded
    for j in range(len(instance.tables)):
        if not covered(instance, j):
            possible = ranking(instance.scores(j, {}))[:_CHECKED]
            return _fits_nowhere(instance, j, possible) if possible else _limits_missed(instance, (j,))
    return None


def nothing_fits(instance: Instance, budget: Budget | None = None, *, proven: bool = True) -> SynergyError:
    """Return the error for an instance without a plan; ``proven``: not only none that was found in time."""
    for j in range(len(instance.tables)):
        possible = ranking(instance.scores(j, {}))
        if not possible:
            return _limits_missed(instance, (j,))
        if first_that_fits(instance, j, islice(possible, _CHECKED), {}) is None:
            return _fits_nowhere(instance, j, possible[:_CHECKED])
    return _conflict(instance, budget or Budget.of(10.0)) if proven else _not_in_time(instance)


def _fits_nowhere(instance: Instance, j: int, rows: Sequence[int]) -> SynergyError:
    """Return the error for the plan that comes nearest: the one with the least excess, then the best."""
    found = {row: instance.checks.reasons([instance.candidate(j, row)]) for row in rows}
    nearest = min(found, key=lambda row: _excess(found[row]))
    segments = "; ".join(str(segment) for segment in instance.candidate(j, nearest).segments)
    head = Diagnostic(
        "plan-fits-nowhere",
        f"none of {len(found)} plans fits; the nearest one ({segments}) breaks these limits:",
        hint="more or larger devices, narrower weights (quantize: bits), a smaller network",
    )
    return SynergyError((head, *found[nearest]))


def _conflict(instance: Instance, budget: Budget) -> SynergyError:
    """Return the error that names the smallest set of apps that cannot run together."""
    apps = _smallest_conflict(instance, budget)
    part = _part(instance, apps)
    best = [ranking(part.scores(j, {}))[0] for j in range(len(apps))]
    reasons = part.checks.reasons([part.candidate(j, row) for j, row in enumerate(best)])
    if not reasons:
        return _limits_missed(instance, apps)
    names = ", ".join(repr(instance.tables[j].model.app.name) for j in apps)
    swapped = _reasons_with_swap(part) if instance.problem.weight_swap else ()
    together = "together, nor where weights are loaded for each run" if swapped else "together"
    head = Diagnostic(
        "apps-conflict",
        f"apps {names} cannot run {together}; their best plans break these limits:",
        hint="add a device, forbid less, or leave one of them out",
    )
    return SynergyError((head, *dict.fromkeys((*reasons, *swapped))))


def _not_in_time(instance: Instance) -> SynergyError:
    """Return the error for apps of which each has a plan, where time ran out before all had one together."""
    names = ", ".join(repr(table.model.app.name) for table in instance.tables)
    head = Diagnostic(
        "no-plan-in-time",
        f"no plan was found in time with which apps {names} run together; there may be one",
        hint="pin layers, set split, or forbid devices, so that there is less to search; or add a device",
    )
    best = [ranking(instance.scores(j, {}))[0] for j in range(len(instance.tables))]
    return SynergyError((head, *instance.reasons_of(best)))


def _reasons_with_swap(part: Instance) -> tuple[Diagnostic, ...]:
    """Return what stands against the fastest plans in which all segments load their weights for each run."""
    chosen = []
    for j, table in enumerate(part.tables):
        swapping = np.array([bool(chain.swapped) and all(chain.swapped) for chain in table.chain_list])
        rows = np.flatnonzero(swapping[table.chain])
        if not len(rows):
            return ()
        chosen.append(int(rows[part.periods(j, {})[rows].argmin()]))
    reasons = part.checks.reasons([part.candidate(j, row) for j, row in enumerate(chosen)])
    return reasons or tuple(_slower(part, chosen))


def _slower(part: Instance, rows: Sequence[int]) -> Iterator[Diagnostic]:
    """Yield the apps that miss their rate where weights are loaded for each run."""
    for table, plan in zip(part.tables, part.plans(rows), strict=True):
        app, found_hz = table.model.app, plan.predicted.throughput_hz
        if app.wanted_hz is not None and found_hz < app.wanted_hz:
            yield Diagnostic(
                "rate-missed",
                f"app {app.name!r} with weights loaded for each run",
                app.location,
                need=f"{app.wanted_hz:g} runs/s",
                have=f"{found_hz:.1f} runs/s",
                hint="loosen rate_hz, or add a device",
            )


def _smallest_conflict(instance: Instance, budget: Budget) -> tuple[int, ...]:
    everyone = tuple(range(len(instance.tables)))
    subsets = (apps for size in range(2, len(everyone)) for apps in combinations(everyone, size))
    for apps in islice(subsets, _SUBSETS):
        search = Search(_part(instance, apps), budget)
        if math.isinf(search.run()) and search.rows is None:
            return apps
    return everyone


def _part(instance: Instance, apps: Sequence[int]) -> Instance:
    problem = replace(instance.problem, apps=tuple(instance.problem.apps[j] for j in apps))
    return replace(instance, problem=problem, tables=tuple(instance.tables[j] for j in apps))


def _limits_missed(instance: Instance, apps: Sequence[int]) -> SynergyError:
    """Return the error for apps that fit, but miss a rate, or empty a battery too soon."""
    found = [*_rates_missed(instance, apps), *_battery_missed(instance, apps)]
    if found:
        return SynergyError(found)
    names = ", ".join(repr(instance.tables[j].model.app.name) for j in apps)
    limits = "their wanted rates" if instance.problem.battery_h is None else "their rates and batteries' life"
    return SynergyError(
        Diagnostic(
            "rate-missed",
            f"no plan gives {names} {limits} together",
            instance.tables[apps[0]].model.app.location,
            hint=_LOOSEN_RATE,
        )
    )


def _rates_missed(instance: Instance, apps: Sequence[int]) -> Iterator[Diagnostic]:
    """Yield the apps that do not reach their rate even with the system to themselves."""
    for j in apps:
        app, period_us = instance.tables[j].model.app, instance.periods(j, {})
        if instance.missed(j, period_us).all():
            yield Diagnostic(
                "rate-missed",
                f"no plan gives app {app.name!r} the wanted rate",
                app.location,
                need=f"{app.wanted_hz:g} runs/s",
                have=f"{1e6 / float(period_us.min()):.1f} runs/s",
                hint=_LOOSEN_RATE,
            )


def _battery_missed(instance: Instance, apps: Sequence[int]) -> Iterator[Diagnostic]:
    """Yield that a battery is empty too soon, whichever plan the apps have on their own."""
    wanted_h = instance.problem.battery_h
    if wanted_h is None:
        return
    for j in apps:
        longest_h = float(instance.scorer.life_h(instance.figures(j, {})).max())
        if longest_h < wanted_h:
            app = instance.tables[j].model.app
            yield Diagnostic(
                "battery-missed",
                f"no plan of app {app.name!r} lets every battery last",
                app.location,
                need=f"{wanted_h:g} h",
                have=f"{longest_h:.1f} h",
                hint="loosen constraints.battery_h or rate_hz, or take a larger battery",
            )


def _excess(reasons: Sequence[Diagnostic]) -> tuple[float, int]:
    """Return the largest ratio of need to have, and the number of broken limits."""
    return max(_ratio(reason) for reason in reasons), len(reasons)


def _ratio(reason: Diagnostic) -> float:
    """Return need over have by the first number in each; infinite where there is no such pair."""
    numbers = [re.search(r"\d[\d,]*", text or "") for text in (reason.need, reason.have)]
    need, have = (int(found[0].replace(",", "")) if found else 0 for found in numbers)
    return need / have if need and have else math.inf
