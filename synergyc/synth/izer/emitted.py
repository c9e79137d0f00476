"""The C that the vendor's tool writes, read back as writes to the accelerator.

The tool's C is regular: each function is a list of stores of constants, waits on a register, and calls of
copy functions with arrays of ``weights.h``. Anything else that touches the accelerator is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from synergyc.diagnostics import fail, file_location
from synergyc.synth.program import Step, WaitBits, Write

_STORE = re.compile(r"\*\(\(volatile uint(32|8)_t \*\) (0x[0-9a-f]+)\) = (0x[0-9a-f]+);\s*(?://\s*(.*))?")
_WAIT = re.compile(
    r"while \(\(\*\(\(volatile uint32_t \*\) (0x[0-9a-f]+)\) & (0x[0-9a-f]+)\) != (0x[0-9a-f]+)\);"
    r"\s*(?://\s*(.*))?"
)
_COPY_BYTES = re.compile(r"memcpy_8to32\(\(uint32_t \*\) (0x[0-9a-f]+), (\w+), sizeof\(uint8_t\) \* (\d+)\);")
_FUNCTION = re.compile(r"^int (cnn_\w+)\([^)]*\)\n\{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_DEFINE = re.compile(r"#define (\w+) \{([^}]*)\}")
_CHUNKS = "KERNELS"


@dataclass(frozen=True)
class Emitted:
    """Steps of the generated functions."""

    init: tuple[Step, ...]
    weights: tuple[Write, ...]
    bias: tuple[Write, ...]
    configure: tuple[Step, ...]
    start: tuple[Step, ...]


def read_emitted(folder: Path) -> Emitted:
    """Return what the C in ``folder`` does to the accelerator; raises SynergyError if it cannot be read."""
    try:
        code, header = (
            (folder / name).read_text(encoding="utf-8", errors="replace") for name in ("cnn.c", "weights.h")
        )
    except OSError as error:
        raise fail(
            "izer-output", f"cannot be read: {error.strerror}", location=file_location(folder)
        ) from error
    arrays = _arrays(header)
    bodies = dict(_FUNCTION.findall(code))
    for name in ("cnn_init", "cnn_load_weights", "cnn_load_bias", "cnn_configure", "cnn_start"):
        if name not in bodies:
            raise fail("izer-output", f"function {name} is missing", location=file_location(folder / "cnn.c"))
    return Emitted(
        init=tuple(_steps(bodies["cnn_init"])),
        weights=_chunks(arrays.get(_CHUNKS, ())),
        bias=tuple(_bias(bodies["cnn_load_bias"], arrays)),
        configure=tuple(_steps(bodies["cnn_configure"])),
        start=tuple(_steps(bodies["cnn_start"])),
    )


def _arrays(header: str) -> dict[str, tuple[int, ...]]:
    text = header.replace("\\\n", " ")
    return {
        name: tuple(int(item, 16) for item in values.replace(",", " ").split())
        for name, values in _DEFINE.findall(text)
    }


def _steps(body: str) -> Iterator[Step]:
    for line in body.splitlines():
        if store := _STORE.search(line):
            width, address, value, comment = store.groups()
            yield Write(int(address, 16), (int(value, 16),), comment or "", int(width) // 8)
        elif wait := _WAIT.search(line):
            address, mask, value, comment = wait.groups()
            yield WaitBits(int(address, 16), int(mask, 16), int(value, 16), comment or "")
        elif "volatile" in line or "memcpy" in line:
            raise fail("izer-output", f"the tool's C is not understood: {line.strip()!r}")


def _bias(body: str, arrays: Mapping[str, tuple[int, ...]]) -> Iterator[Write]:
    for line in body.splitlines():
        if copy := _COPY_BYTES.search(line):
            address, name, count = copy.groups()
            if name.upper() not in arrays:
                raise fail("izer-output", f"array {name.upper()} is missing in weights.h")
            yield Write(int(address, 16), arrays[name.upper()][: int(count)], name)
        elif "volatile" in line or "memcpy" in line:
            raise fail("izer-output", f"the tool's C is not understood: {line.strip()!r}")


def _chunks(values: tuple[int, ...]) -> tuple[Write, ...]:
    """Return the writes for {address, count, words...} repeated, end marker 0 (section 4.2)."""
    writes: list[Write] = []
    position = 0
    while position + 1 < len(values) and values[position]:
        address, count = values[position : position + 2]
        words = values[position + 2 : position + 2 + count]
        writes += [Write(address | 1, (1,), width_bytes=1), Write(address, words)]
        position += 2 + count
    return tuple(writes)
