"""Reading program images; wrong and damaged files are diagnostics."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from synergyc.diagnostics import SynergyError
from synergyc.emulate.elf import load_elf
from tests.emulate.programs import Programs

PROGRAM = """
int table[4] = {1, 2, 3, 4};
__attribute__((noinline)) int twice(int x) { return 2 * x; }
int main(void) { return twice(table[1]); }
"""


def test_segments_symbols_and_vectors(programs: Programs) -> None:
    image = programs.image(PROGRAM)
    assert image.vector_table == 0x1000_0000
    table = image.symbol("table")
    assert (table.address, table.size_bytes) == (0x2000_0000, 16)
    # .data is loaded behind the code, from where the start-up copies it.
    loaded = next(segment for segment in image.segments if struct.pack("<4I", 1, 2, 3, 4) in segment.data)
    assert loaded.address < 0x1008_0000
    twice = image.symbol("twice")
    assert image.symbol_at(twice.address) == "twice"
    assert image.symbol_at(twice.address + 2) == "twice+0x2"
    assert image.symbol_at(0x9000_0000) == "?"
    assert image.symbol_at(0) == "?"


def test_unknown_symbol_is_named(programs: Programs) -> None:
    with pytest.raises(SynergyError, match="no symbol 'thrice'"):
        programs.image(PROGRAM).symbol("thrice")


def test_missing_file_is_a_diagnostic(tmp_path: Path) -> None:
    with pytest.raises(SynergyError, match="cannot read the image"):
        load_elf(tmp_path / "none.elf")


@pytest.mark.parametrize("content", [b"", b"\x7fELF", b"not an ELF file at all", bytes(64)])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file.elf"
    path.write_bytes(content)
    with pytest.raises(SynergyError, match="image is not a usable ELF file"):
        load_elf(path)


def test_file_for_another_machine_is_refused(programs: Programs, tmp_path: Path) -> None:
    content = bytearray(Path(programs.image(PROGRAM).path).read_bytes())
    content[18:20] = (62).to_bytes(2, "little")  # e_machine: x86-64
    path = tmp_path / "other.elf"
    path.write_bytes(content)
    with pytest.raises(SynergyError, match="must be for 32-bit little-endian Arm, not EM_X86_64"):
        load_elf(path)


def test_truncated_file_never_escapes_as_another_error(programs: Programs, tmp_path: Path) -> None:
    content = Path(programs.image(PROGRAM).path).read_bytes()
    path = tmp_path / "short.elf"
    refused = 0
    for size in range(0, len(content), max(1, len(content) // 60)):
        path.write_bytes(content[:size])
        try:
            load_elf(path)
        except SynergyError:
            refused += 1
    assert refused >= 58
