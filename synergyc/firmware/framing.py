"""The link protocol's frames and the console's lines, as the firmware writes and reads them.

The mirror of ``framing.c`` and ``console.c``: for hosts that talk to devices, and for tests.
Formats: ``docs/link-protocol.md`` and ``docs/firmware.md``.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, replace
from enum import IntEnum

VERSION = 2
DELIMITER = b"\0"
_HEADER = struct.Struct("<BBBBHHHHHI")
HEADER_BYTES = _HEADER.size
HEADER_FIELDS = (
    *("kind", "source", "target", "stream", "plan"),
    *("session", "sequence", "fragment", "count", "run"),
)
"""Fields of a frame in the order of its header."""
CRC_BYTES = 4
GROUP_BYTES = 4
"""Encoded frames are filled up with delimiters to multiples of this (``FRAME_GROUP_BYTES``)."""
_COBS_RUN = 254
"""Longest run of non-zero bytes behind one code byte (Cheshire and Baker, section 3)."""


class FrameKind(IntEnum):
    """What a frame says; numbers as in ``framing.h``."""

    HELLO = 1
    HELLO_ACK = 2
    DATA = 3
    END = 4
    ACK = 5
    ASK = 6
    BEAT = 7
    SAMPLE = 8
    WHO = 9
    AGAIN = 10


@dataclass(frozen=True)
class Frame:
    """A frame; ``kind`` may be a number that no FrameKind has, others are as in ``framing.h``."""

    kind: int
    source: int = 0
    target: int = 0
    stream: int = 0
    plan: int = 0
    session: int = 0
    sequence: int = 0
    fragment: int = 0
    count: int = 0
    run: int = 0
    payload: bytes = b""


@dataclass(frozen=True)
class ConsoleLine:
    """A checked line of a device's console: its kind (``R``, ``S``, ...) and its fields."""

    kind: str
    fields: tuple[str, ...]


def cobs_encode(plain: bytes) -> bytes:
    """Return ``plain`` without zero bytes: Consistent Overhead Byte Stuffing, without a delimiter."""
    out = bytearray()
    *inner, last = plain.split(DELIMITER)
    for group in inner:
        _append_runs(out, group, _COBS_RUN - 1)
    _append_runs(out, last, _COBS_RUN)
    return bytes(out)


def _append_runs(out: bytearray, group: bytes, final: int) -> None:
    """Append bytes without a zero among them as full runs, and a final one of up to ``final`` bytes."""
    while len(group) > final:
        out.append(_COBS_RUN + 1)
        out += group[:_COBS_RUN]
        group = group[_COBS_RUN:]
    out.append(len(group) + 1)
    out += group


def cobs_decode(encoded: bytes) -> bytes | None:
    """Return what was encoded, or None for bytes that no encoder makes."""
    out = bytearray()
    position = 0
    while position < len(encoded):
        code = encoded[position]
        run = encoded[position + 1 : position + code]
        if code == 0 or len(run) != code - 1 or 0 in run:
            return None
        out += run
        position += code
        if code <= _COBS_RUN and position < len(encoded):
            out.append(0)
    return bytes(out)


def encode_frame(frame: Frame) -> bytes:
    """Return the bytes of ``frame`` on the line, delimiters included."""
    fields = [getattr(frame, name) for name in HEADER_FIELDS]
    head = _HEADER.pack(VERSION << 4 | fields[0], *fields[1:])
    body = head + frame.payload
    encoded = cobs_encode(body + struct.pack("<I", zlib.crc32(body))) + DELIMITER
    return encoded + DELIMITER * (-len(encoded) % GROUP_BYTES)


def decode_frame(encoded: bytes) -> Frame | None:
    """Return the frame in ``encoded`` (without delimiter), or None if it is damaged or of another version."""
    plain = cobs_decode(encoded)
    if plain is None or len(plain) < HEADER_BYTES + CRC_BYTES:
        return None
    body, check = plain[:-CRC_BYTES], plain[-CRC_BYTES:]
    if zlib.crc32(body) != int.from_bytes(check, "little") or body[0] >> 4 != VERSION:
        return None
    fields = dict(zip(HEADER_FIELDS, _HEADER.unpack(body[:HEADER_BYTES]), strict=True))
    return replace(Frame(**fields, payload=body[HEADER_BYTES:]), kind=body[0] & 15)


def encoded_bytes(payload_bytes: int) -> int:
    """Return the most bytes that a frame with so much payload takes on the line."""
    plain = HEADER_BYTES + payload_bytes + CRC_BYTES
    return plain + plain // _COBS_RUN + 1 + GROUP_BYTES


def console_line(kind: str, *fields: str) -> str:
    """Return a console line as the firmware writes it, with its line end."""
    text = ",".join((kind, *fields))
    return f"${text}*{zlib.crc32(text.encode('ascii')):08x}\r\n"


def parse_console_line(line: str) -> ConsoleLine | None:
    """Return the content of one console line (with or without line end); None if it is not a checked one.

    Text before the last ``$`` is skipped: a fault may cut a line short.
    """
    start = line.rfind("$")
    text, star, check = line[start + 1 :].rstrip("\r\n").rpartition("*")
    if start < 0 or not star or not text.isascii() or check != f"{zlib.crc32(text.encode('ascii')):08x}":
        return None
    kind, *fields = text.split(",")
    return ConsoleLine(kind, tuple(fields))
