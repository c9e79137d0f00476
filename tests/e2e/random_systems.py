"""Random systems: devices, links, networks, cuts and segments on devices; built and run as they are.

Nothing of the planner is used: its choices would be too good to test everything.
"""

from __future__ import annotations

import itertools
import random
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median_high

import numpy as np

from synergyc import reference
from synergyc.diagnostics import SynergyError
from synergyc.emulate.board import Board
from synergyc.emulate.elf import load_elf
from synergyc.emulate.radio import Channel
from synergyc.emulate.simulation import Ending, Simulation
from synergyc.emulate.wire import PacketFaults, Wire
from synergyc.firmware.assign import assign
from synergyc.firmware.build import build
from synergyc.firmware.keys import emulation_keys
from synergyc.firmware.layout import pack_elements
from synergyc.firmware.names import key_symbol
from synergyc.firmware.placed import placed_segments
from synergyc.firmware.spec import FirmwareSpec, PlanTasks
from synergyc.firmware.spec import Wire as Join
from synergyc.ir.network import Network
from synergyc.ir.types import Activation, Array, EltwiseOp
from synergyc.legalize import check_limits
from synergyc.pipeline.consoles import ConsoleReader, SenseReader
from synergyc.pipeline.plan_changes import results_of, steady_ns
from synergyc.plan.cost import CostModel
from synergyc.plan.costing import candidate_of
from synergyc.plan.problem import PlanApp, PlanDevice, PlanLink, PlanProblem
from synergyc.plan.timeline import schedule
from synergyc.plan.types import AppPlan, AppSchedule, HandOff, Plan, Prediction, Schedule, Segment
from synergyc.synth.native import generate
from synergyc.synth.program import Program
from synergyc.synth.resident import place_resident
from synergyc.targets import Chip, link_medium, load_board, load_chip, load_medium
from tests.synth.networks import AVERAGE_2X2, MAX_2X2, Spec, linear, network, point

_BOARDS = ("max78000fthr", "max78000fthr", "max78002evkit")
_SECURED_SHARE = 0.3
_LIMIT_NS = 60 * 10**9
ASK_NS = 10**6
"""How often consoles and logs of sensed runs are read; a log holds 32 of them."""


@dataclass(frozen=True, eq=False)
class RandomSystem:
    """What one seed gives: plan, programs, joins, and for each app its network and samples (N, *shape)."""

    boards: Mapping[str, str]
    plan: Plan
    programs: Mapping[str, Program]
    joins: tuple[Join, ...]
    networks: Mapping[str, Network]
    samples: Mapping[str, Array]

    def __str__(self) -> str:
        joins = [f"{join.name}{' (secured)' if join.secure else ''}" for join in self.joins]
        return f"{dict(self.boards)} {joins}\n{self.plan}"

    def specs(self, runs: int) -> tuple[FirmwareSpec, ...]:
        """Return the firmware of every device that takes part."""
        boards = {name: load_board(board) for name, board in self.boards.items()}
        return assign(self.plan, self.programs, boards, self.joins, self.samples, run_limit=runs)


@dataclass(frozen=True)
class Result:
    """Runs of one app: how many were sensed, delivered right, delivered wrong."""

    app: str
    sent: int
    right: int
    wrong: int


def random_system(seed: int, *, replicated: bool = False) -> RandomSystem:
    """Return a system that can be built; draws again where memories are too small for the first choice.

    ``replicated``: each app's network is on two or three devices, which get its runs in turn.
    """
    for attempt in itertools.count():
        chance = random.Random(1000 * seed + attempt)  # noqa: S311 - repeatable on purpose
        try:
            return _draw(chance, replicated=replicated)
        except SynergyError:
            continue
    raise AssertionError("unreachable")


@dataclass(frozen=True)
class Agreement:
    """An app's rate and median latency: by the schedule, and as the devices have it."""

    app: str
    predicted: AppSchedule
    throughput_hz: float
    latency_ms: float

    @property
    def errors(self) -> tuple[float, float]:
        """Relative errors of rate and latency."""
        return (
            self.predicted.throughput_hz / self.throughput_hz - 1,
            self.predicted.latency_ms / self.latency_ms - 1,
        )


def run_system(
    system: RandomSystem, folder: Path, runs: int, *, loss: float = 0.0, corrupt: float = 0.0
) -> list[Result]:
    """Build all images, run them and judge every result; raises SynergyError if the devices do not end."""
    specs = system.specs(runs)
    consoles, _ = _played(system, specs, folder, loss, corrupt)
    return [_judge(system, app, specs, consoles, runs) for app in system.plan.apps]


def compare_system(system: RandomSystem, folder: Path, runs: int) -> list[Agreement]:
    """Build all images, run them, and compare each app's rate and latency with the schedule's."""
    specs = system.specs(runs)
    consoles, senses = _played(system, specs, folder, 0.0, 0.0)
    predicted = predicted_schedule(system, runs).apps
    found = []
    for app in system.plan.apps:
        shown = results_of(app.app, consoles)
        delays = [item.at_ns - (senses[app.app].sensed_before(item.run, item.at_ns) or 0) for item in shown]
        steady = steady_ns(shown)
        rate_hz = (len(steady) - 1) * 1e9 / (steady[-1] - steady[0])
        found.append(Agreement(app.app, predicted[app.app], rate_hz, median_high(delays) / 1e6))
    return found


def predicted_schedule(system: RandomSystem, runs: int) -> Schedule:
    """Return what the planner's schedule expects of the system."""
    boards = {name: load_board(board) for name, board in system.boards.items()}
    devices = tuple(
        PlanDevice(name, load_chip(board.chip), console_bd=board.console_rate_bd)
        for name, board in boards.items()
    )
    links = tuple(
        PlanLink(join.name, join.ends, link_medium(join.medium.name, secure=join.secure), join.rate_kbps)
        for join in system.joins
    )
    apps = tuple(PlanApp(app.app, "any", "any") for app in system.plan.apps)
    problem = PlanProblem(devices, links, apps)
    costings = [
        CostModel(problem, app, system.networks[app.name]).cost(
            candidate_of(part, system.networks[app.name]), part.hand_offs
        )
        for app, part in zip(apps, system.plan.apps, strict=True)
    ]
    return schedule(problem, costings, runs, placed_segments(system.plan, system.specs(runs)))


def _played(
    system: RandomSystem, specs: Sequence[FirmwareSpec], folder: Path, loss: float, corrupt: float
) -> tuple[dict[str, ConsoleReader], dict[str, SenseReader]]:
    """Run all images to their end; return their consoles, and the sensors by app."""
    simulation, consoles = power_up(system, specs, folder, loss, corrupt)
    senses = {
        app.app: SenseReader(app.app, simulation.boards[app.sense_device], consoles[app.sense_device])
        for app in system.plan.apps
    }

    def ended() -> bool:
        for console in consoles.values():
            console.poll()
        for sense in senses.values():
            sense.poll()
        return all(console.counts["E"] for console in consoles.values())

    simulation.run(_LIMIT_NS, ended, ask_every_ns=ASK_NS).raise_unless(Ending.STOPPED)
    return consoles, senses


def power_up(
    system: RandomSystem, specs: Sequence[FirmwareSpec], folder: Path, loss: float, corrupt: float
) -> tuple[Simulation, dict[str, ConsoleReader]]:
    """Build all images and switch the devices on; return them joined, and their consoles."""
    boards = [
        Board(spec.board, load_elf(build(spec, folder / spec.device).elf), spec.device) for spec in specs
    ]
    simulation = _simulation(system, specs, boards, loss, corrupt)
    consoles = {board.name: ConsoleReader(board) for board in boards}
    for spec, board in zip(specs, boards, strict=True):
        for link in spec.links:
            if link.key is not None:
                board.poke(key_symbol(link.name), emulation_keys([link.key])[link.key])
    return simulation, consoles


def _draw(chance: random.Random, *, replicated: bool) -> RandomSystem:
    draft = draft_system(chance, 2 if replicated else 1)
    if replicated:
        draft = _with_replicas(draft, chance)
    system = replace(draft, programs=_programs(draft.plan, draft.networks, draft.boards))
    system.specs(1)  # refuses layouts and links that do not go together
    return system


def draft_system(chance: random.Random, least_devices: int = 1) -> RandomSystem:
    """Return a system without programs: it may not fit."""
    names = chance.sample(["ankle", "belt", "chest", "head", "wrist"], chance.randint(least_devices, 4))
    boards = {name: chance.choice(_BOARDS) for name in names}
    joins = _joins(names, chance)
    apps = [f"app{index}" for index in range(chance.randint(1, 3))]
    networks = {app: _network(app, chance) for app in apps}
    plans = tuple(draw_app_plan(app, networks[app], names, joins, chance) for app in apps)
    plan = Plan(plans, "throughput", "random", 1)
    samples = {
        app: np.random.default_rng(chance.getrandbits(32)).integers(
            -128, 128, (2, *networks[app].inputs[0].shape), dtype=np.int8
        )
        for app in apps
    }
    if chance.random() < _SECURED_SHARE:
        joins = tuple(replace(join, secure=True) for join in joins)
    return RandomSystem(boards, plan, {}, joins, networks, samples)


def _network(name: str, chance: random.Random) -> Network:
    side = chance.choice([6, 8, 12])
    shape = (chance.choice([1, 3, 4, 12]), side, side)
    specs: list[Spec] = []
    for index in range(chance.randint(1, 4)):
        pool = chance.choice([None, None, MAX_2X2, AVERAGE_2X2]) if side >= 4 else None
        side = side // 2 if pool else side
        out = chance.choice([4, 8, 12, 20, 64])
        bits = chance.choice([8, 8, 4, 2])
        activation = chance.choice([Activation.RELU, Activation.NONE])
        plain = Spec(out) if chance.random() < 0.5 else point(out)
        specs.append(replace(plain, pool=pool, bits=bits, activation=activation))
        if chance.random() < 0.3:  # a residual connection: two tensors cross where it is cut
            specs.append(Spec(out, activation=Activation.RELU))
            specs.append(
                point(out, inputs=(f"l{len(specs) - 1}", f"l{len(specs) - 2}"), eltwise=EltwiseOp.ADD)
            )
        if index == 3:
            break
    if side * side <= 36:
        specs.append(linear(chance.choice([2, 10]), wide=chance.random() < 0.5))
    return network(shape, specs, seed=chance.getrandbits(32), name=name)


def _joins(names: Sequence[str], chance: random.Random) -> tuple[Join, ...]:
    if len(names) > 1 and chance.random() < 0.3:
        return (Join("all", tuple(names), load_medium("esp8266"), 1000.0),)
    rate_kbps = chance.choice([460.8, 921.6, 1843.2])
    pairs = list(itertools.pairwise(names))
    return tuple(Join(f"{one}-{two}", (one, two), load_medium("uart"), rate_kbps) for one, two in pairs)


def draw_app_plan(
    app: str, net: Network, names: Sequence[str], joins: Sequence[Join], chance: random.Random
) -> AppPlan:
    """Cut an app's network anywhere, and put the parts anywhere on devices that ``joins`` hold together."""
    count = len(net.layers)
    cuts = sorted(chance.sample(range(1, count), chance.randint(0, min(3, count - 1))))
    bounds = list(itertools.pairwise([0, *cuts, count]))
    segments = tuple(
        Segment(app, index, chance.choice(names), first, end - 1) for index, (first, end) in enumerate(bounds)
    )
    sense, interact = chance.choice(names), chance.choice(names)
    places = [sense, *(segment.device for segment in segments), interact]
    hops = [hop for pair in itertools.pairwise(places) for hop in _way(*pair, names, joins)]
    hand_offs = tuple(
        HandOff(app, index, source, target, link, (), 0) for index, (source, target, link) in enumerate(hops)
    )
    return AppPlan(app, sense, interact, segments, hand_offs, Prediction(1, 1, "", {}))


def _with_replicas(system: RandomSystem, chance: random.Random) -> RandomSystem:
    """Return ``system`` with each app's network as a whole on several devices, reached over relays too."""
    names = list(system.boards)
    apps = []
    for app in system.plan.apps:
        devices = chance.sample(names, chance.randint(2, min(3, len(names))))
        last = len(system.networks[app.app].layers) - 1
        segments = tuple(Segment(app.app, i, device, 0, last) for i, device in enumerate(devices))
        ends = [
            pair for device in devices for pair in ((app.sense_device, device), (device, app.interact_device))
        ]
        hops = [hop for pair in ends for hop in _way(*pair, names, system.joins)]
        hand_offs = tuple(
            HandOff(app.app, i, source, target, link, (), 0) for i, (source, target, link) in enumerate(hops)
        )
        apps.append(replace(app, segments=segments, hand_offs=hand_offs, replicated=True))
    return replace(system, plan=replace(system.plan, apps=tuple(apps)))


def _way(source: str, target: str, names: Sequence[str], joins: Sequence[Join]) -> list[tuple[str, str, str]]:
    """Return the hops from one device to another: over the channel, or along the row of wires."""
    if source == target:
        return []
    if (len(joins) == 1 and len(joins[0].ends) != 2) or joins[0].medium.shared:
        return [(source, target, joins[0].name)]
    here, there = names.index(source), names.index(target)
    step = 1 if there > here else -1
    row = [names[index] for index in range(here, there + step, step)]
    ends = {frozenset(join.ends): join.name for join in joins}
    return [(one, two, ends[frozenset((one, two))]) for one, two in itertools.pairwise(row)]


def _programs(plan: Plan, networks: Mapping[str, Network], boards: Mapping[str, str]) -> dict[str, Program]:
    programs: dict[str, Program] = {}
    for name, board in boards.items():
        chip = load_chip(load_board(board).chip)
        mine = plan.segments_on(name)
        parts = [networks[item.app].segment(item.first, item.last) for item in mine]
        programs |= zip((item.name for item in mine), resident_programs(parts, chip), strict=True)
    return programs


def resident_programs(parts: Sequence[Network], chip: Chip) -> list[Program]:
    """Return programs that are in the accelerator's memories together; raises SynergyError."""
    problems = [problem for part in parts for problem in check_limits(part, chip)]
    if problems:
        raise SynergyError(problems)
    return [generate(placed, chip) for placed in place_resident(parts, chip)]


def _simulation(
    system: RandomSystem, specs: Sequence[FirmwareSpec], boards: Sequence[Board], loss: float, corrupt: float
) -> Simulation:
    wires, channels = [], []
    for number, join in enumerate(system.joins):
        ends = [
            (spec.device, link.uart) for spec in specs for link in spec.links if link.channel == join.name
        ]
        ends = list(dict.fromkeys(ends))
        faults = [PacketFaults(2 * number + side, loss, corrupt) for side in (0, 1)]
        if len(ends) < 2:
            continue
        if join.medium.shared:
            uart_bd = join.medium.uart_rate_kbps(join.rate_kbps) * 1000
            overhead_bytes = join.medium.air_overhead_bytes
            channels.append(Channel(tuple(ends), uart_bd, join.rate_kbps * 1000, overhead_bytes, faults[0]))
        else:
            wires.append(Wire(ends[0], ends[1], join.rate_kbps * 1000, (faults[0], faults[1])))
    return Simulation(boards, wires, channels)


def _judge(
    system: RandomSystem,
    app: AppPlan,
    specs: Sequence[FirmwareSpec],
    consoles: Mapping[str, ConsoleReader],
    runs: int,
) -> Result:
    spec = next(item for item in specs if item.device == app.interact_device)
    answers = packed_answers(system, app.app, spec)
    lines = [item.line for item in consoles[app.interact_device].lines if item.line.kind == "R"]
    results = [line.fields for line in lines if line.fields[0] == app.app]
    good = sum(agrees(content, answers[int(run) % len(answers)]) for _, run, content in results)
    once = len({run for _, run, _ in results}) == len(results)
    return Result(app.app, runs, good if once else 0, len(results) - good)


def packed_answers(system: RandomSystem, app: str, tasks: PlanTasks) -> list[bytes]:
    """Return the reference's result for each sample, in the layout of the device that interacts."""
    net = system.networks[app]
    wanted = reference.run(net, {net.inputs[0].name: system.samples[app]})[net.outputs[0]]
    (layout,) = next(task.layouts for task in tasks.interacts if task.app == app)
    elements = np.asarray(layout.elements, dtype=np.int64)
    return [pack_elements(elements, 4 * layout.words, item) for item in wanted]


def agrees(content: str, answer: bytes) -> bool:
    """Return whether a result line shows ``answer``: its bytes, or their CRC-32."""
    return content == (f"#{zlib.crc32(answer):08x}" if content.startswith("#") else answer.hex())
