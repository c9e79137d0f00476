"""A device of the schedule with its tasks, in the order of templates/firmware/main.c."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from synergyc.plan.accelerator import Accelerator, Between, Inference
from synergyc.plan.device import Device, Process, Task
from synergyc.plan.stream import LinkTask
from synergyc.plan.tasks import Console, Sense, Sensing
from synergyc.targets import Runtime


class Node:
    """What a device has while its tasks are collected."""

    def __init__(self, device: Device, runtime: Runtime) -> None:
        self.device, self.runtime = device, runtime
        self.inferences: list[Inference] = []
        self.senses: list[Sense] = []
        self.merges: list[Task] = []
        self.tails: list[Task] = []
        self.shows: list[Task] = []
        """What delivers results; they take turns."""
        self.link_tasks: dict[str, LinkTask] = {}
        self.console: Console | None = None
        self.accelerator: Accelerator | None = None
        self.set_us: defaultdict[int, float] = defaultdict(float)
        """How long each residency set takes to load."""
        self.sensing = False

    @property
    def task_count(self) -> int:
        """How many tasks the main loop asks whether they have ended."""
        return len(self.senses) + len(self.inferences) + len(self.tails) + len(self.shows)

    def rounds(self) -> list[list[Task]]:
        """Return the tasks in the order of the main loop, for each place of ``shows`` that may be first."""
        senses = [Sensing(task, lambda: self.sensing) for task in self.senses]
        begin = [*self._looked_after([*self.link_tasks.values(), *senses]), *self.merges]
        begin = begin if self.accelerator is None else [self.accelerator, *begin]
        return [
            begin + self._looked_after([*self.tails, *self.shows[first:], *self.shows[:first]])
            for first in range(max(1, len(self.shows)))
        ]

    def turn(self) -> int:
        """Return the place of ``shows`` that is first in this round."""
        return 0 if self.console is None else self.console.next

    def _looked_after(self, tasks: Sequence[Task]) -> list[Task]:
        """Let the accelerator be looked after behind each task."""
        if self.accelerator is None:
            return list(tasks)
        between = Between(self.accelerator)
        return [item for task in tasks for item in (task, between)]

    def boot(self) -> Process:
        """Set up clocks, load weights, open the links."""
        yield self.device.env.timeout(self.runtime.first_wake_us + self.set_us[0])
        for task in self.link_tasks.values():
            task.open()

    def end_of_round(self) -> Process:
        """Begin to sense when all links are up, which is said on the console."""
        if self.sensing:
            return
        if all(link.is_up for task in self.link_tasks.values() for link in task.links):
            count = self.runtime.start_characters
            yield from self.device.spend(count * self.runtime.result_character_cycles, "start", ("", 0))
            if self.console is not None:
                self.console.uart.write(count)
            self.sensing = True
            self.device.signal()
