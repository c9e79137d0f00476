"""Keys of secured links: a file of them, and copies of images that hold them.

A build holds no keys: each image has a place in flash for every key that it needs, erased. Keys are made once
for a system, kept in a file of their own, and put into a private copy of an image when it is flashed.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from synergyc.diagnostics import SynergyError, fail, file_location

KEY_BYTES = 32
"""``LINK_KEY_BYTES`` in ``link_secure.h``."""

ERASED = b"\xff" * KEY_BYTES
"""What an image holds in place of a key that was not set."""

_VERSION = 1
_HINT = "make one: synergyc keys DIR -o FILE"


def new_keys(names: Iterable[str]) -> dict[str, bytes]:
    """Return a random key for each name."""
    return {name: secrets.token_bytes(KEY_BYTES) for name in sorted(names)}


def emulation_keys(names: Iterable[str]) -> dict[str, bytes]:
    """Return the keys of emulated devices: known to everybody, the same ones in each run."""
    return {name: hashlib.sha256(f"synergyc emulation {name}".encode()).digest() for name in sorted(names)}


def write_keys(path: Path, keys: Mapping[str, bytes]) -> None:
    """Write a new file that only its owner may read; raises SynergyError (``key-file``) if there is one."""
    document = {"synergy_keys": _VERSION, "keys": {name: keys[name].hex() for name in sorted(keys)}}
    place = file_location(path)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(json.dumps(document, indent=2) + "\n")
    except FileExistsError as error:
        message = "file exists: keys that boards may hold are not overwritten"
        hint = "name another file, or remove this one"
        raise fail("key-file", message, location=place, hint=hint) from error
    except OSError as error:
        raise fail("key-file", f"cannot write keys: {error.strerror}", location=place) from error


def read_keys(path: Path, names: Iterable[str]) -> dict[str, bytes]:
    """Return the keys called ``names`` out of a file that ``write_keys`` made.

    Raises SynergyError: ``key-file`` (it cannot be read, or is no such file), ``key-missing``.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise fail(
            "key-file", f"cannot read keys: {error.strerror}", location=file_location(path), hint=_HINT
        ) from error
    except ValueError as error:
        raise _damaged(path, "not JSON") from error
    if not isinstance(document, dict) or document.get("synergy_keys") != _VERSION:
        raise _damaged(path, f"not keys of version {_VERSION}")
    keys = document.get("keys")
    if not isinstance(keys, dict):
        raise _damaged(path, "no table of keys")
    missing = sorted(set(names) - keys.keys())
    if missing:
        raise fail(
            "key-missing", f"no key for {', '.join(missing)}", location=file_location(path), hint=_HINT
        )
    return {name: _key(path, name, keys[name]) for name in names}


def _key(path: Path, name: str, text: object) -> bytes:
    try:
        key = bytes.fromhex(text) if isinstance(text, str) else b""
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES or key == ERASED:
        raise _damaged(path, f"key {name!r} must be {2 * KEY_BYTES} hexadecimal digits, not all of them f")
    return key


def _damaged(path: Path, why: str) -> SynergyError:
    return fail("key-file", f"not a file of keys: {why}", location=file_location(path), hint=_HINT)


def keyed_image(image: bytes, elf: Path, keys: Mapping[str, bytes]) -> bytes:
    """Return ``image``, the content of ``elf``, with each key at its symbol.

    Raises SynergyError (``key-symbol``): the image has no place for one of them.
    """
    patched = bytearray(image)
    offsets = _offsets(elf)
    for symbol, key in keys.items():
        if symbol not in offsets:
            message = f"image has no place {symbol}"
            raise fail("key-symbol", message, location=file_location(elf), hint="build again")
        patched[offsets[symbol] : offsets[symbol] + KEY_BYTES] = key
    return bytes(patched)


def _offsets(elf: Path) -> dict[str, int]:
    """Return where in the file each object of the size of a key is, by symbol."""
    with elf.open("rb") as file:
        parsed = ELFFile(file)
        symbols = [section for section in parsed.iter_sections() if isinstance(section, SymbolTableSection)]
        return dict(_in_file(parsed, symbols))


def _in_file(elf: ELFFile, tables: Iterable[SymbolTableSection]) -> Iterator[tuple[str, int]]:
    for table in tables:
        for symbol in table.iter_symbols():
            index, size = symbol["st_shndx"], symbol["st_size"]
            if size == KEY_BYTES and isinstance(index, int):
                section = elf.get_section(index)
                yield symbol.name, section["sh_offset"] + symbol["st_value"] - section["sh_addr"]
