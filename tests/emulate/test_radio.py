"""A radio channel between UARTs: times on air, one packet at a time, faults.

Truth: arithmetic of bits and rates.
"""

from __future__ import annotations

from synergyc.emulate.peripherals.uart import Frame
from synergyc.emulate.radio import Channel, ChannelState
from synergyc.emulate.wire import PacketFaults

_BYTE_PS = 10_000_000
"""A byte at 1 Mbd."""


def _state(faults: PacketFaults | None = None) -> tuple[ChannelState, dict[str, list[Frame]]]:
    got: dict[str, list[Frame]] = {name: [] for name in ("a", "b", "c")}
    ends = tuple((name, "uart2") for name in got)
    channel = Channel(ends, uart_bd=1e6, rate_bps=1e6, overhead_bytes=100, faults=faults)
    return ChannelState(channel, {name: frames.append for name, frames in got.items()}), got


def _say(state: ChannelState, sender: str, packet: bytes, start_ps: int) -> int:
    for value in packet:
        state.take(sender, Frame(start_ps, _BYTE_PS, value << 1 | 1 << 9, 10))
        start_ps += _BYTE_PS
    return start_ps


def _bytes(frames: list[Frame]) -> bytes:
    return bytes(frame.levels >> 1 & 0xFF for frame in frames)


def test_a_packet_reaches_all_others_after_its_time_on_air() -> None:
    state, got = _state()
    ready_ps = _say(state, "a", b"hey\0", 0)
    state.grant(None)
    assert not got["a"]
    for name in ("b", "c"):
        assert _bytes(got[name]) == b"hey\0"
        assert got[name][0].start_ps == ready_ps + (4 + 100) * 8 * 1_000_000
        assert got[name][1].start_ps - got[name][0].start_ps == _BYTE_PS


def test_nothing_is_sent_before_the_delimiter_and_empty_packets_never() -> None:
    state, got = _state()
    _say(state, "a", b"\0\0\0hey", 0)
    state.grant(None)
    assert not got["b"]
    assert state.statistics.sent == 0


def test_packets_go_on_air_one_after_the_other() -> None:
    state, got = _state()
    ready_ps = _say(state, "a", b"one\0", 0)
    _say(state, "b", b"two\0", 0)
    state.grant(None)
    air_ps = (4 + 100) * 8 * 1_000_000
    assert got["a"][0].start_ps == ready_ps + 2 * air_ps
    assert _bytes(got["c"]) == b"one\0two\0"
    assert state.busy_ps == {"a": air_ps, "b": air_ps}


def test_the_packet_that_has_waited_longest_is_first_whatever_the_order_of_emulation() -> None:
    state, got = _state()
    _say(state, "a", b"one\0", 3 * _BYTE_PS)
    state.grant(5 * _BYTE_PS)  # somebody may still become ready before it
    assert not got["c"]
    assert state.waiting_ps == 6 * _BYTE_PS
    _say(state, "b", b"two\0", 2 * _BYTE_PS)
    state.grant(5 * _BYTE_PS)
    assert _bytes(got["c"]) == b"two\0"
    state.grant(6 * _BYTE_PS)
    assert _bytes(got["c"]) == b"two\0one\0"


def test_loss_is_of_whole_packets_and_damage_of_one_bit() -> None:
    state, got = _state(PacketFaults(1, loss=0.3, corrupt=0.3))
    packet = bytes(range(1, 52)) + b"\0"
    at_ps = 0
    for _ in range(200):
        at_ps = _say(state, "a", packet, at_ps)
    state.grant(None)
    counts = state.statistics
    assert counts.sent == 400  # to two receivers
    assert 80 < counts.lost < 160
    assert 80 < counts.damaged < 160
    assert len(got["b"]) % len(packet) == 0
