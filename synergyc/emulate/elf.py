"""Program images: the contents of an ELF file that the emulator needs, and where each symbol is."""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from elftools.common.exceptions import ELFError
from elftools.construct import ConstructError
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from synergyc.diagnostics import Diagnostic, SynergyError, fail, file_location

_VECTOR_SYMBOLS = ("__isr_vector", "__Vectors", "__vector_table", "_vectors")
"""Names of the vector table in the MSDK's and CMSIS's start-up files, for images without a section for it."""
_VECTOR_SECTIONS = (".isr_vector", ".vectors", ".vector_table")


@dataclass(frozen=True)
class Segment:
    """Bytes to be put at a physical address before the program starts."""

    address: int
    data: bytes


@dataclass(frozen=True)
class Symbol:
    """A named place in memory."""

    name: str
    address: int
    size_bytes: int


@dataclass(frozen=True)
class ElfImage:
    """An ELF file for a Cortex-M: load segments, symbols, and the address of the vector table."""

    path: str
    segments: tuple[Segment, ...]
    symbols: tuple[Symbol, ...]
    """In order of address."""
    vector_table: int

    def symbol(self, name: str) -> Symbol:
        """Return the symbol called ``name``; raises SynergyError when there is none."""
        for symbol in self.symbols:
            if symbol.name == name:
                return symbol
        raise fail("unknown-symbol", f"image has no symbol {name!r}", location=file_location(self.path))

    def symbol_at(self, address: int) -> str:
        """Return ``name+0xoffset`` of the nearest symbol at or before ``address``, or ``?``."""
        index = bisect.bisect_right(self.symbols, address, key=lambda symbol: symbol.address)
        if not index:
            return "?"
        symbol = self.symbols[index - 1]
        offset = address - symbol.address
        if offset > max(symbol.size_bytes, 0x1000 if not symbol.size_bytes else 0):
            return "?"
        return f"{symbol.name}+0x{offset:x}" if offset else symbol.name


def load_elf(path: Path | str) -> ElfImage:
    """Return the image in a file; raises SynergyError for files that are no Cortex-M program."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            return _read(path, file)
    except OSError as error:
        raise fail(
            "elf-file", f"cannot read the image: {error.strerror}", location=file_location(path)
        ) from error
    except (ELFError, ConstructError, UnicodeDecodeError, ValueError, KeyError, IndexError) as error:
        raise _damaged(path, f"{type(error).__name__}: {error}") from error


def _read(path: Path, file: BinaryIO) -> ElfImage:
    elf = ELFFile(file)
    if elf["e_machine"] != "EM_ARM" or elf.elfclass != 32 or not elf.little_endian:
        raise fail(
            "elf-machine",
            f"image must be for 32-bit little-endian Arm, not {elf['e_machine']} {elf.elfclass}-bit",
            location=file_location(path),
            hint="compile with arm-none-eabi-gcc",
        )
    segments = []
    for header in elf.iter_segments("PT_LOAD"):
        data = header.data()
        if len(data) != header["p_filesz"]:
            raise _damaged(path, "a segment reaches beyond the end of the file")
        if data:
            segments.append(Segment(header["p_paddr"], data))
    if not segments:
        raise _damaged(path, "it has no segments to load")
    symbols = _symbols(elf)
    return ElfImage(str(path), tuple(segments), symbols, _vector_table(elf, symbols, segments))


def _symbols(elf: ELFFile) -> tuple[Symbol, ...]:
    found = []
    for section in elf.iter_sections():
        if not isinstance(section, SymbolTableSection):
            continue
        for symbol in section.iter_symbols():
            kind = symbol["st_info"]["type"]
            if kind not in ("STT_FUNC", "STT_OBJECT", "STT_NOTYPE") or symbol["st_shndx"] == "SHN_UNDEF":
                continue
            # Mapping symbols ($t, $d) would hide the functions around them.
            if symbol.name and not symbol.name.startswith("$"):
                address = symbol["st_value"] & ~1 if kind == "STT_FUNC" else symbol["st_value"]
                found.append(Symbol(symbol.name, address, symbol["st_size"]))
    # Symbols with a size win over labels at the same address: they come last and are found first.
    return tuple(sorted(found, key=lambda symbol: (symbol.address, symbol.size_bytes, symbol.name)))


def _vector_table(elf: ELFFile, symbols: tuple[Symbol, ...], segments: list[Segment]) -> int:
    for name in _VECTOR_SECTIONS:
        section = elf.get_section_by_name(name)
        if section is not None:
            address: int = section["sh_addr"]
            return address
    for symbol in symbols:
        if symbol.name in _VECTOR_SYMBOLS:
            return symbol.address
    return min(segment.address for segment in segments)


def _damaged(path: Path, reason: str) -> SynergyError:
    return SynergyError(
        Diagnostic("elf-file", f"image is not a usable ELF file: {reason}", location=file_location(path))
    )
