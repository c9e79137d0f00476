"""A UART's ring as the schedule plays it. Truth: the rules of port_uart.c, worked out by hand."""

from __future__ import annotations

import simpy

from synergyc.plan.clock import Clock
from synergyc.plan.uart import Uart


def test_bytes_leave_in_order_and_room_comes_back_piece_by_piece() -> None:
    env = simpy.Environment()
    sent: list[tuple[float, int]] = []
    uart = Uart(Clock(env), ring_bytes=100, byte_us=2.0, on_sent=lambda: sent.append((env.now, uart.room)))
    assert uart.write(30) == 0.0
    assert uart.write(40) == 60.0  # behind the first ones
    assert uart.room == 30
    env.run()
    assert sent == [(60.0, 60), (140.0, 100)]
    # The ring ends at 100: DMA sends 30 bytes, whose room is free, before it is given the other 20.
    sent.clear()
    assert uart.write(50) == 140.0
    env.run()
    assert sent == [(200.0, 80), (240.0, 100)]
