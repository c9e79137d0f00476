"""Plans for when devices are away: for each set of devices that can still serve an app, the best one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import combinations

from synergyc.diagnostics import Diagnostic, SynergyError
from synergyc.ir.network import Network
from synergyc.plan.checks import Fits
from synergyc.plan.cost import weight_bytes
from synergyc.plan.problem import Objective, PlanApp, PlanLink, PlanProblem
from synergyc.plan.selector import choose_or_swap
from synergyc.plan.space import wants_replicas
from synergyc.plan.types import Plan, Segment

MOST_DEVICES_FOR_ALL_SETS = 5
"""With more devices only sets where one or two are away are planned."""

_BUDGET_S = 2.0
"""Time for one plan."""


@dataclass(frozen=True)
class Switch:
    """What one device has to load that the plan for all devices did not give it."""

    device: str
    segments: tuple[Segment, ...]
    weight_bytes: int
    load_ms: float


@dataclass(frozen=True)
class Alternative:
    """The plan for the devices ``present``.

    ``served`` are the apps that it runs, ``dropped`` those that it cannot: their sensor or actuator is away,
    or there is no room (``reasons``). Devices load what ``switches`` says at the same time, so that a change
    takes ``switch_ms`` and then the time of the first run.
    """

    present: tuple[str, ...]
    away: tuple[str, ...]
    plan: Plan
    served: tuple[str, ...]
    dropped: tuple[str, ...]
    reasons: tuple[Diagnostic, ...]
    switches: tuple[Switch, ...]
    value: float

    @property
    def switch_ms(self) -> float:
        """Time until every device has loaded its weights."""
        return max((switch.load_ms for switch in self.switches), default=0.0)


def alternatives(
    problem: PlanProblem, networks: Mapping[str, Network], fits: Fits, objective: Objective, chosen: Plan
) -> tuple[Alternative, ...]:
    """Return the best plan for each set of devices that can serve an app, most apps and devices first."""
    found = []
    for present in _sets(problem):
        alternative = _alternative(problem, networks, fits, objective, chosen, present)
        if alternative is not None:
            found.append(alternative)
    return tuple(sorted(found, key=lambda item: (-len(item.served), -len(item.present), item.present)))


def _sets(problem: PlanProblem) -> Iterator[tuple[str, ...]]:
    names = [device.name for device in problem.devices]
    fewest = 1 if len(names) <= MOST_DEVICES_FOR_ALL_SETS else len(names) - 2
    for count in range(len(names) - 1, fewest - 1, -1):
        yield from combinations(names, count)


def _alternative(
    problem: PlanProblem,
    networks: Mapping[str, Network],
    fits: Fits,
    objective: Objective,
    chosen: Plan,
    present: tuple[str, ...],
) -> Alternative | None:
    """Plan as many apps as fit; while they do not fit together that of the lowest priority is left out."""
    part = without(problem, present)
    reasons: tuple[Diagnostic, ...] = ()
    while part.apps:
        try:
            result = choose_or_swap(part, networks, fits, objective, time_budget_s=_BUDGET_S)
        except SynergyError as error:
            reasons = reasons or error.diagnostics
            # Of equal priority the last one in the app file.
            least = min(reversed(part.apps), key=lambda app: app.priority)
            part = replace(part, apps=tuple(app for app in part.apps if app is not least))
            continue
        served = tuple(app.name for app in part.apps)
        return Alternative(
            present=present,
            away=tuple(item.name for item in problem.devices if item.name not in present),
            plan=result.plan,
            served=served,
            dropped=tuple(app.name for app in problem.apps if app.name not in served),
            reasons=reasons,
            switches=tuple(_switches(problem, networks, chosen, result.plan, present)),
            value=result.value,
        )
    return None


def without(problem: PlanProblem, present: tuple[str, ...]) -> PlanProblem:
    """Return ``problem`` with the devices ``present`` only, and the apps that they can serve."""
    devices = tuple(device for device in problem.devices if device.name in present)
    links = []
    for link in problem.links:
        ends = tuple(end for end in link.ends if end in present)
        if len(ends) > 1:
            links.append(replace(link, ends=ends))
    part = replace(problem, devices=devices, links=tuple(links))
    return replace(part, apps=tuple(_loosened(app, present) for app in problem.apps if _can_serve(part, app)))


def _loosened(app: PlanApp, present: tuple[str, ...]) -> PlanApp:
    """Return ``app`` without what it asks of devices that are away; ``split`` and ``replicas`` are wishes."""
    pins = tuple(pin for pin in app.pins if pin.device in present)
    forbid = tuple(name for name in app.forbid if name in present)
    split = app.split if app.split is None or app.split <= len(present) - len(forbid) else None
    replicas = None if wants_replicas(app) else app.replicas
    return replace(app, pins=pins, forbid=forbid, split=split, replicas=replicas)


def _can_serve(problem: PlanProblem, app: PlanApp) -> bool:
    senses = [d.name for d in problem.devices if app.sensor in d.sensors and app.sense_on in (None, d.name)]
    shows = [
        d.name for d in problem.devices if app.actuator in d.actuators and app.interact_on in (None, d.name)
    ]
    return any(_joined(problem.links, sense, show) for sense in senses for show in shows)


def _joined(links: tuple[PlanLink, ...], one: str, other: str) -> bool:
    """Return whether a way of links leads from ``one`` to ``other``."""
    reached, before = {one}, set[str]()
    while reached != before:
        before = set(reached)
        reached |= {end for link in links if reached.intersection(link.ends) for end in link.ends}
    return other in reached


def _switches(
    problem: PlanProblem,
    networks: Mapping[str, Network],
    before: Plan,
    after: Plan,
    present: tuple[str, ...],
) -> Iterator[Switch]:
    """Yield what each device must load: one whose segments change is set up anew, with its first weights.

    Those of further residency sets are loaded when a run needs them.
    """
    for name in present:
        had = {(s.app, s.first, s.last) for s in before.segments_on(name)}
        segments = after.segments_on(name)
        if not segments or {(s.app, s.first, s.last) for s in segments} <= had:
            continue
        first = after.residency_sets(name)[0]
        size_bytes = sum(weight_bytes(networks[s.app].layers[s.first : s.last + 1]) for s in first)
        load_ms = size_bytes * problem.device(name).chip.cnn.timing.weight_byte_ns / 1e6
        yield Switch(name, segments, size_bytes, load_ms)
