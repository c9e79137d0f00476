"""The schedule of chosen plans: every task of every run on its unit, as the firmware executes them.

The firmware has no timetable: each device's main loop asks its tasks in turn, and each goes on when its
input, its unit and room for its output are there. The same loops are played here (``node``, ``device``,
``tasks``, ``accelerator``, ``stream``, ``line``, ``uart``) with the times of the cost model, from boot on, so
that waiting, back-pressure, the turns that apps take on a unit and the moment at which each sensor begins are
in the figures. What is simplified: very large tensors travel in groups of frames, and nothing is lost.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from statistics import median_high

import simpy

from synergyc.plan.accelerator import Accelerator, Inference
from synergyc.plan.costing import Costing
from synergyc.plan.cpu_work import CONSOLE_BITS, whole_runs
from synergyc.plan.device import Device, Queue, Run
from synergyc.plan.fragments import answer_us, fragments_of
from synergyc.plan.layout import WORD_BYTES
from synergyc.plan.line import Channel, Line, Wire
from synergyc.plan.node import Node
from synergyc.plan.placed import Placed, Writes, switch_writes
from synergyc.plan.problem import PlanLink, PlanProblem
from synergyc.plan.stream import Link, LinkTask, stream
from synergyc.plan.tasks import Console, Interact, Merge, Sense, Shown, Tail
from synergyc.plan.types import HELD, AppSchedule, HandOff, Schedule, Segment, Span
from synergyc.plan.uart import Uart
from synergyc.targets import Cnn, Runtime, load_runtime

RUNS = 100
"""Runs of each app that are played: as many as ``synergyc run`` does unless it is told otherwise."""


def schedule(
    problem: PlanProblem,
    costings: Sequence[Costing],
    runs: int = RUNS,
    placed: Mapping[str, Placed] | None = None,
) -> Schedule:
    """Return the schedule of apps that run together, ``runs`` runs of each.

    ``placed``: what segments write and copy, by segment name, where it is known.
    """
    player = _Player(problem, costings, runs, placed or {})
    player.play()
    return Schedule(tuple(player.spans), player.results(), player.busy(), player.loads_per_run())


_TAIL_PIECE_US = 100.0
"""What the firmware computes of a tail before it looks after its other tasks (templates/firmware/tail.c)."""


class _Player:
    """Plays all apps on the units of a system."""

    def __init__(
        self,
        problem: PlanProblem,
        costings: Sequence[Costing],
        runs: int,
        placed: Mapping[str, Placed],
    ) -> None:
        self.problem, self.costings, self.runs = problem, costings, runs
        self.placed = placed
        self.env = simpy.Environment()
        self.runtime: Runtime = load_runtime()
        self.spans: list[Span] = []
        self.sensed: dict[Run, float] = {}
        self.shown: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
        self._left = runs * len(costings)
        self._done = self.env.event()
        self._nodes: dict[str, Node] = {}
        self._lines: dict[str, Line] = {}

    def play(self) -> None:
        """Run until every app has shown all its results."""
        self._open_links()
        for costing in self.costings:
            self._add_app(costing)
        for node in self._nodes.values():
            self._start(node)
        self.env.run(self._done)

    def results(self) -> dict[str, AppSchedule]:
        """Return what each app reached."""
        found = {}
        for costing in self.costings:
            app = costing.candidate.app
            shown = sorted(self.shown[app], key=lambda item: item[1])
            begun = whole_runs(costing.result_bytes)
            steady = [at_us for run, at_us in shown if run >= begun] or [shown[-1][1]]
            span_us = steady[-1] - steady[0]
            delays = [at_us - self.sensed[app, run] for run, at_us in shown]
            rate_hz = (len(steady) - 1) * 1e6 / span_us if span_us else 0.0
            found[app] = AppSchedule(rate_hz, median_high(delays) / 1000, max(delays) / 1000)
        return found

    def busy(self) -> dict[str, float]:
        """Return the share of time that each unit worked, until the first app was done."""
        begin_us = min(self.sensed.values())
        end_us = min(max(at_us for _, at_us in shown) for shown in self.shown.values())
        total: defaultdict[str, float] = defaultdict(float)
        for span in self.spans:
            if not span.unit.endswith(".cpu") and span.task != HELD:
                total[span.unit] += max(0.0, min(span.end_us, end_us) - max(span.begin_us, begin_us))
        for name, node in self._nodes.items():
            worked = (work_us for at_us, work_us in node.device.worked if begin_us < at_us <= end_us)
            total[f"{name}.cpu"] = sum(worked)
        return {unit: time_us / (end_us - begin_us) for unit, time_us in sorted(total.items())}

    def loads_per_run(self) -> dict[tuple[str, int], float]:
        """Return how often each residency set was loaded for each run, by device and number."""
        return {
            (name, number): node.accelerator.loads[number] / self.runs
            for name, node in self._nodes.items()
            if node.accelerator is not None
            for number in node.set_us
        }

    def _node(self, name: str) -> Node:
        if name not in self._nodes:
            chip = self.problem.device(name).chip
            self._nodes[name] = Node(
                Device(self.env, name, chip, self.runtime, self.spans.append), self.runtime
            )
        return self._nodes[name]

    def _start(self, node: Node) -> None:
        """Put the segments on the accelerator, and power the device up."""
        if node.inferences:
            note = self.spans.append
            node.accelerator = Accelerator(node.device, node.inferences, node.set_us, self.runtime, note)
        if len(node.set_us) > 1:  # a set has several runs before the next one is loaded
            heads = {id(head) for task in node.senses for head in task.heads}
            for item in node.inferences:
                for queue in (item.source, item.target):
                    if id(queue) not in heads:
                        queue.depth = max(queue.depth, self.runtime.set_runs)
        if node.console is not None and node.link_tasks:
            node.console.line_cycles = self.runtime.loop.line_among_links
        node.device.round_cycles += node.task_count * self.runtime.loop.round_task
        self.env.process(node.device.run(node.boot(), node.rounds(), node.turn, node.end_of_round))

    # --- links ------------------------------------------------------------------------------------------

    def _open_links(self) -> None:
        """Join the devices of all hand-offs: one UART for each link of the system, one end for each peer."""
        hand_offs = [item for costing in self.costings for item in costing.hand_offs]
        for link in self.problem.links:
            over = [item for item in hand_offs if item.link == link.name]
            if not over:
                continue
            shared = link.medium.shared
            line = Channel(self.env, link, self.spans.append) if shared else Wire(link, self.spans.append)
            pairs = {(item.source, item.target) for item in over}
            pairs |= {(target, source) for source, target in pairs}
            for name in sorted({name for name, _ in pairs}):
                peers = sorted(peer for one, peer in pairs if one == name)
                self._open_link(link, line, name, peers, over)

    def _open_link(
        self, link: PlanLink, line: Line, name: str, peers: Sequence[str], over: Sequence[HandOff]
    ) -> None:
        node, medium = self._node(name), link.medium
        group = max(fragments_of(item.size_bytes, medium).group for item in over)
        rate_bd = 1000 * medium.uart_rate_kbps(link.rate_kbps)
        uart = self._uart(node, group * medium.ring_bytes, rate_bd, node.device.sent)
        task = LinkTask(node.device, line, uart, medium, self.runtime)
        repeat_us = answer_us(link, len(over), self.runtime)
        secure = medium.seal is not None
        task.links = [Link(node.device, peer, repeat_us=repeat_us, secure=secure) for peer in peers]
        node.link_tasks[link.name] = task
        node.device.interrupting.append(task)

    def _uart(self, node: Node, ring_bytes: int, rate_bd: float, on_sent: Callable[[], None]) -> Uart:
        """Return a UART at the rate nearest to ``rate_bd`` that its clock gives by a whole divider."""
        clock_hz = node.device.chip.clocks.peripheral_hz
        byte_us = CONSOLE_BITS * 1e6 * round(clock_hz / rate_bd) / clock_hz
        return Uart(node.device.clock, ring_bytes, byte_us, on_sent, self.runtime)

    # --- apps -------------------------------------------------------------------------------------------

    def _add_app(self, costing: Costing) -> None:
        """Add the tasks of an app: of replicas one chain for each device, joined again before the results."""
        candidate, app = costing.candidate, costing.candidate.app
        hand_offs = list(costing.hand_offs)
        parts = [(s,) for s in candidate.segments] if candidate.replicated else [candidate.segments]
        heads, ends = [], []
        for segments in parts:
            heads.append(queue := self._queue(candidate.sense_device))
            place = candidate.sense_device
            for segment in segments:
                queue, place = self._carry(queue, place, segment.device, hand_offs)
                source, queue = queue, self._queue(segment.device)
                self._add_segment(costing, segment, source, queue)
            queue, _ = self._carry(queue, place, candidate.interact_device, hand_offs)
            ends.append(queue)
        self._add_show(costing, self._add_tail(costing, self._merged(candidate.interact_device, ends)))
        node = self._node(candidate.sense_device)
        period_us = sum(work.duration_us for work in costing.work if work.task == "sense")
        prepare_us = sum(work.duration_us for work in costing.work if work.task == "prepare")
        cpu_hz = self.problem.device(candidate.sense_device).chip.clocks.cpu_hz
        cycles = self.runtime.sense_cycles + prepare_us * cpu_hz / 1e6
        noted = self.sensed.__setitem__
        node.senses.append(Sense(node.device, app, heads, period_us, cycles, self.runs, self.runtime, noted))

    def _merged(self, name: str, ends: Sequence[Queue]) -> Queue:
        """Return the queue of an app's results; those of replicas keep their places until they are taken."""
        if len(ends) == 1:
            return ends[0]
        node = self._node(name)
        target = Queue(node.device, 1)
        node.merges.append(Merge(ends, target))
        return target

    def _queue(self, name: str) -> Queue:
        return Queue(self._node(name).device, self.runtime.queue_tensors)

    def _carry(self, queue: Queue, place: str, target: str, hand_offs: list[HandOff]) -> tuple[Queue, str]:
        """Take what is in a queue to another device, over relays if need be."""
        while place != target:
            hand_off = hand_offs.pop(0)
            source, queue = queue, self._queue(hand_off.target)
            self._add_stream(hand_off, source, queue)
            place = hand_off.target
        return queue, place

    def _add_stream(self, hand_off: HandOff, source: Queue, target: Queue) -> None:
        link = next(item for item in self.problem.links if item.name == hand_off.link)
        if link.medium.shared:  # an answer stands for several frames: they must have room
            fragments = fragments_of(hand_off.size_bytes, link.medium)
            for queue in (source, target):
                depth = -(-self.runtime.window_frames // (fragments.parts * fragments.group))
                queue.depth = max(queue.depth, depth)
        ends = (self._end(hand_off, hand_off.source), self._end(hand_off, hand_off.target))
        stream(hand_off, ends, (source, target), link.medium, self.runtime, ends[1].repeat_us)

    def _end(self, hand_off: HandOff, name: str) -> Link:
        peer = hand_off.target if name == hand_off.source else hand_off.source
        links = self._node(name).link_tasks[hand_off.link].links
        return next(item for item in links if item.peer == peer)

    def _add_segment(self, costing: Costing, segment: Segment, source: Queue, target: Queue) -> None:
        node = self._node(segment.device)
        chip, loop = node.device.chip, self.runtime.loop
        placed = self.placed.get(segment.name) or _about(costing, segment, chip.cnn)
        node.set_us[segment.residency] += placed.weight_words * chip.cnn.timing.word_ns / 1000
        node.inferences.append(
            Inference(
                segment=segment,
                source=source,
                target=target,
                priority=next(item.priority for item in self.problem.apps if item.name == segment.app),
                switch_cycles=placed.switch.cycles(chip, loop) + loop.switch,
                load_cycles=placed.load.load_cycles(chip, loop) + placed.start.cycles(chip, loop),
                infer_us=costing.cycles[segment.name] * 1e6 / chip.cnn.timing.inference_hz,
                unload_cycles=placed.unload.unload_cycles(chip, loop),
                passed_words=costing.passed_bytes.get(segment.name, 0) // WORD_BYTES,
            )
        )

    def _add_tail(self, costing: Costing, queue: Queue) -> Queue:
        """Compute what is behind the network, if anything; return the queue of its results."""
        tail_us = sum(item.duration_us for item in costing.work if item.task == "tail")
        if not tail_us:
            return queue
        name = costing.candidate.interact_device
        node, target = self._node(name), self._queue(name)
        pieces = max(1, round(tail_us / _TAIL_PIECE_US))
        node.tails.append(Tail(node.device, costing.candidate.app, (queue, target), pieces, tail_us / pieces))
        return target

    def _add_show(self, costing: Costing, queue: Queue) -> None:
        name, app = costing.candidate.interact_device, costing.candidate.app
        node = self._node(name)
        rate_bd = self.problem.device(name).console_bd
        if rate_bd is None:
            node.shows.append(Shown(node.device, app, queue, self._on_shown))
            return
        if node.console is None:
            uart = self._uart(node, self.runtime.console_ring_bytes, rate_bd, node.device.console_sent)
            node.console = Console(uart, self.runtime, self.spans.append)
        place = len(node.shows)
        node.shows.append(
            Interact(node.device, node.console, place, app, queue, costing.result_bytes, self._on_shown)
        )

    def _on_shown(self, who: Run, at_us: float) -> None:
        app, run = who
        self.shown[app].append((run, at_us))
        self._left -= 1
        if self._left == 0:
            self._done.succeed()


def _about(costing: Costing, segment: Segment, cnn: Cnn) -> Placed:
    """Return what a segment that is not placed yet is taken to move and write."""
    load, unload = costing.moves[segment.name]
    return Placed(
        load,
        unload,
        switch_writes(segment.last - segment.first + 1, cnn),
        Writes(cnn.quadrants + 1, cnn.quadrants + 1),  # one for each quadrant, and the start
        round(1000 * costing.weights_us[segment.name] / cnn.timing.word_ns),
    )
