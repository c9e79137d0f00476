"""The schedule of chosen plans: every task of every run on its unit, as the firmware executes them.

The firmware has no timetable: each task goes on when its input, its unit and room for its output are there.
The same rules are played here with the times of the cost model, so that waiting, back-pressure and the turns
that apps take on a unit are in the figures. What is simplified: large tensors travel in groups of frames, and
interrupts wait for a task of the main loop instead of stretching it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from statistics import median_high

import simpy

from synergyc.plan.accelerator import Accelerator
from synergyc.plan.cost import CONSOLE_BITS, Costing, Work, result_characters
from synergyc.plan.layout import switch_words
from synergyc.plan.problem import PlanProblem
from synergyc.plan.stream import IDLE, TASK, Line, Process, Stream, frames_of
from synergyc.plan.types import AppSchedule, HandOff, Schedule, Segment, Span
from synergyc.plan.uart import Uart
from synergyc.targets import Chip, Runtime, load_runtime

RUNS = 100
"""Runs of each app that are played: as many as ``synergyc run`` does unless it is told otherwise."""


def schedule(
    problem: PlanProblem,
    costings: Sequence[Costing],
    runs: int = RUNS,
    switches: Mapping[str, int] | None = None,
    loads: Mapping[str, int] | None = None,
) -> Schedule:
    """Return the schedule of apps that run together, ``runs`` runs of each.

    Where they are known, by segment name: ``switches``, the register words that make a segment the next one
    on a shared accelerator, and ``loads``, the words of its weights and biases.
    """
    player = _Player(problem, costings, runs, switches or {}, loads or {})
    player.play()
    loads_per_run = {place: count / runs for place, count in player.loads_of_sets.items()}
    return Schedule(tuple(player.spans), player.results(), player.busy(), loads_per_run)


_LOOK_US = 8.0
"""What is asked of one task in the main loop: so long something new waits for its turn, at most."""


_TAIL_PIECE_US = 100.0
"""What the firmware computes of a tail before it looks after its other tasks (templates/firmware/tail.c)."""


class _Queue:
    """A bounded queue; an item's place stays taken until ``pop``."""

    def __init__(self, env: simpy.Environment, depth: int) -> None:
        self.depth = depth
        self.on_pop: Callable[[], None] | None = None
        self._items = simpy.Store(env)
        self._places = simpy.Container(env, init=depth)

    def deepen(self, depth: int) -> None:
        """Let the queue hold at least ``depth`` items."""
        if depth > self.depth:
            self._places.put(depth - self.depth)
            self.depth = depth

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
        if self.on_pop is not None:
            self.on_pop()


class _Player:
    """Plays all apps on the units of a system."""

    def __init__(
        self,
        problem: PlanProblem,
        costings: Sequence[Costing],
        runs: int,
        switches: Mapping[str, int],
        loads: Mapping[str, int],
    ) -> None:
        self.problem, self.costings, self.runs = problem, costings, runs
        self.switches, self.loads = switches, loads
        self.env = simpy.Environment()
        self.runtime: Runtime = load_runtime()
        self.spans: list[Span] = []
        self.sensed: dict[tuple[str, int], float] = {}
        self.shown: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
        self._units: dict[str, simpy.PriorityResource] = {}
        self._worked: dict[str, simpy.Event] = {}
        self._lines: dict[str, Line] = {}
        self._consoles: dict[str, tuple[Uart, simpy.Resource]] = {}
        segments: defaultdict[str, list[Segment]] = defaultdict(list)
        for costing in costings:
            for segment in costing.candidate.segments:
                segments[segment.device].append(segment)
        self.accelerators = {
            device: Accelerator(self.env, found, self.runtime.set_runs) for device, found in segments.items()
        }
        self._set_us = self._load_times()
        self.loads_of_sets = dict.fromkeys(self._set_us, 0)

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
            found[app] = AppSchedule(rate_hz, median_high(delays) / 1000, max(delays) / 1000)
        return found

    def busy(self) -> dict[str, float]:
        """Return the share of time that each unit worked, until the first app was done."""
        begin_us = min(self.sensed.values())
        end_us = min(max(at_us for _, at_us in shown) for shown in self.shown.values())
        total: defaultdict[str, float] = defaultdict(float)
        for span in self.spans:
            total[span.unit] += max(0.0, min(span.end_us, end_us) - min(span.begin_us, end_us))
        return {unit: time_us / (end_us - begin_us) for unit, time_us in sorted(total.items())}

    def _unit(self, name: str) -> simpy.PriorityResource:
        return self._units.setdefault(name, simpy.PriorityResource(self.env))

    def work(
        self, unit: str, who: tuple[str, int], task: str, duration_us: float, priority: int = TASK
    ) -> Process:
        """Occupy ``unit`` for a task of run ``who``."""
        with self._unit(unit).request(priority) as turn:
            yield turn
            begin_us = self.env.now
            yield self.env.timeout(duration_us)
            self.note(unit, who, task, begin_us)

    def look_on(self, device: str, who: tuple[str, int], task: str, duration_us: float) -> Process:
        """Go round the main loop once before the CPU sleeps, unless there is something to do."""
        cpu = self._unit(f"{device}.cpu")
        yield self.env.timeout(0)
        begin_us = self.env.now
        while self.env.now < begin_us + duration_us and not (cpu.count or cpu.queue):
            with cpu.request(IDLE) as turn:
                yield turn
                yield self.env.timeout(min(_LOOK_US, begin_us + duration_us - self.env.now))
        if self.env.now > begin_us:
            self.note(f"{device}.cpu", who, task, begin_us)

    def note(self, unit: str, who: tuple[str, int], task: str, begin_us: float) -> None:
        """Note that a unit worked for run ``who`` until now."""
        self.spans.append(Span(unit, *who, task, begin_us, self.env.now))
        if (worked := self._worked.pop(unit, None)) is not None:
            worked.succeed()

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
                    hand_off = hand_offs.pop(0)
                    source, queue = queue, self._queue()
                    yield self._transfer(hand_off, source, queue)
                if i < len(segments):
                    source, queue = queue, self._queue()
                    if self.accelerators[segments[i].device].sets > 1:
                        queue.deepen(self.runtime.set_runs)
                        if source is not head:
                            source.deepen(self.runtime.set_runs)
                    yield self._infer(costing, segments[i], source, queue)
            if any(work.task == "tail" for work in costing.work):
                source, queue = queue, self._queue()
                yield self._tail(costing, source, queue)
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
        yield self.env.timeout(self._boot_us(candidate.sense_device))
        first_us = self.env.now
        for run in range(self.runs):
            queue = heads[run % len(heads)]
            yield queue.room()
            if self.env.now < first_us + run * period_us:
                yield self.env.timeout(first_us + run * period_us - self.env.now)
                yield self._awake(candidate.sense_device)
            with self._unit(cpu := f"{candidate.sense_device}.cpu").request(TASK) as turn:
                yield turn
                begin_us = self.sensed[candidate.app, run] = self.env.now
                yield self.env.timeout(sense_us)
                self.note(cpu, (candidate.app, run), "sense", begin_us)
            queue.push(run)

    def _boot_us(self, device: str) -> float:
        """Return when a device begins to sense: weights are loaded on it and on its peers, links are up."""
        joined = {device}
        for costing in self.costings:
            for item in costing.hand_offs:
                joined |= {item.source, item.target} if device in (item.source, item.target) else set()
        loading_us = dict.fromkeys(joined, 0.0)
        for costing in self.costings:
            for segment in costing.candidate.segments:
                if segment.device in joined and segment.residency == 0:
                    loading_us[segment.device] += costing.weights_us[segment.name]
        return max(loading_us.values()) + self.runtime.links_up_us

    def _awake(self, device: str) -> simpy.Event:
        """Wait until the main loop goes round: when it did something, or by its timer."""
        if self._unit(f"{device}.cpu").count:
            return self.env.timeout(0)
        worked = self._worked.setdefault(f"{device}.cpu", self.env.event())
        ahead_us = (self.runtime.first_wake_us - self.env.now) % self.runtime.wake_us
        return self.env.any_of([worked, self.env.timeout(ahead_us)])

    def _transfer(self, hand_off: HandOff, source: _Queue, target: _Queue) -> Process:
        """Send what is in one queue to the other one, on another device."""
        line = self._line(hand_off.link)
        if line.link.medium.shared:  # an answer stands for several frames: they must have room
            frames = frames_of(hand_off.size_bytes, line.link.medium)
            for queue in (source, target):
                queue.deepen(-(-self.runtime.window_frames // (frames.parts * frames.group)))
        chips = {name: self._chip(name) for name in (hand_off.source, hand_off.target, *line.uarts)}
        return Stream(self, line, hand_off, chips, (source, target), self.runtime).send()

    def _line(self, name: str) -> Line:
        if name not in self._lines:
            link = next(item for item in self.problem.links if item.name == name)
            over = [item for costing in self.costings for item in costing.hand_offs if item.link == name]
            group = max(frames_of(item.size_bytes, link.medium).group for item in over)
            rate_bd = 1000 * link.medium.uart_rate_kbps(link.rate_kbps)
            ends = sorted({end for item in over for end in (item.source, item.target)})
            uarts = {end: self._uart(end, group * link.medium.ring_bytes, rate_bd) for end in ends}
            self._lines[name] = Line(self, link, uarts)
        return self._lines[name]

    def _uart(self, device: str, ring_bytes: int, rate_bd: float) -> Uart:
        """Return a UART at the rate nearest to ``rate_bd`` that its clock gives by a whole divider."""
        clock_hz = self._chip(device).clocks.peripheral_hz
        return Uart(self.env, ring_bytes, CONSOLE_BITS * 1e6 * round(clock_hz / rate_bd) / clock_hz)

    def _chip(self, device: str) -> Chip:
        return self.problem.device(device).chip

    def _infer(self, costing: Costing, segment: Segment, source: _Queue, target: _Queue) -> Process:
        work = _inference_of(costing, segment)
        app, cpu, unit = segment.app, f"{segment.device}.cpu", f"{segment.device}.accelerator"
        accelerator = self.accelerators[segment.device]
        alone = accelerator.alone
        priority = next(item.priority for item in self.problem.apps if item.name == app)
        while True:
            run = yield source.front()
            if not alone:  # a segment must not keep the accelerator while it waits for room
                yield target.room()
            with accelerator.request(segment, priority) as turn:
                yield turn
                if turn.loads:
                    yield from self._load_set(segment, run)
                begin_us = self.env.now
                yield from self.work(cpu, (app, run), "load", self._bring_up_us(segment, work))
                source.pop()
                yield self.env.timeout(work["infer"].duration_us)
                self.spans.append(Span(unit, app, run, "infer", begin_us, self.env.now))
                if alone:
                    yield target.room()
                yield from self.work(cpu, (app, run), "unload", work["unload"].duration_us)
                target.push(run)
            self.env.process(self.look_on(segment.device, (app, run), "poll", work["poll"].duration_us))

    def _bring_up_us(self, segment: Segment, work: Mapping[str, Work]) -> float:
        """Return the CPU time before a segment starts: its registers if another one ran, and its input."""
        chip = self.problem.device(segment.device).chip
        accelerator = self.accelerators[segment.device]
        before, accelerator.selected = accelerator.selected, segment
        switch_us = 0.0
        if before not in (None, segment):
            expected = switch_words(segment.last - segment.first + 1, chip.cnn)
            words = self.switches.get(segment.name, expected)
            switch_us = words * chip.cnn.timing.word_ns / 1000
        return switch_us + work["load"].duration_us + work["start"].duration_us

    def _load_times(self) -> dict[tuple[str, int], float]:
        """Return how long each residency set takes to load, by device and number."""
        found: defaultdict[tuple[str, int], float] = defaultdict(float)
        for costing in self.costings:
            for segment in costing.candidate.segments:
                word_us = self._chip(segment.device).cnn.timing.word_ns / 1000
                words = self.loads.get(segment.name)
                load_us = costing.weights_us[segment.name] if words is None else words * word_us
                found[segment.device, segment.residency] += load_us
        return found

    def _load_set(self, segment: Segment, run: int) -> Process:
        """Load the weights of the segment's set, a part at a time: other tasks of the CPU go in between."""
        device, who = segment.device, (segment.app, run)
        cpu, begin_us = self._unit(f"{device}.cpu"), self.env.now
        part_us = self.runtime.load_words * self._chip(device).cnn.timing.word_ns / 1000
        left_us = self._set_us[device, segment.residency]
        self.loads_of_sets[device, segment.residency] += 1
        while left_us > 0:
            with cpu.request(TASK) as turn:
                yield turn
                part_begin_us = self.env.now
                while left_us > 0 and (self.env.now == part_begin_us or not cpu.queue):
                    yield self.env.timeout(min(part_us, left_us))
                    left_us -= part_us
                self.note(f"{device}.cpu", who, "weights", part_begin_us)
        self.spans.append(Span(f"{device}.accelerator", *who, "weights", begin_us, self.env.now))

    def _tail(self, costing: Costing, source: _Queue, target: _Queue) -> Process:
        """Compute the tail piece by piece, so that other tasks of the main loop take their turns."""
        candidate = costing.candidate
        tail_us = sum(work.duration_us for work in _whole(costing) if work.task == "tail")
        pieces = max(1, round(tail_us / _TAIL_PIECE_US))
        while True:
            run = yield source.front()
            yield target.room()
            who = (candidate.app, run)
            for _ in range(pieces):
                yield from self.work(f"{candidate.interact_device}.cpu", who, "tail", tail_us / pieces)
            source.pop()
            target.push(run)

    def _interact(self, costing: Costing, source: _Queue) -> Process:
        candidate = costing.candidate
        device = candidate.interact_device
        app = candidate.app
        if self.problem.device(device).console_bd is None:
            while True:
                run = yield source.front()
                self.shown[app].append((run, self.env.now))
                source.pop()
        character_us = self.runtime.result_character_cycles * 1e6 / self._chip(device).clocks.cpu_hz
        pieces = self._pieces(result_characters(app, costing.result_bytes))
        uart, line = self._console(device)
        while True:
            run = yield source.front()
            with line.request() as mine:
                yield mine
                for i, characters in enumerate(pieces):
                    yield uart.room(self.runtime.console_room_bytes)
                    with self._unit(f"{device}.cpu").request(TASK) as turn:
                        yield turn
                        begin_us = self.env.now
                        if i == 0:
                            self.env.process(self._note_shown(app, run, uart.begin()))
                        left = uart.write(1)  # DMA begins with the first one
                        yield self.env.timeout(characters * character_us)
                        left = uart.write(characters - 1)
                        self.note(f"{device}.cpu", (app, run), "interact", begin_us)
            self.env.process(self._note_line(device, (app, run), sum(pieces) * uart.byte_us, left))
            source.pop()

    def _pieces(self, characters: int) -> list[int]:
        """Return the characters of a result's line that are written at once."""
        most = self.runtime.console_piece_characters
        whole, rest = divmod(characters, most)
        return [most] * whole + [rest] * (rest > 0)

    def _console(self, device: str) -> tuple[Uart, simpy.Resource]:
        """Return the UART for results, and who writes a line to it."""
        if device not in self._consoles:
            rate_bd = self.problem.device(device).console_bd or 1
            uart = self._uart(device, self.runtime.console_ring_bytes, rate_bd)
            self._consoles[device] = (uart, simpy.Resource(self.env))
        return self._consoles[device]

    def _note_shown(self, app: str, run: int, begun: simpy.Event) -> Process:
        yield begun
        self.shown[app].append((run, self.env.now))

    def _note_line(self, device: str, who: tuple[str, int], line_us: float, left: simpy.Event) -> Process:
        yield left
        self.note(f"{device}.console", who, "interact", self.env.now - line_us)


def _whole(costing: Costing) -> list[Work]:
    """Return the work of one run; that of replicas without the share of the runs that each serves."""
    count = len(costing.candidate.devices) if costing.candidate.replicated else 1
    return [replace(item, duration_us=count * item.duration_us) for item in costing.work]


def _inference_of(costing: Costing, segment: Segment) -> dict[str, Work]:
    """Return the work of one segment by task."""
    units = (f"{segment.device}.accelerator", f"{segment.device}.cpu")
    tasks = ("load", "start", "infer", "poll", "unload")
    return {item.task: item for item in _whole(costing) if item.task in tasks and item.units[0] in units}
