"""Secured links in C, over wires in the hands of an attacker.

Truth: what was put in comes out, and nothing else; frames on the wire are opened and made with the PyPI
package ``cryptography`` (``tests/firmware/sealing.py``).
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synergyc.firmware.framing import Frame, FrameKind, decode_frame, encode_frame
from tests.firmware.host_link import HostLink
from tests.firmware.sealing import NONCE_BYTES, Session, frames
from tests.firmware.test_link import (
    PLAN_STEPS,
    Faults,
    bring_up,
    changes_plans,
    check,
    exchange,
    settle,
    start,
    traffic,
)

KEY = bytes(range(1, 33))
OTHER_KEY = bytes(range(2, 34))
_CALLER, _ANSWERER = 0, 1
"""The end with the lower number begins the handshake."""
_WORDS = (10, 3)
_TENSOR = tuple(range(10))


@pytest.fixture
def link(secure_host_link: HostLink) -> Iterator[HostLink]:
    """Both ends with the same key, started."""
    secure_host_link.set_ticks(0)
    for side in (0, 1):
        secure_host_link.set_key(side, KEY)
    start(secure_host_link, _WORDS, 2, 16)
    yield secure_host_link
    secure_host_link.break_generator(broken=False)


def handshake(link: HostLink) -> tuple[Session, list[bytes], list[bytes]]:
    """Bring the link up; return its session and the frames of both ends meanwhile."""
    said: tuple[list[bytes], list[bytes]] = ([], [])
    for _ in range(4):
        for side in (0, 1):
            while link.poll(side):
                pass
            data = link.take_sent(side)
            said[side].extend(frames(data))
            link.deliver(1 - side, data)
    assert link.is_up(0)
    assert link.is_up(1)
    hello, answer = decode_frame(said[_CALLER][0]), decode_frame(said[_ANSWERER][0])
    assert hello is not None
    assert answer is not None
    assert (hello.kind, answer.kind) == (FrameKind.HELLO, FrameKind.HELLO_ACK)
    session = Session(KEY, hello.payload[4:], answer.payload[:NONCE_BYTES])
    return session, *said


def taken(link: HostLink, side: int) -> bytes:
    """Return what an end has to say."""
    while link.poll(side):
        pass
    return link.take_sent(side)


def test_frames_are_those_of_the_standard_cipher(link: HostLink) -> None:
    """Every frame after the caller's hello opens with the session's key; counters are 0, 1, 2 and so on."""
    session, caller, answerer = handshake(link)
    assert len(session.caller) == len(session.answerer) == NONCE_BYTES
    opened = [session.open(item, from_caller=True) for item in caller[1:]]
    answers = [session.open(item, from_caller=False) for item in answerer]
    assert all(item is not None for item in (*opened, *answers))
    for items in (opened, answers):
        assert [item[0] for item in items if item] == list(range(len(items)))


def test_a_call_that_nobody_heard_is_made_again_at_once(link: HostLink) -> None:
    """The caller booted first. The other end waits for a call (200 ticks), not for an answer (1000)."""
    taken(link, _CALLER)
    settle(link, 10)
    assert not link.is_up(_ANSWERER)
    settle(link, 3)
    assert link.is_up(_CALLER)
    assert link.is_up(_ANSWERER)
    assert link.refused(_CALLER) == link.refused(_ANSWERER) == (0, 0)


def test_payloads_cannot_be_read_on_the_wire(link: HostLink) -> None:
    session, _, _ = handshake(link)
    assert link.send(0, 0, 5, _TENSOR)
    data = taken(link, 0)
    first = b"".join(word.to_bytes(4, "little") for word in _TENSOR)[:16]
    assert first not in data
    opened = session.open(frames(data)[0], from_caller=True)
    assert opened is not None
    assert opened[1] == first


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    words=st.lists(st.integers(1, 150), min_size=2, max_size=2),
    depth=st.integers(1, 3),
    payload_words=st.integers(4, 64),
    faults=st.builds(Faults, *(st.sampled_from([0.0, 0.01, 0.1]) for _ in range(4))),
)
def test_every_tensor_arrives_right_and_once(
    secure_host_link: HostLink, seed: int, words: list[int], depth: int, payload_words: int, faults: Faults
) -> None:
    chance = random.Random(seed)  # noqa: S311 - repeatable on purpose
    load = traffic(words, 4, chance)
    for side in (0, 1):
        secure_host_link.set_key(side, KEY)
    start(secure_host_link, words, depth, payload_words * 4)
    exchange(secure_host_link, load, faults, chance)
    check(secure_host_link, load)


def test_a_repeated_frame_is_refused_and_counted(link: HostLink) -> None:
    handshake(link)
    assert link.send(0, 0, 0, _TENSOR)
    recorded = taken(link, 0)
    link.deliver(1, recorded)
    settle(link, 20)
    assert link.receive(1, 0) == (0, _TENSOR)
    before = link.refused(1)
    link.deliver(1, recorded)
    settle(link, 20)
    assert link.receive(1, 0) is None
    assert link.refused(1) == (before[0], before[1] + len(frames(recorded)))


def test_frames_out_of_order_are_refused_and_sent_again(link: HostLink) -> None:
    handshake(link)
    assert link.send(0, 0, 0, _TENSOR)
    parts = frames(taken(link, 0))
    assert len(parts) > 1
    for part in reversed(parts):
        link.deliver(1, part + b"\0")
    settle(link, 400)
    assert link.receive(1, 0) == (0, _TENSOR)
    assert link.refused(1)[1] == len(parts) - 1
    assert link.counts(0, 0)["resent"] > 0


@pytest.mark.parametrize("restarted", [_CALLER, _ANSWERER])
def test_a_recording_is_refused_after_a_reboot(link: HostLink, restarted: int) -> None:
    """The whole conversation is played again to an end that has booted: hello, answer, data."""
    recorded: tuple[list[bytes], list[bytes]] = ([], [])
    assert link.send(0, 0, 0, _TENSOR)
    for _ in range(20):
        for side in (0, 1):
            data = taken(link, side)
            recorded[side].append(data)
            link.deliver(1 - side, data)
        link.advance(20)
    assert link.receive(1, 0) == (0, _TENSOR)
    link.start(restarted, _WORDS, 2, 16)
    for data in recorded[1 - restarted]:
        link.deliver(restarted, data)
        taken(link, restarted)
    assert not link.is_up(restarted)
    assert link.receive(restarted, 0) is None
    assert sum(link.refused(restarted)) > 0
    settle(link, 4000)  # the peer that stayed has to notice the silence first
    bring_up(link)
    assert link.send(0, 0, 1, _TENSOR)
    settle(link, 100)
    assert link.receive(1, 0) == (1, _TENSOR)


def test_a_recorded_hello_does_not_disturb_a_session(link: HostLink) -> None:
    _, caller, _ = handshake(link)
    link.start(_CALLER, _WORDS, 2, 16)
    settle(link, 4000)
    assert link.is_up(0)
    losses = link.losses(_ANSWERER)
    for _ in range(3):
        link.deliver(_ANSWERER, caller[0] + b"\0")
        settle(link, 50)
    assert link.losses(_ANSWERER) == losses
    assert link.send(0, 0, 3, _TENSOR)
    settle(link, 100)
    assert link.receive(1, 0) == (3, _TENSOR)


def test_no_session_has_the_numbers_of_another(link: HostLink) -> None:
    seen = []
    for _ in range(3):
        session, _, _ = handshake(link)
        seen += [session.caller, session.answerer]
        start(link, _WORDS, 2, 16)
    assert len(set(seen)) == len(seen)


def test_a_forged_frame_is_refused_and_counted(link: HostLink) -> None:
    """Right in all but the tag: made with another key, or changed with a mended CRC."""
    session, _, _ = handshake(link)
    data = Frame(FrameKind.DATA, 0, 1, plan=7, count=3, payload=bytes(16))
    stranger = Session(OTHER_KEY, session.caller, session.answerer)
    link.deliver(1, stranger.seal(data, 100, from_caller=True))
    settle(link, 3)
    assert link.refused(1)[0] == 1
    good = decode_frame(session.seal(data, 100, from_caller=True).rstrip(b"\0"))
    assert good is not None
    for position in (0, 5, 20, 35):
        changed = bytearray(good.payload)
        changed[position] ^= 1
        forged = Frame(**(vars(good) | {"payload": bytes(changed)}))
        link.deliver(1, encode_frame(forged))
    for header in ({"sequence": 1}, {"run": 9}, {"stream": 1}, {"fragment": 1}, {"kind": FrameKind.END}):
        link.deliver(1, encode_frame(Frame(**(vars(good) | header))))
    link.deliver(1, encode_frame(Frame(**(vars(good) | {"payload": b"short"}))))
    settle(link, 3)
    assert link.refused(1) == (11, 0)
    assert link.receive(1, 0) is None


def test_what_the_session_key_seals_is_taken(link: HostLink) -> None:
    """The frame of the test above, untouched: its tag is what makes the difference."""
    session, _, _ = handshake(link)
    for fragment in range(3):
        payload = bytes(16 if fragment < 2 else 8)
        data = Frame(
            FrameKind.DATA,
            0,
            1,
            plan=7,
            sequence=fragment,
            fragment=fragment,
            count=3,
            run=4,
            payload=payload,
        )
        link.deliver(1, session.seal(data, 100 + fragment, from_caller=True))
    while link.poll(1):
        pass
    assert link.receive(1, 0) == (4, (0,) * 10)
    assert link.refused(1) == (0, 0)


def test_own_frames_sent_back_are_refused(link: HostLink) -> None:
    handshake(link)
    assert link.send(0, 0, 0, _TENSOR)
    for part in frames(taken(link, 0)):
        frame = decode_frame(part)
        assert frame is not None
        swapped = (frame.session & 0xFF) << 8 | frame.session >> 8
        back = Frame(**(vars(frame) | {"source": 1, "target": 0, "session": swapped}))
        link.deliver(0, encode_frame(back))
    settle(link, 3)
    assert link.refused(0)[0] > 0
    assert link.receive(0, 0) is None


def test_frames_in_the_clear_are_refused(link: HostLink) -> None:
    session, _, _ = handshake(link)
    bytes_of_session = session.caller[0] << 8 | session.answerer[0]
    data = Frame(FrameKind.DATA, 0, 1, plan=7, session=bytes_of_session, count=1, payload=bytes(16))
    link.deliver(1, encode_frame(data))
    settle(link, 3)
    assert link.receive(1, 0) is None
    assert link.refused(1)[0] == 1


def test_different_keys_keep_the_link_down(link: HostLink) -> None:
    link.set_key(1, OTHER_KEY)
    start(link, _WORDS, 2, 16)
    settle(link, 500)
    assert not link.is_up(0)
    assert not link.is_up(1)
    assert link.refused(_CALLER)[0] > 0
    assert [link.obstacle(side) for side in (0, 1)] == ["refused", "refused"]


@pytest.mark.parametrize("without", [0, 1])
def test_an_end_without_a_key_stays_silent(link: HostLink, without: int) -> None:
    link.set_key(without, b"\xff" * 32)
    start(link, _WORDS, 2, 16)
    for _ in range(200):
        said = taken(link, without)
        assert not frames(said)
        link.deliver(without, taken(link, 1 - without))
        link.advance(100)
    assert not link.is_up(without)
    assert link.obstacle(without) == "no key"


def test_a_secured_end_does_not_talk_to_one_in_the_clear(link: HostLink) -> None:
    link.set_key(1, None)
    start(link, _WORDS, 2, 16)
    settle(link, 500)
    assert not link.is_up(0)
    assert not link.is_up(1)


@pytest.mark.parametrize("side", [0, 1])
def test_without_random_numbers_the_link_waits_for_them(link: HostLink, side: int) -> None:
    link.break_generator(broken=True)
    start(link, _WORDS, 2, 16)
    settle(link, 200)
    assert not link.is_up(side)
    link.break_generator(broken=False)
    bring_up(link)


def test_a_lost_peer_comes_back_with_a_new_session(link: HostLink) -> None:
    first, _, _ = handshake(link)
    for _ in range(3000):
        for side in (0, 1):
            taken(link, side)
        link.advance(20)
    assert not link.is_up(0)
    assert not link.is_up(1)
    second, _, _ = handshake(link)
    assert {first.caller, first.answerer}.isdisjoint({second.caller, second.answerer})


_DOUBT_TICKS = 2 * 2000
"""Two beats of the harness, after which an end without a session is believed."""


def _lives(link: HostLink, ticks: int, *, answers: bool = True) -> None:
    """Let both ends talk for so long, or only the caller while the other end is away."""
    for _ in range(ticks // 100):
        for side in (0, 1) if answers else (0,):
            data = taken(link, side)
            if answers:
                link.deliver(1 - side, data)
        link.advance(100)


def test_an_answerer_that_has_booted_is_noticed_after_two_beats(link: HostLink) -> None:
    """Long before it would count as lost, after 40,000 ticks; nothing but frames of the two ends helps."""
    handshake(link)
    assert link.send(0, 0, 1, _TENSOR)
    link.start(_ANSWERER, _WORDS, 2, 16)
    _lives(link, _DOUBT_TICKS + 2500)  # one time-out to ask in, and a beat that may have been heard before
    assert link.is_up(_CALLER)
    assert link.is_up(_ANSWERER)
    assert link.losses(_CALLER) == 1
    assert link.send(0, 0, 2, _TENSOR)
    _lives(link, 1000)
    runs = [item[0] for item in iter(lambda: link.receive(1, 0), None)]
    assert runs[-1] == 2
    assert sum(link.refused(_CALLER)) == 0


def test_a_plea_in_the_clear_ends_no_session_in_which_the_peer_is_heard(link: HostLink) -> None:
    """Recorded from a boot, or made by anybody."""
    link.start(_ANSWERER, _WORDS, 2, 16)
    link.advance(200)  # it was not called in this time
    plea = taken(link, _ANSWERER)
    (frame,) = map(decode_frame, frames(plea))
    assert frame is not None
    assert (frame.kind, frame.payload) == (FrameKind.AGAIN, b"")
    session = handshake(link)[0]
    for _ in range(100):
        link.deliver(_CALLER, plea)
        _lives(link, 500)
    assert link.losses(_CALLER) == link.losses(_ANSWERER) == 0
    opened = [session.open(item, from_caller=True) for item in frames(taken(link, 0))]
    assert None not in opened
    _lives(link, 2000)  # a beat of the answerer, at least
    _lives(link, _DOUBT_TICKS - 2500, answers=False)
    link.deliver(_CALLER, plea)
    taken(link, _CALLER)
    assert link.losses(_CALLER) == 0
    _lives(link, 2500, answers=False)
    link.deliver(_CALLER, plea)  # the peer was silent, too
    said = [item for item in map(decode_frame, frames(taken(link, _CALLER))) if item is not None]
    assert [item.kind for item in said] == [FrameKind.HELLO]


def test_a_plea_of_another_build_is_not_heard(link: HostLink) -> None:
    handshake(link)
    _lives(link, 3 * _DOUBT_TICKS, answers=False)
    link.deliver(_CALLER, encode_frame(Frame(FrameKind.AGAIN, 1, 0, plan=8)))
    taken(link, _CALLER)
    assert link.losses(_CALLER) == 0


@settings(max_examples=30, deadline=None)
@given(noise=st.binary(max_size=3000), framed=st.booleans(), kind=st.integers(0, 15))
def test_noise_neither_crashes_nor_delivers(
    secure_host_link: HostLink, noise: bytes, framed: bool, kind: int
) -> None:
    """Also as the payload of frames that are good in all other respects."""
    link = secure_host_link
    for side in (0, 1):
        link.set_key(side, KEY)
    start(link, _WORDS, 2, 16)
    session, _, _ = handshake(link)
    if framed:
        numbers = session.caller[0] << 8 | session.answerer[0]
        for at in range(0, len(noise), 30):
            part = Frame(kind, 0, 1, plan=7, session=numbers, count=1, payload=noise[at : at + 30])
            link.deliver(1, encode_frame(part))
    else:
        link.deliver(1, noise)
    settle(link, 100)
    assert link.receive(1, 0) is None
    assert link.send(0, 0, 0, _TENSOR)
    settle(link, 500)
    assert link.receive(1, 0) == (0, _TENSOR)


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(PLAN_STEPS, max_size=30))
def test_no_tensor_of_another_plan_arrives(
    secure_host_link: HostLink, steps: list[tuple[str, int, int]]
) -> None:
    for side in (0, 1):
        secure_host_link.set_key(side, KEY)
    changes_plans(secure_host_link, steps)


@pytest.mark.parametrize("side", [0, 1])
def test_either_end_may_begin_a_new_session(link: HostLink, side: int) -> None:
    """The end that is called has to ask for one; the peer is there all the time."""
    settle(link, 200)
    link.carry(side, 1)
    for _ in range(60):
        settle(link, 1)
        assert all(link.hears(end) for end in (0, 1))
    assert all(link.is_up(end) for end in (0, 1))
