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
from synergyc.pipeline.run import simulation
from synergyc.pipeline.scenario import Scenario

_T = TypeVar("_T")
_STEP_NS = 2_000_000


@contextmanager
def desk(folder: Path, *, noise: bytes = b"") -> Iterator[dict[str, str]]:
    """Run a build's devices, and yield the port of each one's console.

    ``noise`` goes into each console shortly after power-up.
    """
    devices = simulation(folder, read_manifest(folder), Scenario())
    terminals = {name: os.openpty() for name in devices.boards}
    for master, slave in terminals.values():
        tty.setraw(slave)
        os.set_blocking(master, False)
    stopped = threading.Event()

    def carry() -> None:
        sent = dict.fromkeys(devices.boards, 0)
        for board in devices.boards.values():
            board.feed(noise, at_ns=1_000_000)
        while not stopped.is_set():
            devices.run(devices.now_ns + _STEP_NS)
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


def _unless_blocked(action: Callable[[], _T]) -> _T | None:
    try:
        return action()
    except BlockingIOError:
        return None
