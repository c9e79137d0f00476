"""Virtual time of the CPU: a hook on each block of instructions that counts cycles.

There are two forms with one behaviour: a compiled hook (``native/block_clock.c``) and the same in Python,
about ten times slower, for installations without a compiler. Both take block costs from
:func:`synergyc.emulate.timing.block_cost`.

A block is charged when it begins, so registers read in a block see the time of its end. The CPU stops
only between blocks: an event is seen at the first block that begins at or after its time.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path
from typing import Any, Protocol

from unicorn.unicorn_const import UC_HOOK_BLOCK
from unicorn.unicorn_py3.unicorn import Uc, uclib

from synergyc.emulate.timing import REFILL_CYCLES, BlockCost, BlockFlag, block_cost

NEVER = 2**64 - 1
"""A cycle that does not come."""


class ClockStop(IntEnum):
    """Why the hook stopped the engine."""

    NONE = 0
    LIMIT = 1
    SPIN = 2
    NO_FLOAT = 3


class BlockClock(Protocol):
    """The counters both forms share.

    ``cycles`` may be raised from outside (wait states, exception entry); ``limit`` is the cycle at which
    the engine stops and may be lowered while it runs. ``watch_masks`` asks for a stop after a block that
    may unmask interrupts.
    """

    cycles: int
    limit: int
    instructions: int
    watch_masks: int
    float_enabled: int
    float_used: int
    reason: int

    def restart(self) -> None:
        """Forget where the last block ended: the next one is not reached by falling through or branching."""

    def forget_costs(self) -> None:
        """Drop cached costs: the code in memory has changed."""


class PythonClock:
    """The hook in Python."""

    def __init__(self, engine: Uc) -> None:
        self.cycles = 0
        self.limit = NEVER
        self.instructions = 0
        self.watch_masks = 0
        self.float_enabled = 0
        self.float_used = 0
        self.reason = 0
        self._fall_through = -1
        self._last_flags = BlockFlag.NONE
        self._costs: dict[tuple[int, int], BlockCost] = {}
        engine.hook_add(UC_HOOK_BLOCK, self._on_block)

    def restart(self) -> None:
        """See :class:`BlockClock`."""
        self._fall_through = -1
        self._last_flags = BlockFlag.NONE

    def forget_costs(self) -> None:
        """See :class:`BlockClock`."""
        self._costs.clear()

    def _on_block(self, engine: Uc, address: int, size_bytes: int, _user: object) -> None:
        if self._fall_through >= 0:
            if address != self._fall_through:
                self.cycles += REFILL_CYCLES
            self._fall_through = -1
        last_flags = self._last_flags
        self._last_flags = BlockFlag.NONE
        if self.cycles >= self.limit or (self.watch_masks and last_flags & BlockFlag.MASKS):
            self._stop(engine, ClockStop.LIMIT)
            return
        cost = self._costs.get((address, size_bytes))
        if cost is None:
            cost = block_cost(bytes(engine.mem_read(address, size_bytes)))
            self._costs[address, size_bytes] = cost
        if cost.flags & BlockFlag.SPIN:
            self._stop(engine, ClockStop.SPIN)
            return
        if cost.flags & BlockFlag.FLOAT:
            if not self.float_enabled:
                self._stop(engine, ClockStop.NO_FLOAT)
                return
            self.float_used = 1
        self.cycles += cost.cycles
        self.instructions += cost.instructions
        self._fall_through = address + size_bytes
        self._last_flags = cost.flags

    def _stop(self, engine: Uc, reason: ClockStop) -> None:
        self.reason = int(reason)
        engine.emu_stop()


class _Cost(ctypes.Structure):
    _fields_ = [
        ("address", ctypes.c_uint32),
        ("size_bytes", ctypes.c_uint32),
        ("cycles", ctypes.c_uint32),
        ("instructions", ctypes.c_uint16),
        ("flags", ctypes.c_uint16),
    ]


_FILL = ctypes.CFUNCTYPE(None, ctypes.POINTER(_Cost), ctypes.c_uint64, ctypes.c_uint32)
_TABLE_ENTRIES = 1 << 15
"""Covers 64 KiB of code without two blocks on one entry; collisions only cost time."""


class NativeClock(ctypes.Structure):
    """The compiled hook; the fields are those of ``struct block_clock``."""

    _fields_ = [
        ("cycles", ctypes.c_uint64),
        ("limit", ctypes.c_uint64),
        ("instructions", ctypes.c_uint64),
        ("_fall_through", ctypes.c_uint64),
        ("_refill_cycles", ctypes.c_uint32),
        ("_last_flags", ctypes.c_uint32),
        ("watch_masks", ctypes.c_uint32),
        ("float_enabled", ctypes.c_uint32),
        ("float_used", ctypes.c_uint32),
        ("reason", ctypes.c_uint32),
        ("_table_mask", ctypes.c_uint64),
        ("_table", ctypes.POINTER(_Cost)),
        ("_stop", ctypes.c_void_p),
        ("_fill", _FILL),
    ]

    cycles: int
    limit: int
    instructions: int
    watch_masks: int
    float_enabled: int
    float_used: int
    reason: int

    def __init__(self, engine: Uc, library: ctypes.CDLL) -> None:
        super().__init__()
        unicorn_library: Any = uclib
        self.limit = NEVER
        self._refill_cycles = REFILL_CYCLES
        self._table_mask = _TABLE_ENTRIES - 1
        self._entries = (_Cost * _TABLE_ENTRIES)()
        self._table = ctypes.cast(self._entries, ctypes.POINTER(_Cost))
        self._stop = ctypes.cast(unicorn_library.uc_emu_stop, ctypes.c_void_p)
        self._fill_callback = _FILL(_filler(engine))
        self._fill = self._fill_callback
        self.restart()
        self.forget_costs()
        self._hook = ctypes.c_size_t()
        status = unicorn_library.uc_hook_add(
            engine._uch,
            ctypes.byref(self._hook),
            ctypes.c_int(UC_HOOK_BLOCK),
            ctypes.cast(library.synergyc_block_hook, ctypes.c_void_p),
            ctypes.byref(self),
            ctypes.c_uint64(1),
            ctypes.c_uint64(0),
        )
        if status:
            raise RuntimeError(f"uc_hook_add failed with status {status}")

    def restart(self) -> None:
        """See :class:`BlockClock`."""
        self._fall_through = NEVER
        self._last_flags = 0

    def forget_costs(self) -> None:
        """See :class:`BlockClock`."""
        # An odd address is no block's: it marks an empty entry.
        ctypes.memset(self._entries, 0xFF, ctypes.sizeof(self._entries))


def _filler(engine: Uc) -> Callable[[Any, int, int], None]:
    def fill(pointer: Any, address: int, size_bytes: int) -> None:
        cost = block_cost(bytes(engine.mem_read(address, size_bytes)))
        entry = pointer.contents
        entry.address, entry.size_bytes = address, size_bytes
        entry.cycles, entry.instructions, entry.flags = cost.cycles, cost.instructions, int(cost.flags)

    return fill


def native_library() -> ctypes.CDLL | None:
    """Return the compiled hook's library, or None where there is none that fits this platform and version."""
    path = Path(__file__).parent / "native" / "block_clock.so"
    try:
        library = ctypes.CDLL(str(path))
        size_bytes = ctypes.c_uint32.in_dll(library, "synergyc_block_clock_bytes").value
    except (OSError, ValueError):  # not built, built for another platform, or by an older version
        return None
    return library if size_bytes == ctypes.sizeof(NativeClock) else None


def make_clock(engine: Uc, native: bool | None = None) -> BlockClock:
    """Return the clock of ``engine``: compiled if available (``native`` None), or the form asked for."""
    library = None if native is False else native_library()
    if library is None:
        if native:
            raise RuntimeError("the compiled block hook is not there; build it with `python hatch_build.py`")
        return PythonClock(engine)
    return NativeClock(engine, library)
