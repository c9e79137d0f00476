"""A device of the schedule: its main loop, which asks one task after the other, and what interrupts it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Protocol

import simpy

from synergyc.plan.clock import Clock
from synergyc.plan.types import Span
from synergyc.targets import Chip, Runtime

Process = Generator[simpy.Event, Any, None]
Run = tuple[str, int]
"""An app and the number of a run."""


@dataclass
class Queue:
    """A bounded queue on a device; what is taken from its front stays there until ``pop``."""

    device: Device
    depth: int
    items: list[int] = field(default_factory=list)
    """Numbers of the runs."""

    @property
    def room(self) -> int:
        """Free places."""
        return self.depth - len(self.items)

    def push(self, run: int) -> None:
        """Put a run behind the others."""
        self.items.append(run)
        self.device.changes += 1

    def pop(self) -> None:
        """Free the place of the oldest run."""
        self.items.pop(0)
        self.device.changes += 1


class Task(Protocol):
    """What the main loop asks."""

    @property
    def is_polled(self) -> bool:
        """Whether time alone may make it able to go on, or a look cost more."""

    def look(self) -> float:
        """Return the cycles of asking whether there is something to do."""

    @property
    def is_ready(self) -> bool:
        """Whether it can go on."""

    def work(self) -> Process:
        """Do what can be done at once."""


@dataclass
class _Stretch:
    """Tasks that follow each other in the main loop, either all polled or none."""

    tasks: Sequence[Task]
    is_polled: bool
    refused_at: int = -1
    """``changes`` of the device at which none could go on."""
    look_cycles: float = 0.0
    """Cycles of looking at all of them in vain then."""


def _stretches(tasks: Sequence[Task]) -> list[_Stretch]:
    return [_Stretch(list(group), polled) for polled, group in groupby(tasks, lambda task: task.is_polled)]


class Interrupting(Protocol):
    """What takes a share of the CPU by interrupts."""

    def interrupted_us(self, begin_us: float, end_us: float) -> float:
        """Time that its interrupts took between two moments."""


class WakeTimer:
    """Interrupts the CPU at regular times, from ``first_wake_us`` on."""

    def __init__(self, runtime: Runtime, each_us: float) -> None:
        self._first_us, self._period_us, self._each_us = runtime.first_wake_us, runtime.wake_us, each_us

    def interrupted_us(self, begin_us: float, end_us: float) -> float:
        """See ``Interrupting``."""
        return (self._ticks(end_us) - self._ticks(begin_us)) * self._each_us

    def _ticks(self, at_us: float) -> float:
        return (at_us - self._first_us) // self._period_us


class Device:
    """A CPU with its main loop (templates/firmware/main.c)."""

    def __init__(
        self, env: simpy.Environment, name: str, chip: Chip, runtime: Runtime, note: Callable[[Span], None]
    ) -> None:
        self.env, self.name, self.chip = env, name, chip
        self.clock = Clock(env)
        self.interrupting: list[Interrupting] = []
        self.worked: list[tuple[float, float]] = []
        """(when, how long) of everything that the CPU did, us; interrupts too."""
        self.changes = 0
        """Grows with all after which a task that is not polled may have something to do."""
        self.has_worked = False
        """Whether the task that was asked last has done something."""
        self.round_cycles = runtime.loop.round
        """What a round of the main loop takes beside its tasks."""
        self._runtime, self._note = runtime, note
        self._us_per_cycle = 1e6 / chip.clocks.cpu_hz
        self.interrupting.append(WakeTimer(runtime, self.us(runtime.loop.wake)))
        self._owed_us = 0.0
        self._waiting = False
        self._sleeping: simpy.Event | None = None

    def us(self, cycles: float) -> float:
        """Return the time of CPU cycles."""
        return cycles * self._us_per_cycle

    def idle(self, cycles: float) -> None:
        """Look at something in vain; the time passes before the next work, or sleep."""
        self.clock.ahead_us += cycles * self._us_per_cycle

    def interrupt(self, cycles: float) -> None:
        """Take time from the main loop at this moment."""
        self._owed_us += cycles * self._us_per_cycle

    def interrupted(self, cycles: float) -> None:
        """Note interrupts that ``interrupted_us`` counts, or that came in the main loop's sleep."""
        self.worked.append((self.env.now, cycles * self._us_per_cycle))

    def spend(self, cycles: float, task: str, who: Run) -> Process:
        """Work for run ``who``, interrupted by bytes that come meanwhile."""
        yield from self.pass_by()
        begin_us = self.env.now
        yield from self._work(cycles * self._us_per_cycle)
        self._note(Span(f"{self.name}.cpu", *who, task, begin_us, self.env.now))

    def pass_by(self) -> Process:
        """Let the time of vain looks and of interrupts pass."""
        if self.clock.ahead_us or self._owed_us:
            idle_us, self.clock.ahead_us, self._owed_us = self.clock.ahead_us + self._owed_us, 0.0, 0.0
            yield from self._work(idle_us)

    def _work(self, work_us: float) -> Process:
        """Work for so long, and as much longer as interrupts take meanwhile."""
        left_us = work_us
        while left_us > _SHORTEST_US:
            begin_us = self.env.now
            yield from self.clock.let_pass(left_us)
            taken_us = sum([item.interrupted_us(begin_us, self.env.now) for item in self.interrupting])
            left_us = min(taken_us, _MOST_INTERRUPTED * left_us)
        self.worked.append((self.env.now, work_us))

    def signal(self) -> None:
        """Tell all tasks that something has happened."""
        self.changes += 1
        self.wake()

    def sent(self) -> None:
        """Take the interrupt that tells that DMA has sent a piece."""
        self.interrupt(self._runtime.loop.sent)
        self.wake()

    def console_sent(self) -> None:
        """Do so for the console: whoever waits for its room is asked again."""
        self.changes += 1
        self.sent()

    def wake(self) -> None:
        """Let the main loop go round once more before it sleeps, or wake it."""
        self._waiting = True
        if self._sleeping is not None:
            self._sleeping.succeed()
            self._sleeping = None

    def wake_at(self, at_us: float) -> None:
        """Let the main loop go round when the wake timer next fires at or after a time."""
        ticks = -(-(at_us - self._runtime.first_wake_us) // self._runtime.wake_us)
        wake_us = self._runtime.first_wake_us + ticks * self._runtime.wake_us
        self.clock.at(wake_us, self.signal)

    def run(
        self,
        boot: Process,
        rounds: Sequence[Sequence[Task]],
        turn: Callable[[], int],
        end_of_round: Callable[[], Process],
    ) -> Process:
        """Boot, then go round for good: the tasks in the order of that of ``rounds`` whose ``turn`` it is."""
        yield from boot
        orders = [_stretches(tasks) for tasks in rounds]
        while True:
            busy = False
            for stretch in orders[turn() % len(orders)]:
                if stretch.refused_at == self.changes and self.clock.is_quiet(self.us(stretch.look_cycles)):
                    self.idle(stretch.look_cycles)
                    self.has_worked = False
                else:
                    busy = (yield from self._go_along(stretch)) or busy
            self.idle(self.round_cycles)
            yield from end_of_round()
            if busy:
                continue
            yield from self.pass_by()
            if not self._waiting:
                self._sleeping = self.env.event()
                yield self._sleeping
            self._waiting = False

    def _go_along(self, stretch: _Stretch) -> Generator[simpy.Event, Any, bool]:
        """Look after the tasks of a stretch; return whether any of them worked."""
        busy, before = False, self.changes
        for task in stretch.tasks:
            self.idle(task.look())
            if not self.clock.is_quiet(0.0):
                yield from self.pass_by()  # something happens meanwhile
            self.has_worked = task.is_ready
            if self.has_worked:
                busy = True
                yield from task.work()
        if not (busy or stretch.is_polled) and self.changes == before:
            stretch.refused_at, stretch.look_cycles = before, sum(task.look() for task in stretch.tasks)
        return busy


_SHORTEST_US = 0.1
"""Less than one interrupt takes."""

_MOST_INTERRUPTED = 0.9
"""Bytes that come faster than interrupts take them are lost; the main loop goes on at least so fast."""
