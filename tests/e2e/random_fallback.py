"""Random systems with plans for those who are left: a device loses its power and gets it back.

Truth: the integer reference for results, the links that are left for who belongs together. Nothing of the
planner is used.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from synergyc.diagnostics import SynergyError
from synergyc.emulate.simulation import Ending, Simulation
from synergyc.firmware import sizing
from synergyc.firmware.assign import FallbackPlan, Policy, assign
from synergyc.firmware.links import device_names
from synergyc.firmware.spec import FirmwareSpec, PlanCase, PlanTasks
from synergyc.firmware.spec import Wire as Join
from synergyc.ir.network import Network
from synergyc.pipeline.consoles import AppSenses, ConsoleReader, SenseReader, poll_all
from synergyc.plan.types import AppPlan, Plan, Segment
from synergyc.synth.program import Program
from synergyc.targets import load_board, load_chip
from tests.e2e.random_systems import (
    ASK_NS,
    RandomSystem,
    agrees,
    draft_system,
    draw_app_plan,
    packed_answers,
    power_up,
    resident_programs,
)

_RATE_HZ = 30.0
_LOST_NS = 400_000_000
"""When the device loses its power: links are up and results come."""
_SLACK_NS = 300_000_000
"""For links to come up, news to pass along a row, a load of weights, and a queue to be emptied."""
_LIMIT_NS = 120 * 10**9
_OWN_SET_SHARE = 0.4
_SERVED_SHARE = 0.85

_Key = tuple[str, int, int]
"""App, first and last layer of a segment."""


@dataclass(frozen=True, eq=False)
class FallbackSystem:
    """A system, the plans for those who are left without ``lost``, and for whom each of them is."""

    system: RandomSystem
    fallbacks: tuple[FallbackPlan, ...]
    cases: tuple[PlanCase, ...]
    lost: str

    @property
    def plans(self) -> tuple[Plan, ...]:
        """The chosen plan and those of the fallbacks."""
        return (self.system.plan, *(item.plan for item in self.fallbacks))

    def specs(self, runs: int) -> tuple[FirmwareSpec, ...]:
        """Return the firmware of every device; each boot of a sensor delivers so many runs."""
        system = self.system
        return assign(
            system.plan,
            system.programs,
            {name: load_board(board) for name, board in system.boards.items()},
            system.joins,
            system.samples,
            run_limit=runs,
            policies={app.app: Policy(rate_hz=_RATE_HZ) for app in system.plan.apps},
            fallbacks=self.fallbacks,
            cases=self.cases,
        )

    def plan_of(self, device: str) -> int:
        """Return the plan that a device has in force while the other one is lost."""
        return next((case.plan for case in self.cases[1:] if device in case.devices), 0)

    def __str__(self) -> str:
        plans = "\n".join(f"{case.devices}: {self.plans[case.plan]}" for case in self.cases[1:])
        return f"{self.system}\nwithout {self.lost}:\n{plans}"


@dataclass(frozen=True)
class Verdict:
    """What became of the runs of all apps, and which plans devices had in force.

    ``counted`` is how many runs devices have counted as dropped, or had in their memory when it was lost.
    """

    sent: int
    right: int
    wrong: int
    counted: int
    away: Mapping[str, int]
    back: Mapping[str, int]

    def good(self, system: FallbackSystem) -> bool:
        """Whether nothing was wrong or lost quietly, and the right plans were in force."""
        left = [name for name in system.system.boards if name != system.lost]
        is_right = self.wrong == 0 and self.right > 0 and 0 <= self.sent - self.right <= self.counted
        has_fallen_back = all(self.away[name] == system.plan_of(name) for name in left)
        return is_right and has_fallen_back and not any(self.back.values())


def random_fallback(seed: int) -> FallbackSystem:
    """Return a system that can be built; draws again where memories are too small for the first choice."""
    for attempt in itertools.count():
        chance = random.Random(1000 * seed + attempt)  # noqa: S311 - repeatable on purpose
        try:
            found = _draw(chance)
        except SynergyError:
            continue
        if found is not None:
            return found
    raise AssertionError("unreachable")


def run_fallback(system: FallbackSystem, folder: Path, *, loss: float = 0.0, corrupt: float = 0.0) -> Verdict:
    """Build all images, let a device be away for a while, and judge every result.

    Raises SynergyError if the devices do not end.
    """
    away_ns = max(_noticed_ns(spec) for spec in system.specs(1)) + _SLACK_NS
    back_ns = _LOST_NS + away_ns
    settled_ns = back_ns + round(1000 * sizing.RETURN_US) + _SLACK_NS
    specs = system.specs(round(settled_ns * _RATE_HZ / 1e9))
    simulation, consoles = power_up(system.system, specs, folder, loss, corrupt)
    senses = _senses(system, simulation, consoles)

    def poll(ends_ns: int) -> bool:
        poll_all(consoles.values(), senses.values())
        ended = all(consoles[name].since_boot["E"] for name in simulation.powered)
        return ended and simulation.now_ns >= ends_ns

    def run_to(until_ns: int) -> None:
        simulation.run(until_ns, lambda: poll(_LIMIT_NS), ask_every_ns=ASK_NS).raise_unless(Ending.TIME)
        poll(_LIMIT_NS)

    run_to(_LOST_NS)
    simulation.drop(system.lost)
    held = _held(specs, system.lost)
    run_to(back_ns)
    away = {name: _plan(console) for name, console in consoles.items()}
    simulation.restore(system.lost, seed=1)
    for reader in (reader for sense in senses.values() for reader in sense.readers):
        if reader.board.name == system.lost:
            reader.expect_boot()
    simulation.run(_LIMIT_NS, lambda: poll(settled_ns), ask_every_ns=ASK_NS).raise_unless(Ending.STOPPED)
    right, wrong = _judge(system, specs, consoles, senses)
    return Verdict(
        sent=sum(sense.sensed for sense in senses.values()),
        right=right,
        wrong=wrong,
        counted=held + sum(map(_counted, consoles.values())),
        away=away,
        back={name: _plan(console) for name, console in consoles.items()},
    )


def run_disturbed(
    system: FallbackSystem, folder: Path, runs: int, disturb: Callable[[Simulation], None]
) -> tuple[Verdict, Mapping[str, ConsoleReader]]:
    """Build all images, run them to their end, and judge every result; return the consoles, too.

    ``disturb`` gets the devices before they boot. Raises SynergyError if the devices do not end.
    """
    specs = system.specs(runs)
    simulation, consoles = power_up(system.system, specs, folder, 0.0, 0.0)
    disturb(simulation)
    senses = _senses(system, simulation, consoles)

    def ended() -> bool:
        poll_all(consoles.values(), senses.values())
        return all(console.since_boot["E"] for console in consoles.values())

    simulation.run(_LIMIT_NS, ended, ask_every_ns=ASK_NS).raise_unless(Ending.STOPPED)
    plans = {name: _plan(console) for name, console in consoles.items()}
    sent = sum(sense.sensed for sense in senses.values())
    counted = sum(map(_counted, consoles.values()))
    return Verdict(sent, *_judge(system, specs, consoles, senses), counted, plans, plans), consoles


def _noticed_ns(spec: FirmwareSpec) -> int:
    """Return after how long another plan is in force: a lost peer counts as lost, and for long enough."""
    lost_us = max((sizing.lost_us(link) for link in spec.links), default=0.0)
    return round(1000 * (lost_us + sizing.SETTLE_US))


def _held(specs: Sequence[FirmwareSpec], lost: str) -> int:
    """Return how many runs a device may hold under the first plan: in queues, and one in each task."""
    spec = next(item for item in specs if item.device == lost)
    return (
        sum(queue.depth for queue in spec.queues) + len(spec.infers) + len(spec.tails) + len(spec.interacts)
    )


def _counted(console: ConsoleReader) -> int:
    """Return the runs that a device counts as dropped: by its senders since it booted, and by changes."""
    senders = sum(int(line.fields[4]) for line in console.reports("send"))
    return senders + sum(int(item.line.fields[2]) for item in console.lines if item.line.kind == "V")


def _plan(console: ConsoleReader) -> int:
    """Return the plan that a device has told last to have in force."""
    told = [item.line for item in console.lines if item.line.kind in "BV"]
    return int(told[-1].fields[0]) if told and told[-1].kind == "V" else 0


def _senses(
    system: FallbackSystem, simulation: Simulation, consoles: Mapping[str, ConsoleReader]
) -> dict[str, AppSenses]:
    places: dict[str, list[str]] = {}
    for app in (app for plan in system.plans for app in plan.apps):
        places.setdefault(app.app, []).append(app.sense_device)
    return {
        app: AppSenses(
            tuple(SenseReader(app, simulation.boards[name], consoles[name]) for name in dict.fromkeys(names))
        )
        for app, names in places.items()
    }


def _judge(
    system: FallbackSystem,
    specs: Sequence[FirmwareSpec],
    consoles: Mapping[str, ConsoleReader],
    senses: Mapping[str, AppSenses],
) -> tuple[int, int]:
    """Return how many results are right and wrong: wrong are also those without a run, and repeated ones."""
    delivered: Counter[tuple[str, int]] = Counter()
    answers: dict[tuple[str, str, int], list[bytes]] = {}
    right = wrong = 0
    for spec in specs:
        for app, run, content, tasks in _results(spec, consoles[spec.device]):
            delivered[app, run] += 1
            key = (app, spec.device, tasks.number)
            if key not in answers:
                answers[key] = packed_answers(system.system, app, tasks)
            is_new = delivered[app, run] <= senses[app].times(run)
            if is_new and agrees(content, answers[key][run % len(answers[key])]):
                right += 1
            else:
                wrong += 1
    return right, wrong


def _results(spec: FirmwareSpec, console: ConsoleReader) -> Iterator[tuple[str, int, str, PlanTasks]]:
    """Yield app, run and content of each result, with the tasks of the plan that was in force."""
    tasks: PlanTasks = spec
    for item in console.lines:
        if item.line.kind == "B":
            tasks = spec
        elif item.line.kind == "V":
            tasks = spec.plans[int(item.line.fields[0])]
        elif item.line.kind == "R":
            app, run, content = item.line.fields
            yield app, int(run), content, tasks


def _draw(chance: random.Random) -> FallbackSystem | None:
    """Return a system; None if a device is of no use in it, or nobody is served without the lost one."""
    system = draft_system(chance, least_devices=2)
    names = list(system.boards)
    lost = chance.choice(names)
    cases, plans = [PlanCase(tuple(names), 0)], [system.plan]
    for part in _parts([name for name in names if name != lost], system.joins):
        if chance.random() < _SERVED_SHARE:
            cases.append(PlanCase(tuple(part), len(plans)))
            plans.append(_plan_on(part, system, chance))
    if len(plans) < 2 or set(device_names(plans)) != set(names):
        return None
    programs = _programs(plans, system, chance)
    fallbacks = tuple(FallbackPlan(*item) for item in zip(plans[1:], programs[1:], strict=True))
    system = replace(system, programs=programs[0])
    found = FallbackSystem(system, fallbacks, tuple(cases), lost)
    found.specs(1)  # refuses layouts and links that do not go together
    return found


def _parts(names: Sequence[str], joins: Sequence[Join]) -> Iterator[list[str]]:
    """Yield the devices that links hold together, in order."""
    rest = list(names)
    while rest:
        part = {rest[0]}
        for _ in names:
            part |= {name for join in joins if part & set(join.ends) for name in join.ends if name in rest}
        yield [name for name in rest if name in part]
        rest = [name for name in rest if name not in part]


def _plan_on(part: Sequence[str], system: RandomSystem, chance: random.Random) -> Plan:
    """Return a plan for some of the apps on some of the devices."""
    joins = [join for join in system.joins if join.medium.shared or set(join.ends) <= set(part)]
    apps = list(system.networks)
    served = sorted(chance.sample(apps, chance.randint(1, len(apps))))
    plans = tuple(draw_app_plan(app, system.networks[app], part, joins, chance) for app in served)
    return Plan(plans, "throughput", "random", 1)


def _programs(plans: list[Plan], system: RandomSystem, chance: random.Random) -> list[dict[str, Program]]:
    """Return each plan's programs, and number the residency sets of their segments in ``plans``.

    Plans share a device's first set, or have sets of their own if they need more than the first one has.
    """
    found: list[dict[str, Program]] = [{} for _ in plans]
    sets: dict[tuple[int, str], int] = {}
    for device, board in system.boards.items():
        chip = load_chip(load_board(board).chip)
        wanted = [{_key(item): item for item in plan.segments_on(device)} for plan in plans]
        shares = chance.random() >= _OWN_SET_SHARE
        first = list(dict.fromkeys(key for keys in wanted for key in keys)) if shares else list(wanted[0])
        groups = [first] if first else []  # without a task under the first plan there is no set of it
        groups += [list(keys) for keys in wanted[1:] if not set(keys) <= set(first)]
        made = [
            dict(zip(group, resident_programs([_part(system, key) for key in group], chip), strict=True))
            for group in groups
        ]
        for number, segments in enumerate(wanted):
            index = next((i for i, group in enumerate(groups) if set(segments) <= set(group)), 0)
            for key, segment in segments.items():
                program = made[index][key]
                found[number][segment.name] = replace(program, name=f"{program.name}_set{index}")
                sets[number, segment.name] = index
    for number, plan in enumerate(plans):
        plans[number] = replace(plan, apps=tuple(_numbered(app, number, sets) for app in plan.apps))
    return found


def _numbered(app: AppPlan, plan: int, sets: Mapping[tuple[int, str], int]) -> AppPlan:
    segments = tuple(replace(item, residency=sets[plan, item.name]) for item in app.segments)
    return replace(app, segments=segments)


def _part(system: RandomSystem, key: _Key) -> Network:
    app, first, last = key
    return system.networks[app].segment(first, last)


def _key(segment: Segment) -> _Key:
    return (segment.app, segment.first, segment.last)
