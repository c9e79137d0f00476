"""Hand-offs as the link protocol carries them (docs/link-protocol.md), played for the schedule.

A sender keeps at most a window of frames under way, and none beyond the room that its peer announced. A
tensor leaves the sender's queue when all its frames are acknowledged. The receiver answers every frame on a
wire, every few on a shared channel, and tells of room again when its queue is emptied. Answers take the line
the other way, which for small tensors is what limits a link.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import simpy

from synergyc.plan.problem import PlanLink
from synergyc.plan.types import HandOff
from synergyc.plan.uart import Uart
from synergyc.targets import Chip, Medium, Runtime

Process = Generator[simpy.Event, Any, None]
Run = tuple[str, int]
"""An app and the number of a run."""

INTERRUPT, TASK, IDLE = 0, 1, 2
"""Priorities on a CPU; ``IDLE`` is looking for work, which never keeps any waiting for long."""

_PARTS = 16
"""Frames of a tensor are played one by one up to this number, of larger tensors in groups."""


class Queue(Protocol):
    """What a stream needs of a queue between tasks."""

    depth: int
    on_pop: Callable[[], None] | None

    def front(self) -> simpy.Event:
        """Wait for the oldest item."""

    def room(self) -> simpy.Event:
        """Reserve a place."""

    def push(self, run: int) -> None:
        """Fill a reserved place."""

    def pop(self) -> None:
        """Free the place of an item that was taken."""


class Units(Protocol):
    """The units of a system, in the hands of whoever plays them."""

    env: simpy.Environment

    def work(self, unit: str, who: Run, task: str, duration_us: float, priority: int) -> Process:
        """Occupy a unit."""

    def look_on(self, device: str, who: Run, task: str, duration_us: float) -> Process:
        """Go round the main loop before the CPU sleeps."""

    def note(self, unit: str, who: Run, task: str, begin_us: float) -> None:
        """Note that a unit was occupied until now."""


@dataclass(frozen=True)
class Frames:
    """How a tensor is played: ``parts`` of ``group`` frames each, of equal size."""

    parts: int
    group: int
    part_bytes: float
    """On the line between chip and peer or radio module."""


def frames_of(size_bytes: int, medium: Medium) -> Frames:
    """Return the frames of a tensor of ``size_bytes`` on ``medium``."""
    frames = max(1, -(-size_bytes // medium.mtu_bytes))
    parts = -(-frames // -(-frames // _PARTS))
    on_line = size_bytes + frames * (medium.frame_overhead_bytes - medium.air_overhead_bytes)
    return Frames(parts, -(-frames // parts), on_line / parts)


class Line:
    """A wire, or a channel of radio modules: brings what a device's UART sends to its peers."""

    def __init__(self, units: Units, link: PlanLink, uarts: Mapping[str, Uart]) -> None:
        self.units, self.link, self.uarts = units, link, uarts
        self._air = simpy.Resource(units.env)
        self._modules = {name: simpy.Resource(units.env) for name in uarts}

    def carry(
        self, source: str, target: str, count: int, who: Run, task: str, arriving: Callable[[str], None]
    ) -> Process:
        """Send bytes that have room in the source's ring; ends when the target has them.

        ``arriving`` is called for each device at which they arrive, in the middle of that time.
        """
        units, medium, uart = self.units, self.link.medium, self.uarts[source]
        begun, left = uart.begin(), uart.write(count)
        yield begun
        begin_us = units.env.now
        if not medium.shared:
            yield units.env.timeout(count * uart.byte_us / 2)
            arriving(target)
            yield left
            units.note(f"{source}.{self.link.name}", who, task, begin_us)
            return
        yield left
        with self._air.request() as turn:
            yield turn
            begin_us = units.env.now
            air_bytes = count + medium.air_overhead_bytes
            yield units.env.timeout(air_bytes * medium.bits_per_byte * 1000.0 / self.link.rate_kbps)
            units.note(f"{self.link.name}.channel", who, task, begin_us)
        arrived = {name: units.env.process(self._pass_on(name, count, arriving)) for name in self.uarts}
        yield arrived[target]

    def _pass_on(self, device: str, count: int, arriving: Callable[[str], None]) -> Process:
        """Bring a packet through a radio module's UART; modules do not know whom it is for."""
        with self._modules[device].request() as turn:
            yield turn
            half_us = count * self.uarts[device].byte_us / 2
            yield self.units.env.timeout(half_us)
            arriving(device)
            yield self.units.env.timeout(half_us)


class Stream:
    """The tensors of one hand-off, from a queue on one device to one on another."""

    def __init__(
        self,
        units: Units,
        line: Line,
        hand_off: HandOff,
        chips: Mapping[str, Chip],
        queues: tuple[Queue, Queue],
        runtime: Runtime,
    ) -> None:
        self._units, self._line, self._chips = units, line, chips
        self._app, self._source, self._target = hand_off.app, hand_off.source, hand_off.target
        self._from, self._to = queues
        medium = line.link.medium
        self._medium = medium
        self._frames = frames_of(hand_off.size_bytes, medium)
        group = self._frames.group
        self._window = max(2, runtime.window_frames // group)
        shared = runtime.channel_answer_frames
        self._answer_every = max(1, shared // group) if medium.shared else 1
        self._low_credit = shared if medium.shared else runtime.window_frames
        self._answer_bytes = group * (medium.frame_overhead_bytes - medium.air_overhead_bytes)
        # Of the sender: parts sent and acknowledged, tensors retired, parts that there is room for.
        self._sent = self._acked = self._retired = 0
        self._limit = self._announced = self._to.depth * self._frames.parts
        self._moved = units.env.event()
        # Of the receiver: parts that came, tensors that were taken, frames since the last answer.
        self._came = self._taken = self._unanswered = 0
        self._answering = False
        self._last: Run = (self._app, 0)
        self._to.on_pop = self._on_taken

    def send(self) -> Process:
        """Send every tensor of the queue, as window and room allow."""
        env, frames = self._units.env, self._frames
        uart, part_bytes = self._line.uarts[self._source], round(frames.part_bytes)
        while True:
            run = yield self._from.front()
            who = (self._app, run)
            for part in range(frames.parts):
                while self._sent - self._acked >= self._window or self._sent >= self._limit:
                    self._moved = env.event()
                    yield self._moved
                yield uart.room(part_bytes + self._answer_bytes)
                self._sent += 1
                encode_us = self._us(self._source, self._coded(self._medium.cpu.send_byte, part_bytes))
                yield from self._units.work(f"{self._source}.cpu", who, "send", encode_us, TASK)
                env.process(self._carry(who, part_bytes, last=part == frames.parts - 1))

    def _carry(self, who: Run, count: int, *, last: bool) -> Process:
        yield from self._line.carry(
            self._source, self._target, count, who, "transfer", self._interrupts(who, count, "receive")
        )
        cpu = self._medium.cpu
        decode_us = self._us(self._target, self._coded(cpu.decode_byte, count))
        yield from self._units.work(f"{self._target}.cpu", who, "receive", decode_us, TASK)
        self._came += 1
        self._unanswered += 1
        self._last = who
        if last:
            yield self._to.room()  # there is: the sender was told
            self._to.push(who[1])
        self._answer_if_due()
        rest = cpu.receive_frame - self._coded(cpu.send_byte, self._answer_bytes) / self._frames.group
        self._look_on(self._target, who, "receive", rest - cpu.frame)

    def _on_taken(self) -> None:
        self._taken += 1
        self._answer_if_due()

    def _room(self) -> int:
        """Return up to which part there is room at the receiver."""
        return (self._taken + self._to.depth) * self._frames.parts

    def _answer_if_due(self) -> None:
        has_news = self._room() != self._announced
        may_wait = (self._announced - self._came) * self._frames.group < self._low_credit
        if not self._answering and (self._unanswered >= self._answer_every or (may_wait and has_news)):
            self._answering = True
            self._units.env.process(self._answer())

    def _answer(self) -> Process:
        who, count, cpu = self._last, self._answer_bytes, self._medium.cpu
        yield self._line.uarts[self._target].room(count)
        encode_us = self._us(self._target, self._coded(cpu.send_byte, count))
        yield from self._units.work(f"{self._target}.cpu", who, "receive", encode_us, TASK)
        self._answering = False
        self._announced, self._unanswered = self._room(), 0
        came, limit = self._came, self._announced
        yield from self._line.carry(
            self._target, self._source, count, who, "answer", self._interrupts(who, count, "send")
        )
        decode = self._coded(cpu.decode_byte, count)
        yield from self._units.work(f"{self._source}.cpu", who, "send", self._us(self._source, decode), TASK)
        self._acknowledged(came, limit)
        interrupts = (cpu.receive_byte - cpu.decode_byte) * count
        self._look_on(self._source, who, "send", cpu.send_frame - cpu.frame - (decode + interrupts))

    def _acknowledged(self, came: int, limit: int) -> None:
        self._acked, self._limit = max(self._acked, came), max(self._limit, limit)
        while (self._retired + 1) * self._frames.parts <= self._acked:
            self._retired += 1
            self._from.pop()
        if not self._moved.triggered:
            self._moved.succeed()

    def _interrupts(self, who: Run, count: int, task: str) -> Callable[[str], None]:
        """Return what bytes cost the CPU of a device at which they arrive."""
        cpu = self._medium.cpu

        def arriving(device: str) -> None:
            work_us = self._us(device, (cpu.receive_byte - cpu.decode_byte) * count)
            work = self._units.work(f"{device}.cpu", who, task, work_us, INTERRUPT)
            self._units.env.process(work)

        return arriving

    def _look_on(self, device: str, who: Run, task: str, cycles: float) -> None:
        """Go round the main loop before the CPU sleeps again."""
        round_us = self._us(device, max(0.0, cycles))
        self._units.env.process(self._units.look_on(device, who, task, round_us))

    def _coded(self, byte_cycles: float, count: int) -> float:
        return self._medium.cpu.frame + byte_cycles * count

    def _us(self, device: str, cycles: float) -> float:
        return cycles * 1e6 / self._chips[device].clocks.cpu_hz
