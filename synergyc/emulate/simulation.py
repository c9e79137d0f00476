"""Several boards in one virtual time, joined by wires.

The boards run one after the other, each as far as nothing from another board can reach it: a byte takes
its time on the wire, so a board may run ahead of the others by that time (conservative look-ahead). The
order is fixed by virtual time and the boards' positions in the list: two runs are the same.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from synergyc.diagnostics import did_you_mean, fail
from synergyc.emulate.board import Board, UnitStatistics
from synergyc.emulate.core import RunEnd
from synergyc.emulate.peripherals.uart import Frame
from synergyc.emulate.radio import Channel, ChannelState
from synergyc.emulate.timeline import PS_PER_NS
from synergyc.emulate.wire import Fault, Wire, WireStatistics, carry

_STEP_PS = 10**9
"""The longest step of a board, one millisecond, so that the stop condition is asked now and then."""


_NOISE_BYTES = 4096
"""Length of the noise that fills a memory after its power was off, repeated."""


class Ending(Enum):
    """Why a simulation came to its end."""

    STOPPED = "stopped"
    """The stop condition was met."""
    TIME = "time"
    """The time limit was reached."""
    IDLE = "idle"
    """All boards sleep or spin, and no event is left that could change that."""
    HALT = "halt"
    """A board cannot go on: a fault, or something that is not modelled."""


@dataclass(frozen=True)
class Outcome:
    """The end of a run: ``report`` says where each board was, and what went wrong on one that halted."""

    ending: Ending
    at_ns: int
    report: str

    def raise_unless(self, *expected: Ending) -> None:
        """Raise SynergyError unless the run ended in one of the expected ways."""
        if self.ending in expected:
            return
        messages = {
            Ending.STOPPED: "stopped early",
            Ending.TIME: f"did not come to its end within {self.at_ns / 1e6:.3f} ms of virtual time",
            Ending.IDLE: "waits for something that cannot come",
            Ending.HALT: "cannot go on",
        }
        raise fail(
            f"emulation-{self.ending.value}", f"the emulated system {messages[self.ending]}\n{self.report}"
        )


class Simulation:
    """Boards, wires and channels between them; raises SynergyError for ends that are not there."""

    def __init__(
        self, boards: Sequence[Board], wires: Sequence[Wire] = (), channels: Sequence[Channel] = ()
    ) -> None:
        self.boards = {board.name: board for board in boards}
        if len(self.boards) != len(boards):
            raise fail(
                "board-name", "names of boards must be different", have=", ".join(b.name for b in boards)
            )
        self.wires = tuple(wires)
        self.wire_statistics: dict[tuple[str, str], WireStatistics] = {}
        """By the transmitting end, as (board, UART)."""
        self._order = tuple(boards)
        self._dropped: set[str] = set()
        self._stuck: set[str] = set()
        self._lookahead_ps: dict[str, int] = {}
        """Time in which nothing can reach a board after its peer's CPU did something."""
        for wire in wires:
            self._join(wire)
        self.channels = tuple(self._open(channel) for channel in channels)

    @property
    def now_ns(self) -> int:
        """The time that all boards with power have reached, in nanoseconds."""
        running = [board.now_ps for board in self._order if board.name not in self._dropped | self._stuck]
        return min(running or [board.now_ps for board in self._order]) // PS_PER_NS

    @property
    def powered(self) -> tuple[str, ...]:
        """Names of the boards that have power."""
        return tuple(name for name in self.boards if name not in self._dropped)

    def run(
        self, until_ns: int | None = None, stop: Callable[[], bool] | None = None, *, ask_every_ns: int = 0
    ) -> Outcome:
        """Run until a time, until ``stop()`` is true, or until nothing more happens.

        ``stop`` is asked between steps, at most once in ``ask_every_ns`` of virtual time.
        """
        end_ps = None if until_ns is None else until_ns * PS_PER_NS
        ask_ps = 0
        while True:
            activity = self._activity_and_air(end_ps)
            board = min(activity, key=activity.__getitem__) if activity else None
            if board is None or activity[board] >= ask_ps:
                if stop is not None and stop():
                    return self._outcome(Ending.STOPPED)
                ask_ps = activity[board] + ask_every_ns * PS_PER_NS if board else 0
            if board is None:
                return self._finish(end_ps)
            if board.chip.run(self._horizon_ps(board, activity, end_ps)) is RunEnd.HALT:
                return self._outcome(Ending.HALT)

    def drop(self, name: str) -> None:
        """Take the power from a board, from now on; raises SynergyError for unknown names."""
        self._dropped.add(self._board(name).name)

    def restore(self, name: str, seed: int = 0) -> None:
        """Give a board its power back: its memory holds noise of ``seed``, its program begins anew."""
        board = self._board(name)
        self._dropped.discard(name)
        noise = random.Random(seed).randbytes(_NOISE_BYTES)  # noqa: S311 - repeatable on purpose
        board.power_up(max(board.now_ps, self.now_ns * PS_PER_NS), noise)

    def stop(self, name: str) -> None:
        """Let a board's core stand still, with power, until ``resume``; its peripherals miss what comes."""
        self._stuck.add(self._board(name).name)

    def resume(self, name: str) -> None:
        """Let a board's core go on after ``stop``."""
        board = self._board(name)
        self._stuck.discard(name)
        board.chip.core.skip_to(max(board.now_ps, self.now_ns * PS_PER_NS))

    def statistics(self) -> dict[str, UnitStatistics]:
        """Return what the units of each board did since power-up."""
        return {name: board.statistics() for name, board in self.boards.items()}

    def _activity_and_air(self, end_ps: int | None) -> dict[Board, int]:
        """Return the boards' activity after packets have gone on air that no board can come before."""
        while True:
            activity = self._activity(end_ps)
            first_ps = min(activity.values(), default=None)
            waiting = [channel for channel in self.channels if channel.is_due(first_ps)]
            if not waiting:
                return activity
            for channel in waiting:
                channel.grant(first_ps)

    def _activity(self, end_ps: int | None) -> dict[Board, int]:
        """Return, for boards that can do something before the end, the time at which that begins."""
        activity = {}
        for board in self._order:
            still = board.name in self._dropped or board.name in self._stuck
            at_ps = None if still else board.chip.core.next_activity_ps()
            if at_ps is not None and (end_ps is None or at_ps < end_ps):
                activity[board] = at_ps
        return activity

    def _horizon_ps(self, board: Board, activity: dict[Board, int], end_ps: int | None) -> int:
        """Return how far a board may run: no byte of another board can arrive before."""
        horizon_ps = activity[board] + _STEP_PS
        if end_ps is not None:
            horizon_ps = min(horizon_ps, end_ps)
        lookahead_ps = self._lookahead_ps.get(board.name)
        others = [at_ps for other, at_ps in activity.items() if other is not board]
        others += [at_ps for channel in self.channels if (at_ps := channel.waiting_ps) is not None]
        if lookahead_ps is not None and others:
            horizon_ps = min(horizon_ps, min(others) + lookahead_ps)
        return horizon_ps

    def _finish(self, end_ps: int | None) -> Outcome:
        """Bring all boards to one time: the end, or, when nothing is left to happen, the present."""
        powered = [board for board in self._order if board.name not in self._dropped | self._stuck]
        waiting = [board for board in powered if board.chip.core.next_activity_ps() is not None]
        idle = end_ps is None or not waiting
        final_ps = max((board.now_ps for board in powered), default=0) if idle or end_ps is None else end_ps
        for board in powered:
            board.chip.core.wait_to(final_ps)
        return self._outcome(Ending.IDLE if idle else Ending.TIME)

    def _join(self, wire: Wire) -> None:
        ends = [(self._board(name), name, uart) for name, uart in (wire.a, wire.b)]
        statistics = []
        for board, name, uart in ends:
            if (name, uart) in self.wire_statistics:
                raise fail("wire-end", f"{uart} of {name} is wired twice")
            lookahead_ps = min(wire.lookahead_ps, self._lookahead_ps.get(name, wire.lookahead_ps))
            self._lookahead_ps[name] = lookahead_ps
            statistics.append(self.wire_statistics.setdefault((name, uart), WireStatistics()))
            board.uart(uart)
        for index in (0, 1):
            (source, _, source_uart), (target, _, target_uart) = ends[index], ends[1 - index]
            direction = _Direction(
                source, target, target_uart, wire, wire.faults[index], statistics[index], self._dropped
            )
            source.uart(source_uart).on_transmit = direction.carry

    def _open(self, channel: Channel) -> ChannelState:
        """Attach boards to a channel; each runs no further than another one's packet could reach it."""
        state = ChannelState(channel, {})
        for name, uart in channel.ends:
            board = self._board(name)
            known_ps = self._lookahead_ps.get(name, channel.lookahead_ps)
            self._lookahead_ps[name] = min(known_ps, channel.lookahead_ps)
            state.deliver[name] = _Reception(board, uart, self._dropped).receive
            board.uart(uart).on_transmit = _Emission(board, state).send
        return state

    def _board(self, name: str) -> Board:
        if name not in self.boards:
            raise fail("unknown-board", f"there is no board {name!r}", hint=did_you_mean(name, self.boards))
        return self.boards[name]

    def _outcome(self, ending: Ending) -> Outcome:
        lines = []
        for board in self._order:
            halt = board.chip.halt
            reports = [
                *board.chip.core.faults,
                *([halt] if halt not in (None, *board.chip.core.faults) else []),
            ]
            lines += [
                report.diagnostic(board.name, board.image.symbol_at).render() for report in reports if report
            ]
            lines.append("without power" if board.name in self._dropped else board.where())
        return Outcome(ending, max(board.now_ps for board in self._order) // PS_PER_NS, "\n".join(lines))


class _Reception:
    """A board's side of a channel that listens."""

    def __init__(self, board: Board, uart: str, dropped: set[str]) -> None:
        self._name, self._receiver, self._dropped = board.name, board.uart(uart), dropped

    def receive(self, frame: Frame) -> None:
        """Bring a byte to the board if it has power."""
        if self._name not in self._dropped:
            self._receiver.receive(frame)


class _Emission:
    """A board's side of a channel that talks."""

    def __init__(self, board: Board, state: ChannelState) -> None:
        self._board, self._state = board, state

    def send(self, frame: Frame) -> None:
        """Bring a byte to the board's module."""
        self._state.take(self._board.name, frame)
        self._board.chip.timeline.lower_end(frame.end_ps + self._state.channel.lookahead_ps)


class _Direction:
    """One direction of a wire."""

    def __init__(
        self,
        source: Board,
        target: Board,
        target_uart: str,
        wire: Wire,
        fault: Fault | None,
        statistics: WireStatistics,
        dropped: set[str],
    ) -> None:
        self._source, self._target, self._wire, self._fault = source, target, wire, fault
        self._receiver = target.uart(target_uart)
        self._statistics = statistics
        self._dropped = dropped

    def carry(self, frame: Frame) -> None:
        """Bring a frame to the other end; the sender runs no further than a reply could reach it."""
        if frame.rate_bd > self._wire.fastest_bd:
            raise fail(
                "wire-rate",
                f"{self._source.name} sends faster than its wire to {self._target.name} is for",
                need=f"{frame.rate_bd:.0f} bd",
                have=f"{self._wire.rate_bd:.0f} bd",
            )
        if self._target.name in self._dropped:
            self._statistics.sent += 1
            self._statistics.lost += 1
            return
        carry(frame, self._fault, self._statistics, self._receiver.receive, self._wire.delay_ps)
        self._source.chip.timeline.lower_end(frame.end_ps + self._wire.lookahead_ps)
