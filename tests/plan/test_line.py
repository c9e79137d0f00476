"""Bytes between devices as the schedule plays them. Truth: arithmetic of bytes and rates, by hand."""

from __future__ import annotations

import simpy

from synergyc.plan.clock import Clock
from synergyc.plan.line import Channel, Frame, Reception
from synergyc.plan.problem import PlanLink
from synergyc.plan.types import Span
from synergyc.plan.uart import Uart
from synergyc.targets import load_medium, load_runtime


def _frame(source: str, target: str, count: int) -> Frame:
    return Frame(source, target, count, "transfer", ("app", 0), None)


def test_bytes_are_read_in_groups_of_four_as_they_come() -> None:
    env = simpy.Environment()
    here: list[float] = []
    reception = Reception(Clock(env), lambda _: here.append(env.now))
    reception.arrive(_frame("a", "b", 40), 0.0, 10.0)
    env.run()
    assert here == []  # its device had not opened the UART
    reception.is_open = True
    reception.arrive(_frame("a", "b", 40), 0.0, 10.0)
    env.run(until=95.0)
    assert reception.read(128) == (8, [])
    assert not reception.unread
    env.run()
    assert here == [400.0]
    count, frames = reception.read(128)
    assert (count, [frame.count for frame in frames]) == (32, [40])
    assert reception.came(0.0, 400.0) == 0  # all are read


def test_bytes_that_came_within_a_time_are_those_of_all_frames() -> None:
    """They cost interrupts, whenever a frame begins."""
    reception = Reception(Clock(simpy.Environment()), lambda _: None)
    reception.is_open = True
    reception.arrive(_frame("a", "b", 40), 100.0, 10.0)
    reception.arrive(_frame("a", "b", 20), 600.0, 10.0)
    assert reception.came(0.0, 100.0) == 0
    assert reception.came(300.0, 700.0) == 20 + 10
    assert reception.came(0.0, 2000.0) == 60


def test_a_channel_goes_to_the_packet_that_was_ready_first() -> None:
    env = simpy.Environment()
    medium = load_medium("esp8266")
    spans: list[Span] = []
    channel = Channel(env, PlanLink("air", ("a", "b", "c"), medium, 1000.0), spans.append)
    got: list[tuple[str, float]] = []
    for name in ("a", "b", "c"):
        reception = Reception(Clock(env), lambda frame, name=name: got.append((name, env.now)))  # type: ignore[misc]
        reception.is_open = True
        channel.join(name, reception)
    uarts = {name: Uart(Clock(env), 2048, 10.0, lambda: None, load_runtime()) for name in ("a", "b")}
    channel.send(_frame("a", "c", 100), uarts["a"])  # ready after 1000 us
    channel.send(_frame("b", "c", 40), uarts["b"])  # after 400 us
    env.run()
    air_us = {count: (count + medium.air_overhead_bytes) * 8.0 for count in (40, 100)}
    first_us = 400.0 + air_us[40]
    assert [(span.begin_us, span.end_us) for span in spans] == [
        (400.0, first_us),
        (first_us, first_us + air_us[100]),
    ]
    # Each module passes on what it hears, whoever it is for.
    assert sorted(name for name, _ in got) == ["a", "b", "c", "c"]
