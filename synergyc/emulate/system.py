"""The private peripheral bus: system control block, interrupt controller, system timer, cycle counter.

Source: ARMv7-M Architecture Reference Manual (ARM DDI 0403), B3.2 (system control space), B3.4 (NVIC),
C1.6 and C1.8 (debug and DWT); Cortex-M4 TRM (ARM DDI 0439), table 4-1.
"""

from __future__ import annotations

from collections.abc import Callable

from synergyc.emulate.accelerator.errors import NotModelled
from synergyc.emulate.clock import BlockClock
from synergyc.emulate.nvic import FIRST_INTERRUPT, NMI, PEND_SV, SYS_TICK, Nvic
from synergyc.emulate.systick import SysTick

PPB_BASE = 0xE000_0000
PPB_BYTES = 0x10_0000
_CPUID = 0x410F_C241
"""Cortex-M4 r0p1 (DDI 0439, table 4-1)."""
_RESET_KEY = 0x05FA
_SYSRESETREQ = 1 << 2
_CPACR_FLOAT = 0xF << 20
_DWT_CYCCNT_ENABLE = 1

# Registers that firmware may set and read back, and that change nothing here.
_STORED = {
    0xE000_E008: "ACTLR",
    0xE000_ED3C: "AFSR",
    0xE000_EDFC: "DEMCR",
    0xE000_EF34: "FPCCR",
    0xE000_EF38: "FPCAR",
    0xE000_EF3C: "FPDSCR",
}
_ZERO = {
    0xE000_0E80: "ITM TCR",
    0xE000_ED90: "MPU TYPE",
    0xE000_ED94: "MPU CTRL",
    0xE000_EDF0: "DHCSR",
}
_SYSTICK, _VECTOR_TABLE, _CPACR = 0xE000_E010, 0xE000_ED08, 0xE000_ED88
_DWT_CONTROL, _DWT_CYCLES = 0xE000_1000, 0xE000_1004
_ENABLE_SET, _ENABLE_CLEAR, _PEND_SET, _PEND_CLEAR, _ACTIVE, _PRIORITY, _PRIORITY_END = (
    0xE000_E100,
    0xE000_E180,
    0xE000_E200,
    0xE000_E280,
    0xE000_E300,
    0xE000_E400,
    0xE000_E5F0,
)
_SYSTEM_PRIORITY = 0xE000_ED18
_FPCCR_RESET = 0xC000_0000


class SystemControl:
    """The registers of the private peripheral bus, for one core."""

    def __init__(self, nvic: Nvic, systick: SysTick, clock: BlockClock, on_reset: Callable[[], None]) -> None:
        self._nvic = nvic
        self._systick = systick
        self._clock = clock
        self._on_reset = on_reset
        self.reset(0)

    def reset(self, vector_table: int) -> None:
        """Return to the state after reset, with the vector table at an address."""
        self.vector_table = vector_table
        self.scr = 0
        self.ccr = 1 << 9
        self.shcsr = 0
        self.cfsr = 0
        self.hfsr = 0
        self.fault_address = 0
        self._cpacr = 0
        self._clock.float_enabled = 0
        self._stored = {0xE000_EF34: _FPCCR_RESET}
        self._counter_on = False
        self._counter_base = 0
        self._counter_stopped = 0
        self._registers = self._register_map()

    def read(self, address: int, size_bytes: int) -> int:
        """Return a register, or bytes of it."""
        word = self._read_word(address & ~3)
        return word >> 8 * (address & 3) & ((1 << 8 * size_bytes) - 1)

    def write(self, address: int, size_bytes: int, value: int) -> None:
        """Write a register; priorities also byte by byte."""
        first = self._first_priority(address)
        if first is not None:
            for index in range(min(size_bytes, self._nvic.count - first)):
                self._nvic.set_priority(first + index, value >> 8 * index & 0xFF)
        elif size_bytes != 4:
            raise NotModelled("system control", address, value, f"write of {size_bytes} bytes")
        else:
            self._write_word(address, value)

    def _first_priority(self, address: int) -> int | None:
        """Return the exception whose priority byte is at ``address``, if that is one."""
        if _PRIORITY <= address < _PRIORITY_END:
            return min(FIRST_INTERRUPT + address - _PRIORITY, self._nvic.count)
        if _SYSTEM_PRIORITY <= address < _SYSTEM_PRIORITY + 12:
            return 4 + address - _SYSTEM_PRIORITY
        return None

    def _read_word(self, address: int) -> int:
        first = self._first_priority(address)
        if first is not None:
            numbers = range(first, min(first + 4, self._nvic.count))
            return sum(self._nvic.priority(number) << 8 * index for index, number in enumerate(numbers))
        if _SYSTICK <= address < _SYSTICK + 16:
            return self._systick.read(address - _SYSTICK)
        if _ENABLE_SET <= address < _PRIORITY:
            return self._read_interrupt_bits(address)
        if address in self._registers:
            return self._registers[address][0]()
        if address in _STORED:
            return self._stored.get(address, 0)
        if address in _ZERO:
            return 0
        raise NotModelled("system control", address, 0, "register is not modelled")

    def _write_word(self, address: int, value: int) -> None:
        if _SYSTICK <= address < _SYSTICK + 16:
            self._systick.write(address - _SYSTICK, value)
        elif _ENABLE_SET <= address < _ACTIVE:
            self._write_interrupt_bits(address, value)
        elif address in self._registers:
            self._registers[address][1](value)
        elif address in _STORED:
            self._stored[address] = value
        elif address not in _ZERO or value:
            raise NotModelled(
                _ZERO.get(address, "system control"), address, value, "register is not modelled"
            )

    def _read_interrupt_bits(self, address: int) -> int:
        nvic = self._nvic
        shift = FIRST_INTERRUPT + 8 * (address & 0x7F)
        if address >= _ACTIVE:
            mask = sum(1 << number for number in nvic.active)
        else:
            mask = nvic.enabled if address < _PEND_SET else nvic.pending
        return mask >> shift & 0xFFFF_FFFF

    def _write_interrupt_bits(self, address: int, value: int) -> None:
        nvic = self._nvic
        first = FIRST_INTERRUPT + 8 * (address & 0x7F)
        mask = value << first & ((1 << nvic.count) - 1)
        if address < _ENABLE_CLEAR:
            nvic.enable(mask)
        elif address < _PEND_SET:
            nvic.disable(mask)
        else:
            change = nvic.pend if address < _PEND_CLEAR else nvic.clear_pending
            for number in range(first, nvic.count):
                if mask >> number & 1:
                    change(number)

    def _register_map(self) -> dict[int, tuple[Callable[[], int], Callable[[int], None]]]:
        def ignore(_value: int) -> None:
            """Read-only registers ignore writes."""

        return {
            0xE000_ED00: (lambda: _CPUID, ignore),
            0xE000_E004: (lambda: (self._nvic.count - FIRST_INTERRUPT - 1) // 32, ignore),
            0xE000_ED04: (self._read_icsr, self._write_icsr),
            _VECTOR_TABLE: (lambda: self.vector_table, self._write_vector_table),
            0xE000_ED0C: (lambda: 0xFA05_0000 | self._nvic.priority_group << 8, self._write_aircr),
            0xE000_ED10: (lambda: self.scr, lambda value: setattr(self, "scr", value & 0x16)),
            0xE000_ED14: (lambda: self.ccr, lambda value: setattr(self, "ccr", value & 0x31B)),
            0xE000_ED24: (lambda: self.shcsr, lambda value: setattr(self, "shcsr", value & 0x7_0000)),
            0xE000_ED28: (lambda: self.cfsr, lambda value: setattr(self, "cfsr", self.cfsr & ~value)),
            0xE000_ED2C: (lambda: self.hfsr, lambda value: setattr(self, "hfsr", self.hfsr & ~value)),
            0xE000_ED34: (lambda: self.fault_address, ignore),
            0xE000_ED38: (lambda: self.fault_address, ignore),
            _CPACR: (lambda: self._cpacr, self._write_cpacr),
            0xE000_EF00: (lambda: 0, lambda value: self._nvic.pend(FIRST_INTERRUPT + (value & 0x1FF))),
            _DWT_CONTROL: (lambda: 0x4000_0000 | self._counter_on, self._write_counter_control),
            _DWT_CYCLES: (self._counter, self._write_counter),
        }

    def _read_icsr(self) -> int:
        nvic = self._nvic
        pending = nvic.next_pending() or 0
        return (
            (nvic.active[-1] if nvic.active else 0)
            | (0x800 if len(nvic.active) <= 1 else 0)
            | pending << 12
            | (1 << 22 if nvic.pending >> FIRST_INTERRUPT else 0)
            | (nvic.pending >> SYS_TICK & 1) << 26
            | (nvic.pending >> PEND_SV & 1) << 28
            | (nvic.pending >> NMI & 1) << 31
        )

    def _write_icsr(self, value: int) -> None:
        for bit, number in ((31, NMI), (28, PEND_SV), (26, SYS_TICK)):
            if value >> bit & 1:
                self._nvic.pend(number)
        for bit, number in ((27, PEND_SV), (25, SYS_TICK)):
            if value >> bit & 1:
                self._nvic.clear_pending(number)

    def _write_vector_table(self, value: int) -> None:
        self.vector_table = value & 0xFFFF_FF80

    def _write_aircr(self, value: int) -> None:
        if value >> 16 != _RESET_KEY:
            return
        self._nvic.priority_group = value >> 8 & 7
        if value & _SYSRESETREQ:
            self._on_reset()

    def _write_cpacr(self, value: int) -> None:
        self._cpacr = value & _CPACR_FLOAT
        self._clock.float_enabled = int(self._cpacr == _CPACR_FLOAT)

    def _counter(self) -> int:
        cycles = self._clock.cycles - self._counter_base if self._counter_on else self._counter_stopped
        return cycles & 0xFFFF_FFFF

    def _write_counter(self, value: int) -> None:
        self._counter_stopped = value
        self._counter_base = self._clock.cycles - value

    def _write_counter_control(self, value: int) -> None:
        counter = self._counter()
        self._counter_on = bool(value & _DWT_CYCCNT_ENABLE)
        self._write_counter(counter)
