"""The console's lines in C, on this machine.

Truth: Python's own formatting and ``zlib.crc32``.
"""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from synergyc.firmware.framing import console_line
from synergyc.firmware.render import render
from tests.compilers import host_compiler
from tests.firmware.samples import two_devices

_HARNESS = Path(__file__).parent / "host" / "console.c"


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    compiler = host_compiler()
    folder = tmp_path_factory.mktemp("host_console")
    for name, text in render(two_devices()["chest"]).items():
        (folder / name).write_text(text, encoding="utf-8")
    library = folder / "console.so"
    sources = [str(folder / name) for name in ("console.c", "framing.c")]
    flags = ["-std=c11", "-O1", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", f"-I{folder}"]
    subprocess.run([compiler, *flags, *sources, str(_HARNESS), "-o", str(library)], check=True)
    loaded = ctypes.CDLL(str(library))
    loaded.test_line.restype = ctypes.POINTER(ctypes.c_uint8)
    return loaded


@given(
    text=st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=",*$")),
    number=st.one_of(st.integers(0, 2**64 - 1), st.integers(0, 70_000)),
    word=st.integers(0, 2**32 - 1),
)
@example("", 2**64 - 1, 0)
@example("", 10**19, 0)
@example("", 2**32, 0)
@example("", 2**32 - 1, 0)
@example("", 655_359, 0)
def test_lines_are_those_that_a_host_reads(console: ctypes.CDLL, text: str, number: int, word: int) -> None:
    size = ctypes.c_size_t()
    line = console.test_line(
        text.encode(), ctypes.c_uint64(number), ctypes.c_uint32(word), ctypes.byref(size)
    )
    assert bytes(line[: size.value]).decode() == console_line("T", text, str(number), f"{word:08x}")
