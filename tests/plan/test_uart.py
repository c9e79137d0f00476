"""A UART's ring as the schedule plays it. Truth: the rules of port_uart.c, worked out by hand."""

from __future__ import annotations

import simpy

from synergyc.plan.uart import Uart


def test_bytes_leave_in_order_and_room_comes_back_piece_by_piece() -> None:
    env = simpy.Environment()
    uart = Uart(env, ring_bytes=100, byte_us=2.0)
    seen: dict[str, float] = {}

    def note(name: str, event: simpy.Event) -> None:
        assert event.callbacks is not None
        event.callbacks.append(lambda _: seen.update({name: env.now}))

    note("first left", uart.write(30))
    note("second begins", uart.begin())
    note("second left", uart.write(40))
    note("room for 40", uart.room(40))
    env.run()
    assert seen == {"first left": 60.0, "second begins": 60.0, "second left": 140.0, "room for 40": 140.0}
    # The ring ends at 100: DMA sends 30 bytes, whose room is free, before it is given the other 20.
    note("third left", uart.write(50))
    note("room for 60", uart.room(60))
    note("room for 100", uart.room(100))
    env.run()
    assert seen["third left"] == seen["room for 100"] == 240.0
    assert seen["room for 60"] == 200.0
