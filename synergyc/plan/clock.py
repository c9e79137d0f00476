"""The time of one device of the schedule, which may be ahead of that of the whole system."""

from __future__ import annotations

from collections.abc import Callable, Generator
from heapq import heappop, heappush
from typing import Any

import simpy


class Clock:
    """A device's time: the system's, and ``ahead_us`` for what it has looked at in vain since then.

    Looks change nothing, so that their time need not pass one by one: it does before something happens to the
    device, and before it works or sleeps. What other devices do meanwhile matters only if it may reach this
    one: it watches their clocks, or those of all.
    """

    def __init__(self, env: simpy.Environment) -> None:
        self.env = env
        self.ahead_us = 0.0
        self.watches_all = False
        """Whether whatever happens on any device may matter here."""
        self._due_us: list[float] = []
        """When something happens here, a heap."""
        self._watched = [self._due_us]

    @property
    def now_us(self) -> float:
        """The time on this device."""
        return self.env.now + self.ahead_us

    def watch(self, other: Clock) -> None:
        """Let what happens by another clock matter here too."""
        self._watched.append(other._due_us)

    def is_quiet(self, time_us: float) -> bool:
        """Return whether nothing is known to happen within ``time_us`` from this device's time on."""
        until_us = self.env.now + self.ahead_us + time_us
        if self.watches_all:
            return self.env.peek() > until_us
        for due_us in self._watched:  # noqa: SIM110 - asked for every look: a generator takes twice as long
            if due_us and due_us[0] <= until_us:
                return False
        return True

    def at(self, at_us: float, action: Callable[[], None]) -> None:
        """Let ``action`` happen at a time."""
        heappush(self._due_us, at_us)

        def happen(_event: simpy.Event) -> None:
            heappop(self._due_us)
            action()

        self.env.timeout(max(0.0, at_us - self.env.now)).callbacks.append(happen)

    def let_pass(self, time_us: float) -> Generator[simpy.Event, Any, None]:
        """Wait until ``time_us`` have passed."""
        heappush(self._due_us, self.env.now + time_us)
        yield self.env.timeout(time_us)
        heappop(self._due_us)
