"""The tasks of a device in the schedule, by the rules of templates/firmware/tasks.c."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from synergyc.plan.cpu_work import result_characters, result_cycles
from synergyc.plan.device import Device, Process, Queue, Run
from synergyc.plan.types import Span
from synergyc.plan.uart import Uart
from synergyc.targets import Runtime


@dataclass
class Sense:
    """Takes samples as fast as its readers take them, or when one is due."""

    device: Device
    app: str
    heads: Sequence[Queue]
    """One; of replicas one for each, which get the runs in turn; one without room is passed over."""
    period_us: float
    cycles: float
    """Of the CPU for one sample: its address, and what preparing it takes."""
    runs: int
    runtime: Runtime
    on_sensed: Callable[[Run, float], None]
    next_run: int = 0
    _last: int = -1
    """Of ``heads``: the one that got the last run."""
    _due_us: float | None = None

    @property
    def is_polled(self) -> bool:
        """See ``Task``."""
        return self.period_us > 0

    def look(self) -> float:
        """See ``Task``."""
        return self.runtime.loop.sense_look

    @property
    def is_ready(self) -> bool:
        """See ``Task``."""
        if self._due_us is None:
            self._due_us = self.device.clock.now_us  # the first sample is due at once
        is_due = self.device.clock.now_us >= self._due_us
        return is_due and self.next_run < self.runs and self.heads[self._turn].room > 0

    @property
    def _turn(self) -> int:
        """The next of ``heads`` that has room; if none has, the next one."""
        turns = [(self._last + i) % len(self.heads) for i in range(1, len(self.heads) + 1)]
        return next((turn for turn in turns if self.heads[turn].room), turns[0])

    def work(self) -> Process:
        """See ``Task``."""
        run, turn = self.next_run, self._turn
        yield from self.device.pass_by()
        self.on_sensed((self.app, run), self.device.env.now)
        yield from self.device.spend(self.cycles, "sense", (self.app, run))
        self.heads[turn].push(run)
        self._last = turn
        self.next_run += 1
        if self.period_us:
            self._due_us = (self._due_us or 0.0) + self.period_us
            self.device.wake_at(self._due_us)


@dataclass(frozen=True)
class Pause:
    """What takes time in each round of the main loop and never has anything to do."""

    cycles: float
    is_polled = False
    is_ready = False

    def look(self) -> float:
        """See ``Task``."""
        return self.cycles

    def work(self) -> Process:
        """See ``Task``."""
        yield from ()


class Merge:
    """Passes the results of replicas on in the order of their runs (templates/firmware/replicas.c)."""

    def __init__(self, lanes: Sequence[Queue], target: Queue) -> None:
        self._lanes, self._target = lanes, target
        self._next_run = 0
        self._from: Queue | None = None
        """Where the result in the target has its place until it is taken."""

    is_polled = False

    def look(self) -> float:
        """See ``Task``."""
        return 0.0

    @property
    def is_ready(self) -> bool:
        """See ``Task``."""
        return (self._from is not None and not self._target.items) or self._due is not None

    @property
    def _due(self) -> Queue | None:
        """The lane that holds the next run's result."""
        lanes = (lane for lane in self._lanes if lane.items and lane.items[0] == self._next_run)
        return None if self._target.items else next(lanes, None)

    def work(self) -> Process:
        """See ``Task``."""
        if self._from is not None:
            self._from.pop()
            self._from = None
        lane = self._due
        if lane is not None:
            self._target.push(lane.items[0])
            self._from, self._next_run = lane, self._next_run + 1
        yield from ()


class Tail:
    """Computes what is behind a network, a piece at a time (templates/firmware/tail.c)."""

    def __init__(
        self, device: Device, app: str, queues: tuple[Queue, Queue], pieces: int, piece_us: float
    ) -> None:
        self.device, self.app = device, app
        self._source, self._target = queues
        self._pieces, self._piece_us = pieces, piece_us
        self._left = pieces

    is_polled = False

    def look(self) -> float:
        """See ``Task``."""
        return 0.0

    @property
    def is_ready(self) -> bool:
        """See ``Task``."""
        return bool(self._source.items) and self._target.room > 0

    def work(self) -> Process:
        """See ``Task``."""
        run = self._source.items[0]
        yield from self.device.spend(self._piece_us / self.device.us(1), "tail", (self.app, run))
        self._left -= 1
        if self._left == 0:
            self._left = self._pieces
            self._source.pop()
            self._target.push(run)


class Interact:
    """Writes results on the console, a piece of a line at a time; one line after the other."""

    def __init__(
        self,
        device: Device,
        console: Console,
        place: int,
        app: str,
        source: Queue,
        result_bytes: int,
        on_shown: Callable[[Run, float], None],
    ) -> None:
        self.device, self.app = device, app
        self._console, self._source, self._on_shown = console, source, on_shown
        self._place = place
        self._result_bytes = result_bytes
        self._left: list[int] = []
        """Characters of the pieces of the line that are not written yet; ``_cycles`` for each of them."""
        self._cycles = 0.0

    is_polled = False

    def look(self) -> float:
        """See ``Task``."""
        return self._console.runtime.loop.interact_look

    @property
    def is_ready(self) -> bool:
        """See ``Task``."""
        return bool(self._source.items) and self._console.has_room(self)

    def work(self) -> Process:
        """See ``Task``."""
        device, console, run = self.device, self._console, self._source.items[0]
        yield from device.pass_by()
        who = (self.app, run)
        console.next = self._place + 1
        if not self._left:
            self._left = console.pieces(result_characters(self.app, self._result_bytes, run))
            cycles = console.line_cycles + result_cycles(self.app, self._result_bytes, run)
            self._cycles = cycles / sum(self._left)
        count = self._left.pop(0)
        begin_us = console.uart.begin_text(count, device.us(count * self._cycles))
        if console.writer is None:
            console.writer = self
            self._on_shown(who, begin_us)
        yield from device.spend(count * self._cycles, "interact", who)
        console.uart.end_text()
        end_us = begin_us + count * console.uart.byte_us
        console.note(Span(f"{device.name}.console", *who, "interact", begin_us, end_us))
        if not self._left:
            console.writer = None
            self._source.pop()


class Console:
    """The UART of a device on which results are written; None as UART: it takes no time."""

    def __init__(self, uart: Uart, runtime: Runtime, note: Callable[[Span], None]) -> None:
        self.uart, self.runtime, self.note = uart, runtime, note
        self.line_cycles = 0.0
        """What a line takes more than ``result_cycles``."""
        self.writer: Interact | None = None
        self.next = 0
        """Place of whose turn it is: who has written goes to the end of the row."""

    def has_room(self, asking: Interact) -> bool:
        """Whether nobody else is within a line, and a piece has room."""
        return self.writer in (None, asking) and self.uart.room >= self.runtime.console_room_bytes

    def pieces(self, characters: int) -> list[int]:
        """Return the characters of a result's line that are written at once."""
        most = self.runtime.console_piece_characters
        whole, rest = divmod(characters, most)
        return [most] * whole + [rest] * (rest > 0)


class Shown:
    """An actuator that takes no time."""

    def __init__(
        self, device: Device, app: str, source: Queue, on_shown: Callable[[Run, float], None]
    ) -> None:
        self._device, self._app, self._source, self._on_shown = device, app, source, on_shown

    is_polled = False

    def look(self) -> float:
        """See ``Task``."""
        return 0.0

    @property
    def is_ready(self) -> bool:
        """See ``Task``."""
        return bool(self._source.items)

    def work(self) -> Process:
        """See ``Task``."""
        self._on_shown((self._app, self._source.items[0]), self._device.env.now)
        self._source.pop()
        yield from ()


class Sensing:
    """A task that is asked only once all links of its device are up."""

    def __init__(self, task: Sense, has_begun: Callable[[], bool]) -> None:
        self._task, self._has_begun = task, has_begun

    @property
    def is_polled(self) -> bool:
        """See ``Task``."""
        return self._task.is_polled

    def look(self) -> float:
        """See ``Task``."""
        return self._task.look() if self._has_begun() else 0.0

    @property
    def is_ready(self) -> bool:
        """See ``Task``."""
        return self._has_begun() and self._task.is_ready

    def work(self) -> Process:
        """See ``Task``."""
        return self._task.work()
