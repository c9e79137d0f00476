"""A device of the schedule with its tasks, in the order of templates/firmware/main.c."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from synergyc.plan.accelerator import Accelerator, Between, Inference
from synergyc.plan.device import Device, Process, Task
from synergyc.plan.stream import LinkTask
from synergyc.plan.tasks import Console, Pause, Sense, Sensing
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
        counted = (self.link_tasks, self.senses, self.inferences, self.tails, self.shows)
        return sum(len(tasks) for tasks in counted)

    def rounds(self) -> list[list[Task]]:
        """Return the tasks in the order of the main loop, for each place of ``shows`` that may be first."""
        senses = [Sensing(task, lambda: self.sensing) for task in self.senses]
        links = self._looked_after(list(self.link_tasks.values()))
        begin = [*links, Pause(self.runtime.loop.console_input), *self._looked_after(senses), *self.merges]
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
        cycles = self.runtime.loop.between
        between = Pause(cycles) if self.accelerator is None else Between(self.accelerator, cycles)
        return [item for task in tasks for item in (task, between)]

    def boot(self) -> Process:
        """Set up clocks, say so on the console, load weights, open the links."""
        device, runtime = self.device, self.runtime
        yield device.env.timeout(runtime.first_wake_us)
        yield from self._say(runtime.boot_characters + len(device.name))
        if self.accelerator is not None:
            power_us = runtime.accelerator_us + 1000 * device.chip.cnn.timing.switch_delay_ms
            yield device.env.timeout(power_us + self.set_us[0])
        for task in self.link_tasks.values():
            task.open()

    def end_of_round(self) -> Process:
        """Begin to sense when all links are up, which is said on the console."""
        if self.sensing:
            return
        if all(link.is_up for task in self.link_tasks.values() for link in task.links):
            yield from self._say(self.runtime.start_characters)
            self.sensing = True
            self.device.signal()

    def _say(self, characters: int) -> Process:
        """Write a line on the console."""
        cycles = characters * self.runtime.result_character_cycles
        yield from self.device.spend(cycles, "start", ("", 0))
        if self.console is not None:
            self.console.uart.write(characters)
