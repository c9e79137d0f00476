"""The link protocol in C, over wires that lose, change, repeat and insert bytes.

Truth: what was put in. Whatever the wire does, each stream's tensors come out right, in order and once;
one that does not come out at all was counted as dropped by its sender.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synergyc.firmware.framing import Frame, FrameKind, encode_frame
from tests.firmware.host_link import HostLink

_STREAMS = (0, 1)
_SIDES = (0, 1)
_ROUNDS = 60_000
_TICKS_PER_ROUND = 20  # the time-out is 1000 ticks


@dataclass(frozen=True)
class Faults:
    """Chances for each chunk of bytes on the wire."""

    lose: float = 0.0
    change: float = 0.0
    repeat: float = 0.0
    insert: float = 0.0


@dataclass
class Traffic:
    """What each side sends on each stream, and what arrived at the other side."""

    sent: dict[tuple[int, int], list[tuple[int, tuple[int, ...]]]]
    arrived: dict[tuple[int, int], list[tuple[int, tuple[int, ...]]]] = field(default_factory=dict)
    ends: dict[tuple[int, int], int] = field(default_factory=dict)


def traffic(words: Sequence[int], tensors: int, chance: random.Random) -> Traffic:
    return Traffic(
        {
            (side, stream): [
                (
                    run,
                    tuple(
                        chance.getrandbits(32) if chance.random() < 0.7 else 0 for _ in range(words[stream])
                    ),
                )
                for run in range(tensors)
            ]
            for side in _SIDES
            for stream in _STREAMS
        }
    )


def disturb(data: bytes, faults: Faults, chance: random.Random) -> bytes:
    if chance.random() < faults.lose:
        return b""
    out = bytearray(data)
    if out and chance.random() < faults.change:
        out[chance.randrange(len(out))] ^= 1 << chance.randrange(8)
    if chance.random() < faults.repeat:
        out += data
    if chance.random() < faults.insert:
        position = chance.randrange(len(out) + 1)
        out[position:position] = chance.randbytes(chance.randrange(1, 6))
    return bytes(out)


def chunks(data: bytes, chance: random.Random) -> Iterator[bytes]:
    while data:
        size = chance.choice((1, 7, 40, 300))
        yield data[:size]
        data = data[size:]


def exchange(link: HostLink, load: Traffic, faults: Faults, chance: random.Random) -> None:
    """Run both ends until all streams have ended in both directions."""
    waiting = {key: [*items, (len(items), None)] for key, items in load.sent.items()}
    load.arrived = {key: [] for key in load.sent}
    for _ in range(_ROUNDS):
        for (side, stream), items in waiting.items():
            if items and link.send(side, stream, *items[0]):
                items.pop(0)
        for side in _SIDES:
            while link.poll(side):
                pass
            for chunk in chunks(link.take_sent(side), chance):
                link.deliver(1 - side, disturb(chunk, faults, chance))
            collect(link, load, side, chance)
        link.advance(_TICKS_PER_ROUND)
        if len(load.ends) == len(load.sent) and all(link.has_ended(side) for side in _SIDES):
            return
    raise AssertionError("the streams did not end")


def collect(link: HostLink, load: Traffic, side: int, chance: random.Random) -> None:
    for stream in _STREAMS:
        if chance.random() < 0.3:
            continue  # a slow reader: the sender has to wait
        item = link.receive(side, stream)
        if item is None:
            continue
        run, words = item
        if words is None:
            load.ends[1 - side, stream] = run
        else:
            load.arrived[1 - side, stream].append((run, words))


def check(link: HostLink, load: Traffic) -> None:
    for (side, stream), sent in load.sent.items():
        arrived = load.arrived[side, stream]
        by_run = dict(sent)
        assert [run for run, _ in arrived] == sorted({run for run, _ in arrived})
        assert all(words == by_run[run] for run, words in arrived)
        assert len(sent) - len(arrived) <= link.counts(side, stream)["dropped"]
        assert load.ends[side, stream] == len(sent)


def start(
    link: HostLink, words: Sequence[int], depth: int, payload_bytes: int, answer_every: int = 1
) -> None:
    for side in _SIDES:
        link.start(side, words, depth, payload_bytes, answer_every=answer_every)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    words=st.lists(st.integers(1, 150), min_size=2, max_size=2),
    depth=st.integers(1, 3),
    payload_words=st.integers(4, 64),
    answer_every=st.sampled_from([1, 4]),
    faults=st.builds(Faults, *(st.sampled_from([0.0, 0.01, 0.1]) for _ in range(4))),
)
def test_every_tensor_arrives_right_and_once(
    host_link: HostLink,
    seed: int,
    words: list[int],
    depth: int,
    payload_words: int,
    answer_every: int,
    faults: Faults,
) -> None:
    chance = random.Random(seed)  # noqa: S311 - repeatable on purpose
    load = traffic(words, 4, chance)
    start(host_link, words, depth, payload_words * 4, answer_every)
    exchange(host_link, load, faults, chance)
    check(host_link, load)


def test_a_good_wire_needs_each_frame_once(host_link: HostLink) -> None:
    chance = random.Random(1)  # noqa: S311
    words = (100, 3)
    load = traffic(words, 20, chance)
    start(host_link, words, 2, 64)
    exchange(host_link, load, Faults(), chance)
    check(host_link, load)
    for side in _SIDES:
        for stream in _STREAMS:
            counts = host_link.counts(side, stream)
            assert (counts["tensors"], counts["dropped"], counts["damaged"]) == (20, 0, 0)
            assert load.arrived[side, stream] == load.sent[side, stream]


@pytest.mark.parametrize("before_wrap", [1, 500, 3000])
def test_the_counter_of_ticks_may_wrap(host_link: HostLink, before_wrap: int) -> None:
    """While the link comes up, and while frames are lost and wait for their time-outs."""
    chance = random.Random(before_wrap)  # noqa: S311
    words = (100, 3)
    load = traffic(words, 8, chance)
    host_link.set_ticks(2**32 - before_wrap)
    start(host_link, words, 2, 64)
    exchange(host_link, load, Faults(lose=0.1, change=0.01), chance)
    check(host_link, load)
    assert [host_link.losses(side) for side in _SIDES] == [0, 0]


def test_a_stream_that_was_quiet_for_long_asks_for_room(host_link: HostLink) -> None:
    """Longer than half of what the counter of ticks counts; the last word about room was lost."""
    words = (10, 3)
    host_link.set_ticks(0)
    start(host_link, words, 1, 64)
    bring_up(host_link)
    assert host_link.send(0, 0, 0, range(10))
    settle(host_link, 100)
    assert host_link.receive(1, 0) == (0, tuple(range(10)))
    host_link.poll(1)
    assert host_link.take_sent(1)  # lost
    for _ in range((2**31 + 10**6) // 30_000):  # the peers live
        host_link.advance(30_000)
        for side in _SIDES:
            host_link.poll(side)
            host_link.deliver(1 - side, host_link.take_sent(side))
    assert all(host_link.is_up(side) for side in _SIDES)
    assert host_link.send(0, 0, 1, range(10))
    settle(host_link, 500)
    assert host_link.receive(1, 0) == (1, tuple(range(10)))


def test_a_lost_peer_makes_runs_dropped_and_counted(host_link: HostLink) -> None:
    """What was under way at once, what comes later after a while; nothing is lost without a count."""
    words = (100, 3)
    start(host_link, words, 2, 64)
    bring_up(host_link)
    assert host_link.send(0, 0, 0, range(100))
    for _ in range(6000):
        host_link.poll(0)
        host_link.take_sent(0)
        host_link.advance(_TICKS_PER_ROUND)
    counts = host_link.counts(0, 0)
    assert (counts["tensors"], counts["dropped"]) == (0, 1)
    assert not host_link.is_up(0)
    assert host_link.losses(0) == 1


def test_a_peer_that_returns_is_found_and_gets_what_comes_next(host_link: HostLink) -> None:
    words = (10, 3)
    start(host_link, words, 2, 16)
    bring_up(host_link)
    for _ in range(3000):  # silence on both sides
        for side in _SIDES:
            host_link.poll(side)
            host_link.take_sent(side)
        host_link.advance(_TICKS_PER_ROUND)
    assert not any(host_link.is_up(side) for side in _SIDES)
    bring_up(host_link)
    assert host_link.send(0, 0, 7, range(10))
    settle(host_link, 100)
    assert host_link.receive(1, 0) == (7, tuple(range(10)))


def test_frames_of_an_older_session_are_ignored(host_link: HostLink) -> None:
    words = (4, 3)
    start(host_link, words, 2, 16)
    bring_up(host_link)
    assert host_link.send(0, 0, 0, range(4))
    host_link.poll(0)
    replayed = host_link.take_sent(0)
    assert replayed
    host_link.start(1, words, 2, 16)
    bring_up(host_link)
    before = host_link.counts(1, 0)["foreign"]
    host_link.deliver(1, replayed)
    settle(host_link, 10)
    assert host_link.counts(1, 0)["foreign"] > before
    assert host_link.receive(1, 0) is None


def test_a_full_reader_stops_the_sender_without_a_drop(host_link: HostLink) -> None:
    words = (10, 3)
    start(host_link, words, 1, 64)
    bring_up(host_link)
    for run in range(2):
        assert host_link.send(0, 0, run, range(10))
        settle(host_link, 4000)
    counts = host_link.counts(0, 0)
    assert (counts["tensors"], counts["dropped"]) == (1, 0)
    assert counts["frames"] < 200  # it asks now and then, it does not shout
    assert host_link.receive(1, 0) == (0, tuple(range(10)))
    settle(host_link, 10)
    assert host_link.receive(1, 0) == (1, tuple(range(10)))


def test_a_restarted_sender_is_heard_again(host_link: HostLink) -> None:
    """Its transfers start from 0 again; they must not be taken for old ones."""
    words = (10, 3)
    start(host_link, words, 2, 16)
    bring_up(host_link)
    for run in range(3):
        assert host_link.send(0, 0, run, range(run, run + 10))
        settle(host_link, 100)
        assert host_link.receive(1, 0) == (run, tuple(range(run, run + 10)))
    host_link.start(0, words, 2, 16)
    bring_up(host_link)
    assert host_link.send(0, 0, 0, range(50, 60))
    settle(host_link, 100)
    assert host_link.receive(1, 0) == (0, tuple(range(50, 60)))


def test_a_restarted_receiver_gets_the_whole_tensor(host_link: HostLink) -> None:
    words = (100, 3)
    start(host_link, words, 2, 16)
    bring_up(host_link)
    assert host_link.send(0, 0, 0, range(100))
    for _ in range(3):  # some fragments only
        host_link.poll(0)
        host_link.deliver(1, host_link.take_sent(0))
        host_link.poll(1)
        host_link.deliver(0, host_link.take_sent(1))
    host_link.start(1, words, 2, 16)
    settle(host_link, 500)
    assert host_link.receive(1, 0) == (0, tuple(range(100)))


def test_devices_of_different_builds_do_not_talk(host_link: HostLink) -> None:
    words = (10, 3)
    host_link.start(0, words, 2, 16, plan_id=0x10007)
    host_link.start(1, words, 2, 16, plan_id=0x20007)  # the same lower half
    settle(host_link, 500)
    assert not host_link.is_up(0)
    assert not host_link.is_up(1)
    assert host_link.counts(0, 0)["foreign"] > 0


@pytest.mark.parametrize(
    "change",
    [
        {"stream": 9},
        {"plan": 8},
        {"source": 5},
        {"target": 0},
        {"session": 0},
        {"fragment": 5},
        {"count": 2},
        {"payload": b"short"},
        {"kind": FrameKind.END},
        {"kind": 15},
    ],
    ids=lambda change: next(iter(change)),
)
def test_frames_that_do_not_fit_the_plan_are_ignored(host_link: HostLink, change: dict[str, object]) -> None:
    words = (4, 3)
    start(host_link, words, 2, 16)
    bring_up(host_link)
    session = (host_link.session(0) & 0xFF) << 8 | host_link.session(1) & 0xFF
    good: dict[str, object] = {
        "kind": FrameKind.DATA,
        "target": 1,
        "plan": 7,
        "session": session,
        "count": 1,
        "payload": bytes(16),
    }
    host_link.deliver(1, encode_frame(Frame(**(good | change))))  # type: ignore[arg-type]
    settle(host_link, 10)
    assert host_link.receive(1, 0) is None
    assert host_link.counts(1, 0)["foreign"] == 1


def test_a_fragment_beyond_the_room_is_ignored(host_link: HostLink) -> None:
    """A peer that does not keep to its credit, or a replayed number, writes nowhere."""
    words = (4, 3)
    start(host_link, words, 1, 16)
    bring_up(host_link)
    session = (host_link.session(0) & 0xFF) << 8 | host_link.session(1) & 0xFF
    for sequence in (1, 2, 31, 32, 1000, 0x7FFF, 0x8000, 0xFFFF):
        frame = Frame(
            FrameKind.DATA, 0, 1, plan=7, session=session, sequence=sequence, count=1, payload=bytes(16)
        )
        host_link.deliver(1, encode_frame(frame))
        settle(host_link, 2)
    assert host_link.receive(1, 0) is None


@settings(max_examples=50, deadline=None)
@given(noise=st.binary(max_size=4000))
def test_noise_neither_crashes_nor_delivers(host_link: HostLink, noise: bytes) -> None:
    words = (10, 3)
    start(host_link, words, 2, 16)
    bring_up(host_link)
    host_link.deliver(1, noise)
    settle(host_link, 100)
    assert host_link.receive(1, 0) is None
    assert host_link.send(0, 0, 0, range(10))
    settle(host_link, 500)
    assert host_link.receive(1, 0) == (0, tuple(range(10)))


def bring_up(link: HostLink) -> None:
    settle(link, 120)
    assert all(link.is_up(side) for side in _SIDES)


def settle(link: HostLink, rounds: int) -> None:
    for _ in range(rounds):
        for side in _SIDES:
            while link.poll(side):
                pass
            link.deliver(1 - side, link.take_sent(side))
        link.advance(_TICKS_PER_ROUND)


PLAN_STEPS = st.one_of(
    st.tuples(st.just("send"), st.sampled_from(_SIDES), st.sampled_from(_STREAMS)),
    st.tuples(st.just("carry"), st.sampled_from(_SIDES), st.integers(0, 2)),
    st.tuples(st.just("lose"), st.sampled_from(_SIDES), st.just(0)),
    st.tuples(st.just("run"), st.integers(1, 30), st.just(0)),
)


def changes_plans(link: HostLink, steps: Sequence[tuple[str, int, int]]) -> None:
    """Change plans at either end at any time: what arrives is right and once; in the end all works."""
    words = (10, 3)
    start(link, words, 2, 16)
    bring_up(link)
    ways = [(side, stream) for side in _SIDES for stream in _STREAMS]
    sent, last = dict.fromkeys(ways, 0), dict.fromkeys(ways, -1)

    def tensor(side: int, stream: int, run: int) -> tuple[int, ...]:
        return tuple(1000 * run + 100 * side + 10 * stream + word for word in range(words[stream]))

    def take() -> None:
        for side, stream in ways:
            while (arrived := link.receive(1 - side, stream)) is not None:
                run, values = arrived
                assert values == tensor(side, stream, run)
                assert last[side, stream] < run < sent[side, stream]
                last[side, stream] = run

    for what, first, second in steps:
        if what == "send":
            run = sent[first, second]
            sent[first, second] += link.send(first, second, run, tensor(first, second, run))
        elif what == "carry":
            link.carry(first, second)
        elif what == "lose":
            link.poll(first)
            link.take_sent(first)
        else:
            settle(link, first)
        take()
    for side in _SIDES:
        link.carry(side, 1)
    settle(link, 300)
    assert all(link.is_up(side) and link.hears(side) for side in _SIDES)
    for side, stream in ways:
        run = sent[side, stream]
        sent[side, stream] += link.send(side, stream, run, tensor(side, stream, run))
    settle(link, 300)
    take()
    assert all(last[way] == sent[way] - 1 for way in ways)


@settings(max_examples=150, deadline=None)
@given(steps=st.lists(PLAN_STEPS, max_size=40))
def test_no_tensor_of_another_plan_arrives(host_link: HostLink, steps: list[tuple[str, int, int]]) -> None:
    changes_plans(host_link, steps)


@pytest.mark.parametrize("side", _SIDES)
def test_a_peer_is_there_while_its_plan_changes(host_link: HostLink, side: int) -> None:
    start(host_link, (10, 3), 2, 16)
    bring_up(host_link)
    host_link.carry(side, 1)
    for _ in range(20):
        settle(host_link, 1)
        assert all(host_link.hears(end) for end in _SIDES)
    assert all(host_link.is_up(end) for end in _SIDES)


def test_a_peer_that_never_answers_is_not_there_for_long(host_link: HostLink) -> None:
    start(host_link, (10, 3), 2, 16)
    bring_up(host_link)
    host_link.carry(0, 1)
    for _ in range(40_000 // _TICKS_PER_ROUND + 2):  # the time after which a peer is lost
        host_link.poll(0)
        host_link.take_sent(0)
        host_link.advance(_TICKS_PER_ROUND)
    assert not host_link.hears(0)
