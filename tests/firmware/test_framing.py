"""Frames and console lines: Python against C, and both against independent implementations.

Truth: the PyPI package ``cobs`` for byte stuffing, ``zlib.crc32`` for the check.
"""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synergyc.firmware import framing
from synergyc.firmware.framing import Frame
from tests.firmware.host_link import HostLink

# Many zeros and long runs without any, around the 254 bytes that one code byte covers.
_BYTES = st.one_of(
    st.binary(max_size=64),
    st.lists(st.sampled_from([0, 1, 255]), max_size=64).map(bytes),
    st.builds(lambda n, tail: b"\x01" * n + tail, st.integers(252, 256), st.binary(max_size=3)),
    st.builds(lambda n, tail: b"\x01" * n + tail, st.integers(506, 512), st.binary(max_size=3)),
)
_FRAMES = st.builds(
    Frame,
    kind=st.integers(0, 15),
    stream=st.integers(0, 255),
    plan=st.integers(0, 65535),
    source=st.integers(0, 255),
    target=st.integers(0, 255),
    session=st.integers(0, 65535),
    sequence=st.integers(0, 65535),
    fragment=st.integers(0, 65535),
    count=st.integers(0, 65535),
    run=st.integers(0, 2**32 - 1),
    payload=st.one_of(st.binary(max_size=256), st.builds(bytes, st.integers(0, 256))),
)


@given(_BYTES)
def test_cobs_agrees_with_the_cobs_package(plain: bytes) -> None:
    cobs = pytest.importorskip("cobs.cobs", reason="needs the PyPI package cobs")
    assert framing.cobs_encode(plain) == cobs.encode(plain)


@given(_BYTES)
def test_cobs_round_trip_has_no_zero(plain: bytes) -> None:
    encoded = framing.cobs_encode(plain)
    assert 0 not in encoded
    assert framing.cobs_decode(encoded) == plain


@given(st.binary(min_size=1, max_size=40))
def test_cobs_refuses_what_the_cobs_package_refuses(encoded: bytes) -> None:
    cobs = pytest.importorskip("cobs.cobs", reason="needs the PyPI package cobs")
    try:
        expected = cobs.decode(encoded)
    except cobs.DecodeError:
        expected = None
    assert framing.cobs_decode(encoded) == expected


@given(_BYTES)
def test_crc_in_c_agrees_with_zlib(host_link: HostLink, data: bytes) -> None:
    assert host_link.crc32(data) == zlib.crc32(data)


@given(_FRAMES)
def test_c_and_python_write_the_same_frames(host_link: HostLink, frame: Frame) -> None:
    encoded = framing.encode_frame(frame)
    assert host_link.encode(frame) == encoded
    assert len(encoded) <= framing.encoded_bytes(len(frame.payload))
    assert len(encoded) % framing.GROUP_BYTES == 0


@given(_FRAMES)
def test_c_and_python_read_frames_back(host_link: HostLink, frame: Frame) -> None:
    encoded = framing.encode_frame(frame)
    assert framing.decode_frame(encoded.rstrip(b"\0")) == frame
    assert host_link.decode(encoded) == ([frame], 0)


@given(_FRAMES, st.data())
def test_no_changed_frame_is_taken(host_link: HostLink, frame: Frame, data: st.DataObject) -> None:
    encoded = bytearray(framing.encode_frame(frame))
    position = data.draw(st.integers(0, len(encoded.rstrip(b"\0")) - 1))
    encoded[position] ^= 1 << data.draw(st.integers(0, 7))
    good, _ = host_link.decode(bytes(encoded))
    assert good == []


@given(st.binary(max_size=2000))
def test_random_bytes_give_no_frame(host_link: HostLink, noise: bytes) -> None:
    """The chance for a right check in noise is 2**-32."""
    good, damaged = host_link.decode(noise)
    assert good == []
    assert damaged <= noise.count(0)


@given(st.binary(max_size=600), _FRAMES)
def test_a_frame_after_noise_is_read(host_link: HostLink, noise: bytes, frame: Frame) -> None:
    good, _ = host_link.decode(noise + b"\0" + framing.encode_frame(frame))
    assert good == [frame]


@pytest.mark.parametrize(
    "encoded",
    [
        b"",
        b"\x02",
        framing.cobs_encode(b"\x23" + bytes(16)),
        framing.cobs_encode(b"\x13" + bytes(17) + zlib.crc32(b"\x13" + bytes(17)).to_bytes(4, "little")),
    ],
    ids=["empty", "cut", "short", "other version"],
)
def test_bad_frames_are_refused(host_link: HostLink, encoded: bytes) -> None:
    assert framing.decode_frame(encoded) is None
    assert host_link.decode(encoded + b"\0")[0] == []


@given(st.lists(st.text(alphabet="abcXYZ019-_", max_size=8), max_size=5))
def test_console_lines_are_read_back(fields: list[str]) -> None:
    line = framing.console_line("R", *fields)
    assert framing.parse_console_line(line) == framing.ConsoleLine("R", tuple(fields))
    assert framing.parse_console_line("$R,beat,1,00ff" + line) == framing.ConsoleLine("R", tuple(fields))


@pytest.mark.parametrize(
    "line",
    [
        "",
        "$",
        "$R",
        "hello",
        "$R,1*",
        "$R,1*00000000",
        "R,1*" + f"{zlib.crc32(b'R,1'):08x}",
        "$R,\xe9*00000000",
    ],
)
def test_unchecked_lines_are_no_console_lines(line: str) -> None:
    assert framing.parse_console_line(line) is None


def test_a_changed_digit_is_noticed() -> None:
    line = framing.console_line("R", "beat", "1", "00ff")
    assert framing.parse_console_line(line.replace("00ff", "00fe")) is None
