"""Direct calls of Unicorn's library where its Python layer would cost more than the call itself.

Unicorn's own methods build argument arrays and wrap callbacks anew for each use; an interrupt of the
emulated CPU takes several of them. Measured with Unicorn 2.1.4: three registers in 1 instead of 7 us, an
access to a device in 0.2 instead of 0.5 us.
"""

from __future__ import annotations

import ctypes
import gc
import struct
from collections.abc import Callable
from typing import Any

from unicorn import arm_const
from unicorn.unicorn_py3.unicorn import MMIO_READ_CFUNC, MMIO_WRITE_CFUNC, Uc, UcError, uclib

_NAMES = (
    *(f"r{index}" for index in range(13)),
    *(f"s{index}" for index in range(16)),
    *("sp", "lr", "pc", "xpsr", "msp", "psp", "control", "primask", "basepri", "faultmask", "ipsr", "fpscr"),
)
REGISTERS: dict[str, int] = {name: getattr(arm_const, f"UC_ARM_REG_{name.upper()}") for name in _NAMES}
"""Unicorn's numbers of the registers, by their names in small letters."""

_library: Any = uclib


class RegisterSet:
    """Registers that are read or written together, in order, in one call."""

    def __init__(self, engine: Uc, names: tuple[str, ...]) -> None:
        count = len(names)
        self._handle = engine._uch
        self._count = count
        self._numbers = (ctypes.c_int * count)(*(REGISTERS[name] for name in names))
        self._values = (ctypes.c_uint64 * count)()
        first = ctypes.addressof(self._values)
        self._pointers = (ctypes.c_void_p * count)(*(first + 8 * index for index in range(count)))

    def read(self) -> tuple[int, ...]:
        """Return the values."""
        _check(_library.uc_reg_read_batch(self._handle, self._numbers, self._pointers, self._count))
        return tuple(self._values)

    def write(self, *values: int) -> None:
        """Set the values."""
        self._values[:] = list(values)
        _check(_library.uc_reg_write_batch(self._handle, self._numbers, self._pointers, self._count))


def read_bytes(engine: Uc, address: int, size_bytes: int) -> bytes:
    """Return memory contents; raises UcError where no memory is."""
    content = (ctypes.c_char * size_bytes)()
    _check(_library.uc_mem_read(engine._uch, address, content, size_bytes))
    return content.raw


def read_words(engine: Uc, address: int, count: int) -> tuple[int, ...]:
    """Return 32-bit words of memory; raises UcError where no memory is."""
    return struct.unpack(f"<{count}I", read_bytes(engine, address, 4 * count))


def write_words(engine: Uc, address: int, words: tuple[int, ...]) -> None:
    """Set 32-bit words of memory; raises UcError where no memory is."""
    _check(
        _library.uc_mem_write(engine._uch, address, struct.pack(f"<{len(words)}I", *words), 4 * len(words))
    )


def start(engine: Uc, address: int, until: int) -> None:
    """Execute from ``address``; raises UcError. Hooks must not raise.

    No garbage is collected meanwhile: a collection in a hook could close another engine inside this one.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        _check(_library.uc_emu_start(engine._uch, address, until, 0, 0))
    finally:
        if collects:
            gc.enable()


def map_device(
    engine: Uc,
    base: int,
    size_bytes: int,
    read: Callable[[int, int], int],
    write: Callable[[int, int, int], None],
    fail: Callable[[BaseException], None],
) -> tuple[object, object]:
    """Route accesses to ``read(address, size)`` and ``write(address, size, value)``.

    What these raise goes to ``fail``. Returns what must live as long as the mapping.
    """

    def on_read(_handle: object, offset: int, size: int, _user: object) -> int:
        try:
            return read(base + offset, size)
        except BaseException as error:  # none may pass through the engine: it would be lost, Ctrl-C too
            fail(error)
            return 0

    def on_write(_handle: object, offset: int, size: int, value: int, _user: object) -> None:
        try:
            write(base + offset, size, value)
        except BaseException as error:  # as above
            fail(error)

    callbacks = (MMIO_READ_CFUNC(on_read), MMIO_WRITE_CFUNC(on_write))
    _check(_library.uc_mmio_map(engine._uch, base, size_bytes, callbacks[0], None, callbacks[1], None))
    return callbacks


def _check(status: int) -> None:
    if status:
        raise UcError(status)
