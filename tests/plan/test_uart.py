"""A UART's ring as the schedule plays it. Truth: port_uart.c with a FIFO of 8 bytes, worked out by hand."""

from __future__ import annotations

import pytest
import simpy

from synergyc.plan.clock import Clock
from synergyc.plan.uart import Uart
from synergyc.targets import load_runtime


def _uart(env: simpy.Environment, ring_bytes: int, sent: list[tuple[float, int]]) -> Uart:
    uart: Uart = Uart(Clock(env), ring_bytes, 2.0, lambda: sent.append((env.now, uart.room)), load_runtime())
    return uart


def test_bytes_leave_in_order_and_room_comes_back_piece_by_piece() -> None:
    env = simpy.Environment()
    sent: list[tuple[float, int]] = []
    uart = _uart(env, 100, sent)
    assert uart.write(30) == 0.0
    assert uart.write(40) == 60.0  # behind the first ones
    assert uart.room == 30
    env.run()
    # The last byte of a piece is in the FIFO when one is being sent and eight are to come.
    assert sent == [(60.0 - 18.0, 60), (140.0 - 18.0, 100)]
    # The ring ends at 100: DMA sends 30 bytes, whose room is free, before it is given the other 20.
    sent.clear()
    assert uart.write(50) == 140.0
    env.run()
    assert sent == [(200.0 - 18.0, 80), (240.0 - 18.0, 100)]


def test_dma_begins_with_a_text_while_it_is_written() -> None:
    env = simpy.Environment()
    sent: list[tuple[float, int]] = []
    uart = _uart(env, 1000, sent)
    assert uart.begin_text(101, lasting_us=20.0) == 0.0
    assert uart.room == 1000 - 101
    env.run(until=20.0)
    uart.end_text()
    env.run()
    # Five bytes come in a microsecond, four at once: the FIFO takes 1, 4 and 4, and then one every 2 us.
    assert [at_us for at_us, _ in sent[:4]] == pytest.approx([0.0, 0.8, 1.6, 26.0 - 18.0])
    assert sent[-1] == (202.0 - 18.0, 1000)
    assert uart.write(1) == 202.0
