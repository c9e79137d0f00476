"""Virtual time of one device: picoseconds, driven by the CPU's cycle counter, and events at given times."""

from __future__ import annotations

import heapq
from collections.abc import Callable

from synergyc.emulate.clock import NEVER, BlockClock

PS_PER_S = 10**12
PS_PER_NS = 1000


class Event:
    """A scheduled action; ``cancel`` makes it void."""

    __slots__ = ("action", "at_ps")

    def __init__(self, at_ps: int, action: Callable[[int], None] | None) -> None:
        self.at_ps = at_ps
        self.action = action

    def cancel(self) -> None:
        """Do not act when the time comes."""
        self.action = None


class Timeline:
    """Converts cycles to time and keeps events in order.

    Time passes only by CPU cycles (running or asleep), at the frequency of the moment. Events at one time
    act in the order in which they were scheduled.
    """

    def __init__(self, clock: BlockClock, frequency_hz: int) -> None:
        self._clock = clock
        self._frequency_hz = frequency_hz
        self._anchor_ps = 0
        self._anchor_cycles = clock.cycles
        self._events: list[tuple[int, int, Event]] = []
        self._sequence = 0
        self.end_ps: int | None = None
        """Where the CPU stops at the latest."""
        self._due_cycle = 0
        """No event and not the end before this cycle."""

    @property
    def now_ps(self) -> int:
        """The present, at the resolution of blocks of instructions."""
        cycles = self._clock.cycles - self._anchor_cycles
        return self._anchor_ps + cycles * PS_PER_S // self._frequency_hz

    def set_frequency(self, frequency_hz: int) -> None:
        """Let later cycles take 1/frequency_hz seconds."""
        self._anchor_ps = self.now_ps
        self._anchor_cycles = self._clock.cycles
        self._frequency_hz = frequency_hz
        self._lower_limit(self._next_stop_ps())

    def cycle_at(self, at_ps: int) -> int:
        """Return the first cycle count at or after ``at_ps``."""
        return self._anchor_cycles - (self._anchor_ps - at_ps) * self._frequency_hz // PS_PER_S

    def after_cycles(self, cycles: int) -> int:
        """Return the time when the CPU will have counted that many more cycles."""
        total = self._clock.cycles - self._anchor_cycles + cycles
        return self._anchor_ps - -total * PS_PER_S // self._frequency_hz

    def schedule(self, at_ps: int, action: Callable[[int], None]) -> Event:
        """Call ``action(at_ps)`` at a time; a time in the past means as soon as possible."""
        event = Event(at_ps, action)
        self._sequence += 1
        heapq.heappush(self._events, (at_ps, self._sequence, event))
        self._lower_limit(at_ps)
        return event

    def next_ps(self) -> int | None:
        """Return the time of the next event, or None."""
        while self._events and self._events[0][2].action is None:
            heapq.heappop(self._events)
        return self._events[0][0] if self._events else None

    def is_due(self) -> bool:
        """Return whether an event or the end may have come."""
        return self._clock.cycles >= self._due_cycle

    def fire_due(self) -> None:
        """Act on all events whose time has come."""
        while (at_ps := self.next_ps()) is not None and at_ps <= self.now_ps:
            event = heapq.heappop(self._events)[2]
            action, event.action = event.action, None
            if action is not None:
                action(at_ps)

    def set_end(self, end_ps: int | None) -> None:
        """Let the CPU stop at ``end_ps`` at the latest, or only for events."""
        self.end_ps = end_ps
        self._due_cycle = 0

    def lower_end(self, end_ps: int) -> None:
        """Let the CPU stop at ``end_ps`` if it would have run further."""
        if self.end_ps is None or end_ps < self.end_ps:
            self.end_ps = end_ps
            self._lower_limit(end_ps)

    def arm(self) -> None:
        """Set the CPU's limit to the next event or the end, whichever is first."""
        stop_ps = self._next_stop_ps()
        self._due_cycle = NEVER if stop_ps is None else max(self.cycle_at(stop_ps), 0)
        self._clock.limit = self._due_cycle

    def stop_soon(self) -> None:
        """Let the CPU stop before its next block."""
        self._clock.limit = 0

    def sleep_to(self, at_ps: int) -> int:
        """Pass time without executing; returns the cycles that passed."""
        cycles = max(0, self.cycle_at(at_ps) - self._clock.cycles)
        self._clock.cycles += cycles
        return cycles

    def _next_stop_ps(self) -> int | None:
        next_ps = self.next_ps()
        if next_ps is None or self.end_ps is None:
            return self.end_ps if next_ps is None else next_ps
        return min(next_ps, self.end_ps)

    def _lower_limit(self, at_ps: int | None) -> None:
        if at_ps is not None:
            cycle = max(self.cycle_at(at_ps), 0)
            self._due_cycle = min(self._due_cycle, cycle)
            self._clock.limit = min(self._clock.limit, cycle)
