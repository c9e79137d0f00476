"""Boards: console, programming of symbols, reports."""

from __future__ import annotations

import struct

import pytest

from synergyc.diagnostics import SynergyError
from synergyc.emulate.core import RunEnd
from tests.emulate.programs import Programs

SUM = """
__attribute__((section(".rodata.samples"))) const volatile int8_t samples[8] = {0};
volatile int total;
int main(void) {
  run_at_100_mhz(); uart_open(0, 54);
  total = 0;
  for (int i = 0; i < 8; i++) total += samples[i];
  put_hex(total);
  return 0;
}
"""


def test_poke_programs_flash_and_peek_reads_ram(programs: Programs) -> None:
    board = programs.board(SUM)
    board.poke("samples", struct.pack("8b", 1, 2, 3, 4, -5, 6, 7, 100))
    board.reset()
    assert board.run(10_000_000) is RunEnd.IDLE
    assert board.console == b"00000076\n"
    assert struct.unpack("<i", board.peek("total")) == (118,)
    board.reset()
    board.run(20_000_000)
    assert board.console == b"00000076\n" * 2


def test_poke_checks_size_and_name(programs: Programs) -> None:
    board = programs.board(SUM)
    with pytest.raises(SynergyError, match=r"need: 9 B  have: 8 B"):
        board.poke("samples", bytes(9))
    with pytest.raises(SynergyError, match="no symbol 'sample'"):
        board.poke("sample", bytes(1))


def test_unknown_uart_and_port_are_named(programs: Programs) -> None:
    board = programs.board(SUM)
    with pytest.raises(SynergyError, match="must be one of uart0, uart1, uart2, uart3, not 'uart7'"):
        board.uart("uart7")
    with pytest.raises(SynergyError, match="no GPIO port 'gpio7'"):
        board.output("gpio7", 0)


def test_statistics_share_time_between_work_and_sleep(programs: Programs) -> None:
    board = programs.board("""
void tmr0_handler(void) { TMR(0, 0x0C) = 1; for (volatile int i = 0; i < 100; i++) {} }
int main(void) { run_at_100_mhz(); NVIC_ISER(5); timer_start(0, 50000, 1, 1); for (;;) WFI(); }
""")
    board.run(20_000_000)
    statistics = board.statistics()
    assert statistics.cpu_cycles == pytest.approx(2_000_000, rel=0.001)
    assert 0.005 < statistics.cpu_busy < 0.03
    assert statistics.instructions < statistics.cpu_cycles - statistics.cpu_sleep_cycles


def test_integer_arithmetic_equals_the_hosts(programs: Programs) -> None:
    # Truth: the same recurrence computed here; covers multiply, divide, shifts and 64-bit helpers of libgcc.
    output = programs.output("""
int main(void) {
  run_at_100_mhz(); uart_open(0, 54);
  uint64_t a = 0x123456789abcdefull; uint32_t b = 1;
  for (uint32_t i = 1; i < 200; i++) {
    a = a * 6364136223846793005ull + i; b = b * 1664525u + (uint32_t)(a >> 33) / i;
    b ^= (uint32_t)((int32_t)b >> (i & 31)) + (uint32_t)(a % (b | 1u));
  }
  put_hex((uint32_t)(a >> 32)); put_hex((uint32_t)a); put_hex(b);
  return 0;
}
""")
    a, b = 0x123456789ABCDEF, 1
    for i in range(1, 200):
        a = (a * 6364136223846793005 + i) & (1 << 64) - 1
        b = (b * 1664525 + (a >> 33 & 0xFFFF_FFFF) // i) & 0xFFFF_FFFF
        signed = b - (1 << 32) if b >> 31 else b
        b ^= ((signed >> (i & 31)) + a % (b | 1)) & 0xFFFF_FFFF
    assert [int(line, 16) for line in output.split()] == [a >> 32, a & 0xFFFF_FFFF, b]
