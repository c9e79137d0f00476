"""What emulated devices say while they run: console lines, and the log of sensed runs in their memory."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from synergyc.diagnostics import SynergyError, fail
from synergyc.emulate.board import Board
from synergyc.firmware.framing import ConsoleLine, parse_console_line

_LINE_END = ord("\n")
_BYTE_BITS = 10
_LOG_ENTRIES = 32
"""``SENSE_LOG_ENTRIES`` in ``tasks.h``."""
_TICK_RANGE = 1 << 32


@dataclass(frozen=True)
class TimedLine:
    """A checked line and the time at which its first bit was sent."""

    at_ns: int
    line: ConsoleLine


class ConsoleReader:
    """Splits a board's console into checked lines, each byte once."""

    def __init__(self, board: Board) -> None:
        self.lines: list[TimedLine] = []
        self.counts: Counter[str] = Counter()
        """Lines so far, by kind."""
        self.since_boot: Counter[str] = Counter()
        """The same since the device last booted."""
        self.tick_hz = 1
        self.boot_ns = 0
        """Time at which the device's tick counter stood at 0."""
        self._board = board
        self._byte_ns = _BYTE_BITS * 10**9 // board.target.console_rate_bd
        self._position = 0
        self._partial = bytearray()
        self._began_ns = 0

    def poll(self) -> None:
        """Take what the board wrote since the last call."""
        log = self._board.console_log
        for position in range(self._position, len(log.data)):
            if not self._partial:
                self._began_ns = log.times_ns[position] - self._byte_ns
            self._partial.append(log.data[position])
            if log.data[position] == _LINE_END:
                line = parse_console_line(self._partial.decode("ascii", errors="replace"))
                if line is not None:
                    self._take(TimedLine(self._began_ns, line))
                self._partial.clear()
        self._position = len(log.data)

    @property
    def saying(self) -> str:
        """Kind of the line that has begun; empty if none has, or its kind is still to come."""
        return self._partial[1:2].decode("ascii", errors="replace")

    def reports(self, about: str) -> list[ConsoleLine]:
        """Return the statistics lines (kind S) about one thing, of the last report since the last boot."""
        boots, ends = ([i for i, item in enumerate(self.lines) if item.line.kind == kind] for kind in "BE")
        begin = max(boots[-1:] + ends[-2:-1], default=0)
        return [
            item.line for item in self.lines[begin:] if item.line.kind == "S" and item.line.fields[0] == about
        ]

    def _take(self, item: TimedLine) -> None:
        self.lines.append(item)
        if item.line.kind == "B":
            self.since_boot.clear()
            self.tick_hz, ticks = (int(field) for field in item.line.fields[2:4])
            self.boot_ns = item.at_ns - ticks * 10**9 // self.tick_hz
        if item.line.kind == "V":
            del self.since_boot["E"]  # the new plan has runs of its own
        self.counts[item.line.kind] += 1
        self.since_boot[item.line.kind] += 1


@dataclass
class SenseReader:
    """Reads the log of an app's sensor along: which run was sensed when, over all boots of its device."""

    app: str
    board: Board
    console: ConsoleReader
    times_ns: dict[int, list[int]] = field(default_factory=dict)
    """Times of each run, in order; there are several if the device booted again."""
    this_boot: int = 0
    """Runs that were sensed since the device booted."""
    unlogged: int = 0
    """Runs that were sensed faster than the log was read."""
    _boots: int = 0
    _expected_boots: int = 1

    def expect_boot(self) -> None:
        """Do not look into the device's memory before it says that it has booted again."""
        self._expected_boots = self.console.counts["B"] + 1

    @property
    def sensed(self) -> int:
        """All runs that were sensed."""
        return sum(len(times) for times in self.times_ns.values()) + self.unlogged

    def poll(self) -> None:
        """Take what was sensed since the last call; the console must have been read before."""
        boots = self.console.counts["B"]
        if boots != self._boots:
            self._boots, self.this_boot = boots, 0
        if boots < self._expected_boots:
            return
        symbol = f"synergy_sense_log_{self.app}"
        (count,) = self.board.words(symbol, 0, 1)
        if count < self.this_boot:
            return  # the watchdog has reset the device, which has not said so yet
        fresh = min(count - self.this_boot, _LOG_ENTRIES)
        self.unlogged += count - self.this_boot - fresh
        for index in range(count - fresh, count):
            entry = 1 + 2 * (index % _LOG_ENTRIES)
            run, ticks = self.board.words(symbol, entry, 2)
            self.times_ns.setdefault(run, []).append(self._time_ns(ticks))
        self.this_boot = count

    def sensed_before(self, run: int, at_ns: int) -> int | None:
        """Return when ``run`` was sensed last before ``at_ns``; None if that is not known."""
        times = self.times_ns.get(run, [])
        position = bisect_right(times, at_ns)
        return times[position - 1] if position else None

    def _time_ns(self, ticks: int) -> int:
        """Return the time of a tick count, which wraps: the latest one that is not in the future."""
        passed = (self.board.now_ps // 1000 - self.console.boot_ns) * self.console.tick_hz // 10**9
        ticks += max(0, (passed - ticks) // _TICK_RANGE) * _TICK_RANGE
        return self.console.boot_ns + ticks * 10**9 // self.console.tick_hz


def obstacle(device: str, line: ConsoleLine) -> SynergyError:
    """Return the diagnostic for a line of kind K: a secured link that cannot come up."""
    link, why = line.fields
    if why == "no key":
        message = f"device {device!r} has no key for its secured link {link!r}, and keeps it closed"
        return fail("link-key", message, hint=f"synergyc flash DIR --device {device} --key-file FILE")
    return fail(
        "link-key",
        f"device {device!r}: the peer at link {link!r} does not prove that it has the same key",
        hint="flash both boards with the same --key-file; else somebody interferes with the link",
    )


@dataclass(frozen=True)
class AppSenses:
    """The sensors of one app: of its device, and of others that sense under another plan of the images."""

    readers: tuple[SenseReader, ...]

    @property
    def sensed(self) -> int:
        """All runs that were sensed."""
        return sum(reader.sensed for reader in self.readers)

    def times(self, run: int) -> int:
        """Return how often a run with this number was sensed."""
        return sum(len(reader.times_ns.get(run, ())) for reader in self.readers)

    def sensed_before(self, run: int, at_ns: int) -> int | None:
        """Return when ``run`` was sensed last before ``at_ns``; None if that is not known."""
        found = [reader.sensed_before(run, at_ns) for reader in self.readers]
        return max((time_ns for time_ns in found if time_ns is not None), default=None)

    def has_sensed(self, runs: int, powered: Collection[str]) -> bool:
        """Return whether a sensor has delivered so many runs since it booted, or none has power."""
        there = [reader for reader in self.readers if reader.board.name in powered]
        return not there or any(reader.this_boot >= runs for reader in there)


def poll_all(consoles: Iterable[ConsoleReader], senses: Iterable[AppSenses]) -> None:
    """Take everything that is new."""
    for console in consoles:
        console.poll()
    for sense in senses:
        for reader in sense.readers:
            reader.poll()
