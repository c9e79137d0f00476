"""A timeline of emulated devices in the trace event format that Chrome and Perfetto show.

Format: "Trace Event Format" (Google): complete events ``X`` with begin and duration in microseconds, instant
events ``i``; a process stands for a device, a thread for one of its units.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from synergyc.emulate.board import Board
from synergyc.emulate.peripherals.uart import Frame
from synergyc.emulate.simulation import Simulation

_PS_PER_US = 10**6
_MERGE_PS = 30 * _PS_PER_US
"""Intervals that are closer than this, about three bytes of a UART, are shown as one."""
_CPU, _ACCELERATOR, _FIRST_UART = 0, 1, 2


class _Track:
    """Busy intervals of one unit, merged."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.intervals: list[list[int]] = []

    def add(self, begin_ps: int, end_ps: int) -> None:
        """Note that the unit was busy."""
        if self.intervals and begin_ps - self.intervals[-1][1] < _MERGE_PS:
            self.intervals[-1][1] = max(end_ps, self.intervals[-1][1])
        else:
            self.intervals.append([begin_ps, end_ps])


class Tracer:
    """Listens to all units of a simulation; make one before the simulation runs."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._tracks: dict[tuple[int, int], _Track] = {}
        self._marks: list[dict[str, Any]] = []
        self._awake_ps = dict.fromkeys(simulation.boards, 0)
        self._numbers = {name: number for number, name in enumerate(simulation.boards)}
        for name, board in simulation.boards.items():
            self._listen(self._numbers[name], name, board)
        for channel in simulation.channels:
            channel.keep_log = True

    def mark(self, device: str, what: str, at_ns: int) -> None:
        """Note that something happened to a device."""
        self._marks.append(
            {"name": what, "ph": "i", "s": "p", "ts": at_ns / 1000, "pid": self._numbers[device], "tid": 0}
        )

    def to_text(self) -> str:
        """Return the trace as JSON."""
        for name, board in self._simulation.boards.items():
            self._on_sleep(self._numbers[name], name)(board.now_ps, board.now_ps)
        events = [*self._names(), *self._marks]
        for (device, unit), track in sorted(self._tracks.items()):
            events += [_complete(track.name, begin, end, device, unit) for begin, end in track.intervals]
        for number, channel in enumerate(self._simulation.channels, len(self._numbers)):
            events.append(_named("process_name", number, 0, "radio channel"))
            events += [_complete(sender, begin, end, number, 0) for sender, begin, end in channel.air_log]
        return json.dumps({"displayTimeUnit": "ms", "traceEvents": events})

    def _listen(self, number: int, name: str, board: Board) -> None:
        core, port = board.chip.core, board.chip.accelerator_port
        self._tracks[number, _CPU] = _Track("CPU")
        self._tracks[number, _ACCELERATOR] = _Track("accelerator")
        core.on_sleep = self._on_sleep(number, name)
        port.on_busy = self._tracks[number, _ACCELERATOR].add
        uarts = (board.target.console_uart, *board.target.link_uarts)
        for index, uart_name in enumerate(uarts, _FIRST_UART):
            track = self._tracks[number, index] = _Track(f"{uart_name} sends")
            uart = board.chip.uart(uart_name)
            uart.on_transmit = _heard(track, uart.on_transmit)

    def _on_sleep(self, number: int, name: str) -> Callable[[int, int], None]:
        track = self._tracks[number, _CPU]

        def asleep(begin_ps: int, end_ps: int) -> None:
            if begin_ps > self._awake_ps[name]:
                track.add(self._awake_ps[name], begin_ps)
            self._awake_ps[name] = end_ps

        return asleep

    def _names(self) -> list[dict[str, Any]]:
        named = [_named("process_name", number, 0, name) for name, number in self._numbers.items()]
        for (device, unit), track in sorted(self._tracks.items()):
            named.append(_named("thread_name", device, unit, track.name))
        return named


def _heard(track: _Track, then: Callable[[Frame], None] | None) -> Callable[[Frame], None]:
    def transmit(frame: Frame) -> None:
        track.add(frame.start_ps, frame.end_ps)
        if then is not None:
            then(frame)

    return transmit


def _complete(name: str, begin_ps: int, end_ps: int, device: int, unit: int) -> dict[str, Any]:
    return {
        "name": name,
        "ph": "X",
        "ts": begin_ps / _PS_PER_US,
        "dur": (end_ps - begin_ps) / _PS_PER_US,
        "pid": device,
        "tid": unit,
    }


def _named(what: str, device: int, unit: int, name: str) -> dict[str, Any]:
    return {"name": what, "ph": "M", "pid": device, "tid": unit, "args": {"name": name}}
