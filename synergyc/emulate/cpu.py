"""The Cortex-M4 core: Unicorn, its memories and buses, and the reasons for which it stops.

What Unicorn was measured to do (2.1.4, ARM M-profile), and what this file builds on:

* stopping in the block hook leaves the block unexecuted and the program counter at its start;
* stopping in an access to a device leaves the program counter at that very instruction, which would be
  executed again: done only for faults;
* CPS, MSR, ISB and branches end a block, and so does each boundary of 1 KiB;
* WFI returns from ``emu_start`` behind the instruction; WFE and YIELD return with an 'invalid instruction'
  error without calling the hook for it;
* a branch to EXC_RETURN in handler mode calls the interrupt hook with number 8.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

from unicorn import arm_const
from unicorn.unicorn_const import (
    UC_ARCH_ARM,
    UC_ERR_INSN_INVALID,
    UC_HOOK_INSN_INVALID,
    UC_HOOK_INTR,
    UC_HOOK_MEM_INVALID,
    UC_MEM_FETCH,
    UC_MEM_FETCH_PROT,
    UC_MEM_FETCH_UNMAPPED,
    UC_MEM_WRITE,
    UC_MEM_WRITE_PROT,
    UC_MEM_WRITE_UNMAPPED,
    UC_MODE_MCLASS,
    UC_MODE_THUMB,
    UC_PROT_ALL,
    UC_PROT_EXEC,
    UC_PROT_READ,
)
from unicorn.unicorn_py3.unicorn import Uc, UcError

from synergyc.diagnostics import fail
from synergyc.emulate.accelerator.errors import BusError
from synergyc.emulate.clock import BlockClock, ClockStop, make_clock
from synergyc.emulate.engine import RegisterSet, map_device, read_bytes, read_words, start, write_words

_MODELS = {"cortex-m4": arm_const.UC_CPU_ARM_CORTEX_M4}

_FLOATS = tuple(f"s{index}" for index in range(16))
_WRITES = (UC_MEM_WRITE, UC_MEM_WRITE_PROT, UC_MEM_WRITE_UNMAPPED)
_FETCHES = (UC_MEM_FETCH, UC_MEM_FETCH_PROT, UC_MEM_FETCH_UNMAPPED)
_UNTIL = 0xFFFF_FFFE
"""An address that execution does not reach; Unicorn wants one."""

# Exception numbers of the interrupt hook: EXCP_* of QEMU's target/arm/cpu.h.
_SUPERVISOR_CALL, _BREAKPOINT, _EXCEPTION_EXIT, _INVALID_STATE = 2, 7, 8, 18


class StopKind(Enum):
    """Why execution stopped."""

    LIMIT = "limit"
    SPIN = "spin"
    SLEEP = "sleep"
    EXCEPTION_RETURN = "exception return"
    SUPERVISOR_CALL = "supervisor call"
    BREAKPOINT = "breakpoint"
    UNDEFINED = "undefined instruction"
    INVALID_STATE = "branch to a non-Thumb address"
    NO_FLOAT = "floating point unit is off"
    DATA_FAULT = "data access"
    FETCH_FAULT = "instruction fetch"


@dataclass(frozen=True)
class Stop:
    """A stop; ``address`` and ``reason`` describe the access of a fault."""

    kind: StopKind
    address: int = 0
    reason: str = ""


class Bus(Protocol):
    """Devices behind memory-mapped registers; both raise BusError or NotModelled."""

    def read(self, address: int, size_bytes: int) -> int:
        """Return the value at ``address``."""

    def write(self, address: int, size_bytes: int, value: int) -> None:
        """Write ``value`` at ``address``."""


class Cpu:
    """A core with memories; time and instructions are in ``clock``."""

    def __init__(self, model: str, native_clock: bool | None = None) -> None:
        if model not in _MODELS:
            raise fail("cpu-model", f"CPU must be one of {sorted(_MODELS)}, not {model!r}")
        self._engine = Uc(UC_ARCH_ARM, UC_MODE_THUMB | UC_MODE_MCLASS, cpu=_MODELS[model])
        self.clock: BlockClock = make_clock(self._engine, native_clock)
        self._error: BaseException | None = None
        self._interrupt: int | None = None
        self._undefined = False
        self._stale = False
        self._access = (0, 0)
        self._sets: dict[tuple[str, ...], RegisterSet] = {}
        self._devices: list[object] = []
        self._pc = RegisterSet(self._engine, ("pc",))
        self._engine.hook_add(UC_HOOK_INTR, self._on_interrupt)
        self._engine.hook_add(UC_HOOK_INSN_INVALID, self._on_invalid_instruction)
        self._engine.hook_add(UC_HOOK_MEM_INVALID, self._on_invalid_access)

    # --- memory -----------------------------------------------------------------------------------------

    def map_memory(self, base: int, size_bytes: int, *, writable: bool, fill: int = 0) -> None:
        """Map a memory filled with the byte ``fill``; writes of the program fault unless ``writable``."""
        self._engine.mem_map(base, size_bytes, UC_PROT_ALL if writable else UC_PROT_READ | UC_PROT_EXEC)
        if fill:
            self._engine.mem_write(base, bytes([fill]) * size_bytes)

    def map_bus(self, base: int, size_bytes: int, bus: Bus) -> None:
        """Route accesses to a range (whole pages of 4 KiB) to ``bus``."""
        self._devices.append(map_device(self._engine, base, size_bytes, bus.read, bus.write, self._fail))

    def read_memory(self, address: int, size_bytes: int) -> bytes:
        """Return memory contents; raises BusError where no memory is."""
        try:
            return read_bytes(self._engine, address, size_bytes)
        except UcError as error:
            raise BusError(address, "no memory there") from error

    def write_memory(self, address: int, data: bytes) -> None:
        """Set memory contents, read-only ones too; raises BusError where no memory is."""
        try:
            self._engine.mem_write(address, data)
        except UcError as error:
            raise BusError(address, "no memory there") from error

    def read_words(self, address: int, count: int) -> tuple[int, ...]:
        """Return ``count`` little-endian 32-bit words."""
        try:
            return read_words(self._engine, address, count)
        except UcError as error:
            raise BusError(address, "no memory there") from error

    def write_words(self, address: int, words: tuple[int, ...]) -> None:
        """Set little-endian 32-bit words."""
        try:
            write_words(self._engine, address, words)
        except UcError as error:
            raise BusError(address, "no memory there") from error

    def forget_code(self) -> None:
        """Drop translations and costs, before the next block, after memory that holds code has changed."""
        self._stale = True
        self.clock.limit = 0

    # --- registers --------------------------------------------------------------------------------------

    def read(self, register: str) -> int:
        """Return a register by name."""
        return self.read_many(register)[0]

    def write(self, register: str, value: int) -> None:
        """Set a register by name."""
        self.write_many(**{register: value})

    def read_many(self, *names: str) -> tuple[int, ...]:
        """Return several registers."""
        return self._set(names).read()

    def write_many(self, **values: int) -> None:
        """Set several registers, in the order given."""
        self._set(tuple(values)).write(*values.values())

    def read_floats(self) -> tuple[int, ...]:
        """Return s0..s15 as bit patterns."""
        return self._set(_FLOATS).read()

    def write_floats(self, values: tuple[int, ...]) -> None:
        """Set s0..s15 from bit patterns."""
        self._set(_FLOATS).write(*values)

    def _set(self, names: tuple[str, ...]) -> RegisterSet:
        if names not in self._sets:
            self._sets[names] = RegisterSet(self._engine, names)
        return self._sets[names]

    # --- execution --------------------------------------------------------------------------------------

    def run(self) -> Stop:
        """Execute from the program counter until the clock's limit or something to be handled.

        Raises what a bus raised other than BusError, with the program counter at the access.
        """
        self._error, self._interrupt, self._undefined = None, None, False
        self.clock.reason = 0
        if self._stale:
            self._stale = False
            self._engine.ctl_flush_tb()
            self.clock.forget_costs()
        try:
            start(self._engine, self._pc.read()[0] | 1, _UNTIL)
        except UcError as error:
            return self._after_engine_error(error)
        return self._after_stop()

    def _after_stop(self) -> Stop:
        if self._error is not None:
            return self._after_bus_error(self._error)
        if self._interrupt is not None:
            return self._after_interrupt(self._interrupt)
        if self.clock.reason:
            return _CLOCK_STOPS[ClockStop(self.clock.reason)]
        return Stop(StopKind.SLEEP)

    def _after_bus_error(self, error: BaseException) -> Stop:
        if isinstance(error, BusError):
            return Stop(StopKind.DATA_FAULT, error.address, error.reason)
        raise error

    def _after_interrupt(self, number: int) -> Stop:
        if number == _SUPERVISOR_CALL:
            return Stop(StopKind.SUPERVISOR_CALL)
        if number == _EXCEPTION_EXIT:
            return Stop(StopKind.EXCEPTION_RETURN)
        if number == _BREAKPOINT:
            return Stop(StopKind.BREAKPOINT)
        if number == _INVALID_STATE:
            return Stop(StopKind.INVALID_STATE)
        return Stop(StopKind.UNDEFINED, reason=f"engine exception {number}")

    def _after_engine_error(self, error: UcError) -> Stop:
        if error.errno == UC_ERR_INSN_INVALID:
            # WFE and YIELD end here: both may complete at once (ARMv7-M manual, B1.5.18), so go on.
            return Stop(StopKind.UNDEFINED if self._undefined else StopKind.LIMIT)
        access, address = self._access
        if access in _FETCHES:
            return Stop(StopKind.FETCH_FAULT, address, "no executable memory there")
        direction = "write" if access in _WRITES else "read"
        return Stop(StopKind.DATA_FAULT, address, f"{direction} of memory that is not there or read-only")

    def _fail(self, error: BaseException) -> None:
        self._error = error
        self._engine.emu_stop()

    def _on_interrupt(self, engine: Uc, number: int, _user: object) -> None:
        self._interrupt = number
        engine.emu_stop()

    def _on_invalid_instruction(self, _engine: Uc, _user: object) -> bool:
        self._undefined = True
        return False

    def _on_invalid_access(
        self, _engine: Uc, access: int, address: int, _size: int, _value: int, _user: Any
    ) -> bool:
        self._access = (access, address)
        return False


_CLOCK_STOPS = {
    ClockStop.LIMIT: Stop(StopKind.LIMIT),
    ClockStop.SPIN: Stop(StopKind.SPIN),
    ClockStop.NO_FLOAT: Stop(StopKind.NO_FLOAT, reason="the floating point unit is off in CPACR"),
}
