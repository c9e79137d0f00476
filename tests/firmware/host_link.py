"""The C sources of the link protocol, compiled for the host and called from Python."""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Sequence
from pathlib import Path

from synergyc.firmware.framing import HEADER_FIELDS, Frame
from synergyc.firmware.render import render
from synergyc.targets import data_folder
from tests.firmware.samples import two_devices

PROTOCOL_SOURCES = ("framing.c", "queue.c", "link.c", "link_sender.c", "link_receiver.c")
CIPHER = data_folder("templates") / "monocypher"
_HARNESS = Path(__file__).parent / "host" / "harness.c"
_ROOM_BYTES = 16384


class HostLink:
    """Both ends (0 and 1) of a link, each with streams 0 and 1 in both directions."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._c = library
        for name in ("test_take_sent", "test_encode"):
            getattr(library, name).restype = ctypes.c_size_t
        for name in ("test_poll", "test_is_up", "test_hears", "test_has_ended", "test_send"):
            getattr(library, name).restype = ctypes.c_bool
        for name in ("test_crc32", "test_losses", "test_session"):
            getattr(library, name).restype = ctypes.c_uint32
        self._words: tuple[int, ...] = (1, 1)

    def start(
        self,
        side: int,
        words: Sequence[int],
        depth: int,
        payload_bytes: int,
        plan_id: int = 7,
        answer_every: int = 1,
    ) -> None:
        self._words = tuple(words)
        self._c.test_start(
            side, _words(words), depth, payload_bytes, ctypes.c_uint32(plan_id), ctypes.c_uint8(answer_every)
        )

    def set_key(self, side: int, key: bytes | None) -> None:
        """Secure the link of ``side``, from its next start on, or (None) do not."""
        self._c.test_set_key(side, key)

    def break_generator(self, *, broken: bool) -> None:
        self._c.test_break_generator(ctypes.c_bool(broken))

    def refused(self, side: int) -> tuple[int, int]:
        """Return how many frames were refused as forged and as replayed."""
        values = (ctypes.c_uint32 * 2)()
        self._c.test_refused(side, values)
        return values[0], values[1]

    def obstacle(self, side: int) -> str:
        self._c.test_obstacle.restype = ctypes.c_char_p
        return bytes(self._c.test_obstacle(side)).decode()

    def set_ticks(self, ticks: int) -> None:
        self._c.test_set_ticks(ctypes.c_uint32(ticks))

    def advance(self, ticks: int) -> None:
        self._c.test_advance(ticks)

    def poll(self, side: int) -> bool:
        return bool(self._c.test_poll(side))

    def is_up(self, side: int) -> bool:
        return bool(self._c.test_is_up(side))

    def carry(self, side: int, plan: int) -> None:
        self._c.test_carry(side, ctypes.c_uint8(plan))

    def hears(self, side: int) -> bool:
        return bool(self._c.test_hears(side))

    def has_ended(self, side: int) -> bool:
        return bool(self._c.test_has_ended(side))

    def send(self, side: int, stream: int, run: int, words: Sequence[int] | None) -> bool:
        data = _words(words) if words is not None else None
        return bool(self._c.test_send(side, stream, ctypes.c_uint32(run), data))

    def receive(self, side: int, stream: int) -> tuple[int, tuple[int, ...] | None] | None:
        """Return run and words, run and None for the end mark, or None if nothing is there."""
        run = ctypes.c_uint32()
        words = (ctypes.c_uint32 * self._words[stream])()
        kind = self._c.test_receive(side, stream, ctypes.byref(run), words)
        return None if kind == 0 else (run.value, tuple(words) if kind == 1 else None)

    def take_sent(self, side: int, count: int = _ROOM_BYTES) -> bytes:
        buffer = ctypes.create_string_buffer(_ROOM_BYTES)
        size = self._c.test_take_sent(side, buffer, ctypes.c_size_t(count))
        return buffer.raw[:size]

    def deliver(self, side: int, data: bytes) -> None:
        self._c.test_deliver(side, data, ctypes.c_size_t(len(data)))

    def counts(self, side: int, stream: int) -> dict[str, int]:
        values = (ctypes.c_uint32 * 8)()
        self._c.test_counts(side, stream, values)
        names = ("tensors", "dropped", "frames", "resent", "duplicates", "abandoned", "damaged", "foreign")
        return dict(zip(names, values, strict=True))

    def losses(self, side: int) -> int:
        return int(self._c.test_losses(side))

    def session(self, side: int) -> int:
        return int(self._c.test_session(side))

    def encode(self, frame: Frame) -> bytes:
        fields = tuple(getattr(frame, name) for name in HEADER_FIELDS)
        out = ctypes.create_string_buffer(_ROOM_BYTES)
        size = self._c.test_encode(_words(fields), frame.payload, ctypes.c_uint16(len(frame.payload)), out)
        return out.raw[:size]

    def decode(self, data: bytes) -> tuple[list[Frame], int]:
        """Return the last good frame, if any, once for each good frame, and the number of damaged ones."""
        fields = (ctypes.c_uint32 * len(HEADER_FIELDS))()
        payload = ctypes.create_string_buffer(_ROOM_BYTES)
        size, damaged = ctypes.c_uint16(), ctypes.c_int()
        good = self._c.test_decode(
            data, ctypes.c_size_t(len(data)), fields, payload, ctypes.byref(size), ctypes.byref(damaged)
        )
        frame = Frame(**dict(zip(HEADER_FIELDS, fields, strict=True)), payload=payload.raw[: size.value])
        return [frame] * good, damaged.value

    def crc32(self, data: bytes) -> int:
        return int(self._c.test_crc32(data, ctypes.c_size_t(len(data))))


def protocol_sources(folder: Path, compiler: str, *, secure: bool) -> list[str]:
    """Write the protocol's sources into ``folder`` and return what to compile, with folders of headers."""
    for name, text in render(two_devices(secure=secure)["chest"]).items():
        (folder / name).write_text(text, encoding="utf-8")
    sources = [str(folder / name) for name in PROTOCOL_SOURCES]
    if secure:
        # Without sanitizers, which take long to compile for it: it is not what is under test.
        cipher = [str(CIPHER / "monocypher.c"), "-o", str(folder / "monocypher.o")]
        subprocess.run([compiler, "-O1", "-fPIC", "-c", *cipher], check=True)
        sources += [str(folder / "link_secure.c"), str(folder / "monocypher.o")]
    return [f"-I{CIPHER}", f"-I{folder}", *sources]


def build_host_link(folder: Path, compiler: str, *, secure: bool = False) -> HostLink:
    """Compile the protocol's sources, with checks for undefined behaviour where the compiler has them."""
    sources = protocol_sources(folder, compiler, secure=secure)
    library = folder / "link.so"
    flags = ["-std=c11", "-O1", "-g", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror"]
    trap = ["-fsanitize=undefined", "-fsanitize-undefined-trap-on-error"]
    subprocess.run([compiler, *flags, *trap, *sources, str(_HARNESS), "-o", str(library)], check=True)
    return HostLink(ctypes.CDLL(str(library)))


def _words(values: Sequence[int]) -> ctypes.Array[ctypes.c_uint32]:
    return (ctypes.c_uint32 * len(values))(*values)
