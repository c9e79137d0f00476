"""Whose run an accelerator takes next, by the firmware's rule (templates/firmware/infer.c)."""

from __future__ import annotations

from collections import Counter
from types import TracebackType

import simpy

from synergyc.plan.types import Segment

_NEXT_US = 1.0
"""From one task in the main loop to the next: what became ready with a result counts in the next choice."""


class Turn(simpy.Event):
    """A run of a segment that is ready: happens when it gets the accelerator, which ``with`` gives back.

    ``loads``: the segment's residency set has to be loaded first.
    """

    def __init__(self, accelerator: Accelerator, segment: Segment, order: int, priority: int) -> None:
        super().__init__(accelerator.env)
        self.accelerator, self.segment = accelerator, segment
        self.order, self.priority = order, priority
        self.loads = False

    def __enter__(self) -> Turn:
        """Ask for the accelerator; yield the turn to wait for it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, where: TracebackType | None
    ) -> None:
        """Leave the accelerator to the next one."""
        self.accelerator.release()


class Accelerator:
    """One device's accelerator: one run at a time, the first residency set in its memories.

    ``segments`` are the device's in the order in which the firmware goes round them; ``set_runs`` is how many
    runs of each of its segments a set begins before another one that waits is loaded.
    """

    def __init__(self, env: simpy.Environment, segments: list[Segment], set_runs: int) -> None:
        self.env = env
        self.selected: Segment | None = None
        self._order = {segment: number for number, segment in enumerate(segments)}
        self._turns = Counter(segment.residency for segment in segments)
        self._set_runs = set_runs
        self._set, self._next = 0, 0
        self._left = set_runs * self._turns[0]
        self._waiting: list[Turn] = []
        self._busy = False

    @property
    def alone(self) -> bool:
        """Whether there is one segment only."""
        return len(self._order) == 1

    @property
    def sets(self) -> int:
        """Number of residency sets."""
        return len(self._turns)

    def request(self, segment: Segment, priority: int) -> Turn:
        """Ask for a run of ``segment``, whose input and place for the result are there."""
        turn = Turn(self, segment, self._order[segment], priority)
        self._waiting.append(turn)
        self._choose_soon()
        return turn

    def release(self) -> None:
        """End the run."""
        self._busy = False
        self._choose_soon()

    def _choose_soon(self) -> None:
        if self._waiting and not self._busy:
            self._busy = True
            self.env.timeout(_NEXT_US).callbacks.append(self._choose)

    def _choose(self, _: simpy.Event) -> None:
        """Take the highest priority; of equal ones a set that has its turn, of these the next in turn."""
        turn = min(self._waiting, key=self._rank)
        self._waiting.remove(turn)
        segment = turn.segment
        turn.loads = segment.residency != self._set
        self._set = segment.residency
        self._left = self._set_runs * self._turns[self._set] if turn.loads else self._left
        self._left = max(0, self._left - 1)
        self._next = turn.order + 1
        turn.succeed()

    def _rank(self, turn: Turn) -> tuple[int, bool, int]:
        has_turn = (turn.segment.residency == self._set) == (self._left > 0)
        return -turn.priority, not has_turn, (turn.order - self._next) % len(self._order)
