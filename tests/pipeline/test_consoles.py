"""The log of sensed runs, read along while devices boot, wrap their tick counter and lose their memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

from synergyc import targets
from synergyc.emulate.board import Board
from synergyc.firmware.framing import ConsoleLine
from synergyc.pipeline.consoles import ConsoleReader, SenseReader, TimedLine

_HZ = 1_000_000


@dataclass
class _Device:
    """What the readers need of a board: its console's rate, its time, and the words of a log."""

    target: targets.Board = field(default_factory=lambda: targets.load_board("max78000fthr"))
    now_ps: int = 0
    log: list[tuple[int, int]] = field(default_factory=list)
    count: int | None = None
    """What memory holds where the log's count is, None: the log's length."""

    def words(self, _symbol: str, first: int, count: int) -> tuple[int, ...]:
        if first == 0:
            return (len(self.log) if self.count is None else self.count,)
        newest = [item for index, item in enumerate(self.log) if index % 32 == (first - 1) // 2][-1]
        return newest[:count]


def _readers(device: _Device) -> tuple[ConsoleReader, SenseReader]:
    console = ConsoleReader(cast(Board, device))
    return console, SenseReader("app", cast(Board, device), console)


def _boot(console: ConsoleReader, at_ns: int, ticks: int = 0) -> None:
    line = ConsoleLine("B", ("wrist", "00000000", str(_HZ), str(ticks)))
    console._take(TimedLine(at_ns, line))


def test_runs_have_the_time_at_which_they_were_sensed() -> None:
    device = _Device()
    console, sense = _readers(device)
    _boot(console, 5_000_000, ticks=2000)  # the counter stood at 0 at 3 ms
    device.log = [(0, 3000), (1, 4000)]
    device.now_ps = 10**10
    sense.poll()
    assert sense.sensed == 2
    assert sense.sensed_before(1, 8_000_000) == 7_000_000
    assert sense.sensed_before(1, 6_000_000) is None


def test_noise_in_memory_is_not_read_before_the_device_has_booted_again() -> None:
    device = _Device(now_ps=10**10)
    console, sense = _readers(device)
    _boot(console, 0)
    device.log = [(0, 10), (1, 20)]
    sense.poll()
    sense.expect_boot()
    device.count = 326_977_607
    sense.poll()
    assert sense.sensed == 2
    device.log, device.count = [(0, 30)], None
    _boot(console, 0)
    sense.poll()
    assert sense.sensed == 3
    assert sense.times_ns[0] == [10_000, 30_000]


def test_more_runs_than_the_log_holds_are_counted() -> None:
    device = _Device(now_ps=10**10)
    console, sense = _readers(device)
    _boot(console, 0)
    device.log = [(run, run) for run in range(40)]
    sense.poll()
    assert (sense.sensed, sense.unlogged) == (40, 8)
    assert min(sense.times_ns) == 8
