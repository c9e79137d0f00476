"""Secured frames by the PyPI package ``cryptography``, which knows nothing of the firmware's code.

What docs/link-protocol.md says, written down a second time.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from synergyc.firmware.framing import (
    CRC_BYTES,
    HEADER_BYTES,
    Frame,
    FrameKind,
    cobs_decode,
    decode_frame,
    encode_frame,
)

_CONSTANT = b"expand 32-byte k"
_MASK = 0xFFFF_FFFF
NONCE_BYTES = 16


def hchacha20(key: bytes, number: bytes) -> bytes:
    """Return HChaCha20: a ChaCha20 block without the final addition, first and last quarter."""
    block = Cipher(algorithms.ChaCha20(key, number), mode=None).encryptor().update(bytes(64))
    state = struct.unpack("<16I", _CONSTANT + key + number)
    words = [(out - start) & _MASK for out, start in zip(struct.unpack("<16I", block), state, strict=True)]
    return struct.pack("<8I", *words[:4], *words[12:])


@dataclass(frozen=True)
class Session:
    """The key of a session, from the link's key and the random numbers of both ends."""

    key: bytes
    caller: bytes
    answerer: bytes

    @property
    def derived(self) -> bytes:
        return hchacha20(hchacha20(self.key, self.caller), self.answerer)

    def open(self, encoded: bytes, *, from_caller: bool) -> tuple[int, bytes] | None:
        """Return counter and payload of a frame on the line; None if its tag is wrong."""
        frame = decode_frame(encoded)
        plain = cobs_decode(encoded)
        assert frame is not None
        assert plain is not None
        sealed = frame.payload[NONCE_BYTES if frame.kind == FrameKind.HELLO_ACK else 0 :]
        (counter,) = struct.unpack("<I", sealed[:4])
        cipher = ChaCha20Poly1305(self.derived)
        try:
            return counter, cipher.decrypt(_nonce(counter, from_caller), sealed[4:], plain[:HEADER_BYTES])
        except InvalidTag:
            return None

    def seal(self, frame: Frame, counter: int, *, from_caller: bool) -> bytes:
        """Return a frame on the line."""
        ends = (self.caller[0], self.answerer[0])
        first, second = ends if from_caller else ends[::-1]
        frame = replace(frame, session=first << 8 | second)
        plain = cobs_decode(encode_frame(frame).rstrip(b"\0"))
        assert plain is not None
        header = plain[:HEADER_BYTES]
        cipher = ChaCha20Poly1305(self.derived)
        text = cipher.encrypt(_nonce(counter, from_caller), frame.payload, header)
        return encode_frame(replace(frame, payload=struct.pack("<I", counter) + text))


def _nonce(counter: int, from_caller: bool) -> bytes:
    return struct.pack("<IQ", int(from_caller), counter)


def frames(data: bytes) -> list[bytes]:
    """Return the encoded frames in bytes of a line, without delimiters."""
    return [part for part in data.split(b"\0") if len(part) > HEADER_BYTES + CRC_BYTES]
