"""Emulated boards on a desk: the console of each is a pseudo terminal, in place of a serial port."""

from __future__ import annotations

import os
import threading
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from synergyc.manifest import read_manifest
from synergyc.pipeline.emulated import simulation
from synergyc.pipeline.scenario import Scenario, apply, changes

_T = TypeVar("_T")
_STEP_NS = 2_000_000
_UNDISTURBED = Scenario()


@contextmanager
def desk(folder: Path, *, noise: bytes = b"", scenario: Scenario = _UNDISTURBED) -> Iterator[dict[str, str]]:
    """Run a build's devices, and yield the port of each one's console.

    ``noise`` goes into each console shortly after power-up; ``scenario`` says what happens to the devices.
    """
    devices = simulation(folder, read_manifest(folder), scenario)
    terminals = {name: os.openpty() for name in devices.boards}
    for master, slave in terminals.values():
        tty.setraw(slave)
        os.set_blocking(master, False)
    stopped = threading.Event()

    def carry() -> None:
        sent = dict.fromkeys(devices.boards, 0)
        pending = list(changes(scenario.incidents))
        for board in devices.boards.values():
            board.feed(noise, at_ns=1_000_000)
        while not stopped.is_set():
            devices.run(devices.now_ns + _STEP_NS)
            while pending and pending[0].at_ns <= devices.now_ns:
                apply(pending.pop(0), devices, scenario.seed)
            for name, board in devices.boards.items():
                master = terminals[name][0]
                _unless_blocked(lambda: board.feed(os.read(master, 4096)))  # noqa: B023 - called here
                fresh = bytes(board.console_log.data[sent[name] :])
                sent[name] += _unless_blocked(lambda: os.write(master, fresh)) or 0  # noqa: B023

    thread = threading.Thread(target=carry)
    thread.start()
    try:
        yield {name: os.ttyname(slave) for name, (_, slave) in terminals.items()}
    finally:
        stopped.set()
        thread.join()
        for ends in terminals.values():
            for end in ends:
                os.close(end)


@contextmanager
def board_that_says(data: bytes) -> Iterator[str]:
    """Yield the port of a board that answers the first bytes it gets with ``data``."""
    master, slave = os.openpty()
    tty.setraw(slave)

    def answer() -> None:
        if os.read(master, 1):
            os.write(master, data)

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        yield os.ttyname(slave)
    finally:
        os.write(slave, b"x")  # the thread's, if nobody has asked
        thread.join()
        os.close(master)
        os.close(slave)


def _unless_blocked(action: Callable[[], _T]) -> _T | None:
    try:
        return action()
    except BlockingIOError:
        return None
