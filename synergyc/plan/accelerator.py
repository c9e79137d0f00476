"""An accelerator in the schedule: whose run it takes next, by the rules of templates/firmware/infer.c."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from synergyc.plan.device import Device, Process, Queue
from synergyc.plan.types import HELD, Segment, Span
from synergyc.targets import Runtime


@dataclass(frozen=True)
class Inference:
    """A segment on an accelerator: its queues and the times of one run."""

    segment: Segment
    source: Queue
    target: Queue
    priority: int
    switch_cycles: float
    """Of the CPU, for its registers, when another segment ran before."""
    load_cycles: float
    infer_us: float
    unload_cycles: float
    passed_words: int = 0
    """Words that it does not read but a later segment does."""


class Accelerator:
    """Runs the segments of a device, one run at a time; the first residency set is in its memories.

    Of the segments that are ready the highest priority goes first; of equal ones a set that has its turn, of
    these the next in turn. ``set_us`` is how long each set takes to load.
    """

    def __init__(
        self,
        device: Device,
        inferences: Sequence[Inference],
        set_us: Mapping[int, float],
        runtime: Runtime,
        note: Callable[[Span], None],
    ) -> None:
        self.device, self.inferences = device, inferences
        self.loads: Counter[int] = Counter()
        """How often each set was loaded."""
        self._set_us, self._runtime, self._note = set_us, runtime, note
        self._part_us = runtime.load_words * device.chip.cnn.timing.word_ns / 1000
        self._running: tuple[Inference, int, float] | None = None
        self._loading: tuple[Inference, float, float] | None = None
        """For whom a set is loaded, since when, and what is left of it."""
        self._selected: Inference | None = self._last_of(0)
        self._done = False
        self._done_us = 0.0
        self._segments = Counter(item.segment.residency for item in inferences)
        self._set, self._next = 0, 0
        self._left = self._runs_of(0)
        """Runs that the set has before another one that waits is loaded."""

    is_polled = False

    @property
    def is_busy(self) -> bool:
        """Whether it runs, or weights are being loaded."""
        return self._running is not None or self._loading is not None

    def look(self) -> float:
        """See ``Task``."""
        loop = self._runtime.loop
        if self._running is not None:
            return loop.infer_look
        waiting = sum(bool(item.source.items) for item in self.inferences)
        return loop.choose + len(self.inferences) * loop.choose_segment + waiting * loop.choose_waiting

    @property
    def is_ready(self) -> bool:
        """See ``Task``."""
        if self._running is not None:
            return self._done and self._running[0].target.room > 0
        return self._loading is not None or self._chosen() is not None

    def work(self) -> Process:
        """Take the result of the run that is done, then load a part of a set, or start a run."""
        if self._running is not None:
            yield from self._finish(*self._running)
            self.device.idle(self.look())
        if self._loading is not None:
            yield from self._load(*self._loading)
        elif (chosen := self._chosen()) is not None:
            self._next = self.inferences.index(chosen) + 1
            number = chosen.segment.residency
            if number == self._set:
                yield from self._start(chosen)
            else:
                self._set = number
                self.loads[number] += 1
                yield from self._load(chosen, self.device.env.now, self._set_us[number])

    def _chosen(self) -> Inference | None:
        count = len(self.inferences)
        in_turn = (self.inferences[(self._next + i) % count] for i in range(count))
        return max(filter(self._may_start, in_turn), key=self._rank, default=None)

    def _last_of(self, number: int) -> Inference | None:
        """Return the segment of a set that is selected when it has been loaded."""
        return next((item for item in reversed(self.inferences) if item.segment.residency == number), None)

    def _runs_of(self, number: int) -> int:
        return self._runtime.set_runs * self._segments[number]

    def _rank(self, item: Inference) -> tuple[int, bool]:
        has_turn = (item.segment.residency == self._set) == (self._left > 0)
        return item.priority, has_turn

    def _may_start(self, item: Inference) -> bool:
        """A single segment may start before there is room; of several one could keep the others waiting."""
        may_wait = len(self.inferences) == 1 and not item.passed_words
        return bool(item.source.items) and (may_wait or item.target.room > 0)

    def _load(self, item: Inference, begin_us: float, left_us: float) -> Process:
        """Load a part of the set, or what is left of it, and start the run that it was loaded for."""
        who = (item.segment.app, item.source.items[0])
        part_us = min(left_us, self._part_us)
        yield from self.device.spend(part_us / self.device.us(1), "weights", who)
        self._loading = (item, begin_us, left_us - part_us)
        if left_us <= part_us:
            self._note(
                Span(f"{self.device.name}.accelerator", *who, "weights", begin_us, self.device.env.now)
            )
            self._loading, self._left = None, self._runs_of(self._set)
            self._selected = self._last_of(self._set)
            yield from self._start(item)

    def _start(self, item: Inference) -> Process:
        device, who = self.device, (item.segment.app, item.source.items[0])
        yield from device.pass_by()
        begin_us = device.env.now
        switch_cycles = item.switch_cycles if self._selected is not item else 0.0
        self._selected = item
        self._left = max(0, self._left - 1)
        cycles = switch_cycles + item.load_cycles + self._runtime.loop.start
        yield from device.spend(cycles, "load", who)
        self._running, self._done = (item, who[1], begin_us), False
        device.clock.at(device.env.now + item.infer_us, self._on_done)
        if item.passed_words:
            yield from device.spend(item.passed_words * self._runtime.loop.pass_word, "pass", who)
        device.idle(self._runtime.loop.started)
        item.source.pop()

    def _on_done(self) -> None:
        self._done, self._done_us = True, self.device.env.now
        self.device.interrupt(self._runtime.loop.done)
        self.device.signal()

    def _finish(self, item: Inference, run: int, begin_us: float) -> Process:
        device, who, unit = self.device, (item.segment.app, run), f"{self.device.name}.accelerator"
        self._note(Span(unit, *who, "infer", begin_us, self._done_us))
        self._note(Span(unit, *who, HELD, self._done_us, device.env.now))
        unload_us = device.env.now
        cycles = item.unload_cycles + self._runtime.loop.finish
        yield from device.spend(cycles, "unload", who)
        self._note(Span(unit, *who, "unload", unload_us, device.env.now))
        item.target.push(run)
        self._running = None


class Between:
    """The accelerator between two other tasks: asked if it works, or the task before has done something.

    Otherwise no segment can have become ready.
    """

    def __init__(self, accelerator: Accelerator, cycles: float) -> None:
        self._accelerator, self._device, self._cycles = accelerator, accelerator.device, cycles

    is_polled = False

    @property
    def _is_asked(self) -> bool:
        return self._device.has_worked or self._accelerator.is_busy

    def look(self) -> float:
        """See ``Task``."""
        return self._cycles + (self._accelerator.look() if self._is_asked else 0.0)

    @property
    def is_ready(self) -> bool:
        """See ``Task``."""
        return self._is_asked and self._accelerator.is_ready

    def work(self) -> Process:
        """See ``Task``."""
        return self._accelerator.work()
