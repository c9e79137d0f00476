"""The schedule of chosen plans: every task of every run on its unit, as the firmware executes them.

The firmware has no timetable: each task goes on when its input, its unit and room for its output are there.
The same rules are played here with the times of the cost model, so that waiting, back-pressure and the turns
that apps take on a unit are in the figures. What is simplified: a transfer is played in at most
``_CHUNKS`` parts, interrupts wait for a task of the main loop instead of stretching it, and radio modules are
not played: a frame's way through their UARTs counts in the unloaded latency only.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from statistics import median
from typing import Any

import simpy

from synergyc.plan.cost import Costing, Work, link_unit, result_characters
from synergyc.plan.layout import switch_words
from synergyc.plan.problem import PlanProblem
from synergyc.plan.transfer import TransferCost, transfer_cost
from synergyc.plan.types import AppSchedule, HandOff, Schedule, Segment, Span
from synergyc.targets import Runtime, load_runtime

RUNS = 100
"""Runs of each app that are played: as many as ``synergyc run`` does unless it is told otherwise."""

_CHUNKS = 12
"""Parts of a transfer, at most: each takes its turn on CPUs and wire."""

_INTERRUPT, _TASK = 0, 1
"""Priorities on the CPU."""

Process = Generator[simpy.Event, Any, None]


def schedule(
    problem: PlanProblem,
    costings: Sequence[Costing],
    runs: int = RUNS,
    switches: Mapping[str, int] | None = None,
) -> Schedule:
    """Return the schedule of apps that run together, ``runs`` runs of each.

    ``switches`` are the register words that make a segment the next one on a shared accelerator, by segment
    name, where they are known.
    """
    player = _Player(problem, costings, runs, switches or {})
    player.play()
    return Schedule(tuple(player.spans), player.results(), player.busy())


class _Queue:
    """A bounded queue; an item's place stays taken until ``pop``."""

    def __init__(self, env: simpy.Environment, depth: int) -> None:
        self._items = simpy.Store(env)
        self._places = simpy.Container(env, capacity=depth, init=depth)

    def room(self) -> simpy.Event:
        """Reserve a place."""
        return self._places.get(1)

    def push(self, run: int) -> None:
        """Fill a reserved place."""
        self._items.put(run)

    def front(self) -> simpy.Event:
        """Wait for the oldest item."""
        return self._items.get()

    def pop(self) -> None:
        """Free the place of an item that was taken from the front."""
        self._places.put(1)


class _Player:
    """Plays all apps on the units of a system."""

    def __init__(
        self, problem: PlanProblem, costings: Sequence[Costing], runs: int, switches: Mapping[str, int]
    ) -> None:
        self.problem, self.costings, self.runs, self.switches = problem, costings, runs, switches
        self.env = simpy.Environment()
        self.runtime: Runtime = load_runtime()
        self.spans: list[Span] = []
        self.sensed: dict[tuple[str, int], float] = {}
        self.shown: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
        self.resident: dict[str, Segment] = {}
        self._units: dict[str, simpy.PriorityResource] = {}
        self._turns: dict[str, simpy.Resource] = {}
        self._rings: dict[str, simpy.Container] = {}
        self.segments: defaultdict[str, int] = defaultdict(int)
        for costing in costings:
            for segment in costing.candidate.segments:
                self.segments[segment.device] += 1

    def play(self) -> None:
        """Run until every app has shown all its results."""
        for costing in self.costings:
            for process in self._app(costing):
                self.env.process(process)
        self.env.run()

    def results(self) -> dict[str, AppSchedule]:
        """Return what each app reached."""
        found = {}
        for costing in self.costings:
            app = costing.candidate.app
            shown = sorted(self.shown[app], key=lambda item: item[1])
            span_us = shown[-1][1] - shown[0][1]
            delays = [at_us - self.sensed[app, run] for run, at_us in shown]
            rate_hz = (len(shown) - 1) * 1e6 / span_us if span_us else 0.0
            found[app] = AppSchedule(rate_hz, median(delays) / 1000, max(delays) / 1000)
        return found

    def busy(self) -> dict[str, float]:
        """Return the share of time that each unit worked, until the first app was done."""
        end_us = min(max(at_us for _, at_us in shown) for shown in self.shown.values())
        total: defaultdict[str, float] = defaultdict(float)
        for span in self.spans:
            total[span.unit] += max(0.0, min(span.end_us, end_us) - min(span.begin_us, end_us))
        return {unit: time_us / end_us for unit, time_us in sorted(total.items())}

    def _unit(self, name: str) -> simpy.PriorityResource:
        return self._units.setdefault(name, simpy.PriorityResource(self.env))

    def _work(
        self, unit: str, who: tuple[str, int], task: str, duration_us: float, priority: int = _TASK
    ) -> Process:
        """Occupy ``unit`` for a task of run ``who``."""
        with self._unit(unit).request(priority) as turn:
            yield turn
            begin_us = self.env.now
            yield self.env.timeout(duration_us)
            self.spans.append(Span(unit, *who, task, begin_us, self.env.now))

    def _app(self, costing: Costing) -> Iterator[Process]:
        """Yield the processes of an app, of replicas one chain for each device."""
        candidate = costing.candidate
        heads = []
        parts = [(s,) for s in candidate.segments] if candidate.replicated else [candidate.segments]
        hand_offs = list(costing.hand_offs)
        for segments in parts:
            stations = [candidate.sense_device, *(s.device for s in segments), candidate.interact_device]
            heads.append(head := self._queue())
            queue = head
            for i, (here, there) in enumerate(pairwise(stations)):
                if here != there:
                    source, queue = queue, self._queue()
                    hand_off = hand_offs.pop(0)
                    for _ in range(self.runtime.queue_tensors):
                        yield self._transfer(costing, hand_off, source, queue)
                if i < len(segments):
                    source, queue = queue, self._queue()
                    yield self._infer(costing, segments[i], source, queue)
            yield self._interact(costing, queue)
        yield self._sense(costing, heads)

    def _queue(self) -> _Queue:
        return _Queue(self.env, self.runtime.queue_tensors)

    def _sense(self, costing: Costing, heads: Sequence[_Queue]) -> Process:
        candidate = costing.candidate
        chip = self.problem.device(candidate.sense_device).chip
        sense_us = self.runtime.sense_cycles * 1e6 / chip.clocks.cpu_hz
        paced = [work.duration_us for work in costing.work if work.task == "sense"]
        period_us = sum(paced) if paced else 0.0
        for run in range(self.runs):
            queue = heads[run % len(heads)]
            yield queue.room()
            yield self.env.timeout(max(0.0, run * period_us - self.env.now))
            yield from self._work(f"{candidate.sense_device}.cpu", (candidate.app, run), "sense", sense_us)
            self.sensed[candidate.app, run] = self.env.now
            queue.push(run)

    def _transfer(self, costing: Costing, hand_off: HandOff, source: _Queue, target: _Queue) -> Process:
        """Send tensors; one process for each that may be under way. The target has room before one begins."""
        link = next(item for item in self.problem.links if item.name == hand_off.link)
        chips = [self.problem.device(name).chip for name in (hand_off.source, hand_off.target)]
        cost = transfer_cost(hand_off.size_bytes, link, *chips)
        turn = f"{link.name}/{hand_off.source}"
        lock = self._turns.setdefault(turn, simpy.Resource(self.env))
        units = (link_unit(link, hand_off.source), link_unit(link, hand_off.target))
        while True:
            run = yield source.front()
            who = (costing.candidate.app, run)
            yield target.room()
            yield from self._work(f"{hand_off.source}.cpu", who, "send", float(cost.begin_us))
            with lock.request() as mine:
                yield mine
                yield from self._frames(hand_off, cost, who, units)
            yield from self._work(f"{hand_off.target}.cpu", who, "receive", float(cost.decode_us))
            target.push(run)
            source.pop()

    def _frames(
        self, hand_off: HandOff, cost: TransferCost, who: tuple[str, int], units: tuple[str, str]
    ) -> Process:
        """Send the frames of a tensor: the next ones wait until both CPUs are done with those before."""
        chunks = int(min(float(cost.frames), _CHUNKS))
        send_us = max(0.0, float(cost.send_us - cost.begin_us)) / chunks
        receive_us = max(0.0, float(cost.receive_us - cost.decode_us)) / chunks
        before: list[simpy.Event] = []
        for _ in range(chunks):
            if before:
                yield self.env.all_of(before)
            before = [
                self.env.process(self._work(f"{hand_off.source}.cpu", who, "send", send_us, _INTERRUPT)),
                self.env.process(
                    self._work(f"{hand_off.target}.cpu", who, "receive", receive_us, _INTERRUPT)
                ),
            ]
            yield from self._work(units[0], who, "transfer", float(cost.wire_us) / chunks)
            answer_us = float(cost.answers_us) / chunks
            self.env.process(self._work(units[1], who, "answer", answer_us, _INTERRUPT))
        yield self.env.all_of(before)

    def _infer(self, costing: Costing, segment: Segment, source: _Queue, target: _Queue) -> Process:
        work = _inference_of(costing, segment)
        app, cpu, accelerator = segment.app, f"{segment.device}.cpu", f"{segment.device}.accelerator"
        alone = self.segments[segment.device] == 1
        while True:
            run = yield source.front()
            if not alone:  # a segment must not keep the accelerator while it waits for room
                yield target.room()
            with self._unit(accelerator).request() as turn:
                yield turn
                begin_us = self.env.now
                yield from self._work(cpu, (app, run), "load", self._bring_up_us(segment, work))
                source.pop()
                yield self.env.timeout(work["infer"].duration_us)
                self.spans.append(Span(accelerator, app, run, "infer", begin_us, self.env.now))
                if alone:
                    yield target.room()
                yield from self._work(cpu, (app, run), "unload", work["unload"].duration_us)
                target.push(run)
            self.env.process(self._work(cpu, (app, run), "poll", work["poll"].duration_us, _INTERRUPT))

    def _bring_up_us(self, segment: Segment, work: Mapping[str, Work]) -> float:
        """Return the CPU time before a segment starts: its registers or weights if another one ran, input."""
        chip = self.problem.device(segment.device).chip
        before = self.resident.get(segment.device)
        self.resident[segment.device] = segment
        switch_us = 0.0
        if before not in (None, segment):
            expected = switch_words(segment.last - segment.first + 1, chip.cnn)
            words = self.switches.get(segment.name, expected)
            switch_us = words * chip.cnn.timing.word_ns / 1000
        weights_us = work["weights"].duration_us if "weights" in work else 0.0
        return switch_us + weights_us + work["load"].duration_us + work["start"].duration_us

    def _interact(self, costing: Costing, source: _Queue) -> Process:
        candidate = costing.candidate
        device = candidate.interact_device
        app = candidate.app
        work = {item.units[0]: item.duration_us for item in _whole(costing) if item.task == "interact"}
        ring_bytes = self.runtime.console_ring_bytes
        ring = self._rings.setdefault(device, simpy.Container(self.env, ring_bytes, ring_bytes))
        line = min(result_characters(app, costing.result_bytes), ring_bytes)
        while True:
            run = yield source.front()
            if not work:
                self.shown[app].append((run, self.env.now))
                source.pop()
                continue
            yield ring.get(line)
            yield from self._work(f"{device}.cpu", (app, run), "interact", work[f"{device}.cpu"])
            source.pop()
            self.env.process(self._print(device, (app, run), work[f"{device}.console"], line))

    def _print(self, device: str, who: tuple[str, int], line_us: float, characters: int) -> Process:
        app, run = who
        with self._unit(f"{device}.console").request() as turn:
            yield turn
            self.shown[app].append((run, self.env.now))
            begin_us = self.env.now
            yield self.env.timeout(line_us)
            self.spans.append(Span(f"{device}.console", app, run, "interact", begin_us, self.env.now))
        yield self._rings[device].put(characters)


def _whole(costing: Costing) -> list[Work]:
    """Return the work of one run; that of replicas without the share of the runs that each serves."""
    count = len(costing.candidate.devices) if costing.candidate.replicated else 1
    return [replace(item, duration_us=count * item.duration_us) for item in costing.work]


def _inference_of(costing: Costing, segment: Segment) -> dict[str, Work]:
    """Return the work of one segment by task."""
    units = (f"{segment.device}.accelerator", f"{segment.device}.cpu")
    tasks = ("weights", "load", "start", "infer", "poll", "unload")
    return {item.task: item for item in _whole(costing) if item.task in tasks and item.units[0] in units}
