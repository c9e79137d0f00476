"""UART, timers, GPIO, SysTick and DMA as programs see them.

Truth: the register descriptions in the MSDK's headers; times by arithmetic on dividers and clocks.
"""

from __future__ import annotations

import functools
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synergyc.emulate.board import Board
from synergyc.emulate.peripherals import Gpio
from synergyc.emulate.peripherals.uart import Frame
from synergyc.emulate.simulation import Ending, Simulation
from tests.emulate.programs import CONSOLE_BYTE_PS, Programs

ECHO = """
static volatile uint32_t overruns;
void uart0_handler(void) {
  uint32_t flags = UART(0, 0xC); UART(0, 0xC) = flags; overruns += flags >> 3 & 1;
  while (!(UART(0, 4) & 1u << 4)) { uint32_t byte = UART(0, 0x20); if (byte) uart_put(0, byte ^ 0x20); }
}
int main(void) {
  run_at_100_mhz(); uart_open(0, 54); UART(0, 8) = 1u << 4 | 1u << 3; NVIC_ISER(14);
  for (;;) WFI();
}
"""


def run(board: Board, until_ns: int = 100_000_000) -> None:
    outcome = Simulation([board]).run(until_ns)
    assert outcome.ending is Ending.IDLE, outcome.report


def test_console_echoes_by_interrupt(programs: Programs) -> None:
    board = programs.board(ECHO)
    board.feed(b"Hello, WORLD", at_ns=100_000)
    run(board)
    assert board.console == bytes(value ^ 0x20 for value in b"Hello, WORLD")
    # The first byte arrives after 10 bits at the board's rate and is sent back after the interrupt.
    first_ns = 100_000 + 10 * 1e9 / 921_600 + CONSOLE_BYTE_PS / 1000
    assert first_ns < board.console_log.times_ns[0] < first_ns + 1500


def test_bytes_of_a_full_fifo_follow_without_gaps(programs: Programs) -> None:
    board = programs.board(
        'int main(void) { run_at_100_mhz(); uart_open(0, 54); put_text("0123456789"); return 0; }'
    )
    run(board)
    times = [at_ns * 1000 for at_ns in board.console_log.times_ns]
    assert all(
        later - earlier == pytest.approx(CONSOLE_BYTE_PS, abs=1000) for earlier, later in pairwise(times)
    )
    assert board.statistics().uart_busy_ps["uart0"] == 10 * CONSOLE_BYTE_PS


def test_overrun_loses_the_ninth_byte(programs: Programs) -> None:
    board = programs.board("""
int main(void) {
  run_at_100_mhz(); uart_open(0, 54);
  while (!(UART(0, 0xC) & 1u << 3)) {}
  put_hex(UART(0, 4) >> 8 & 15);
  while (!(UART(0, 4) & 1u << 4)) uart_put(0, UART(0, 0x20));
  return 0;
}
""")
    board.feed(b"abcdefghi")
    run(board)
    assert board.console == b"00000008\nabcdefgh"


@pytest.mark.parametrize(
    ("control", "bits"),
    [
        (3 << 10, 10),
        (2 << 10, 9),
        (3 << 10 | 1 << 4, 11),
        (3 << 10 | 1 << 4 | 1 << 5 | 1 << 12, 12),
        (3 << 10 | 1 << 4 | 1 << 6, 11),
    ],
)
def test_frame_formats_pass_between_equal_ends(programs: Programs, control: int, bits: int) -> None:
    source = f"""
int main(void) {{
  run_at_100_mhz(); uart_open(0, 54);
  PCLKDIS1 &= ~(1u << 1); UART(2, 0) = {control}u; UART(2, 0x10) = 434; UART(2, 0) |= 1u << 15;
  uint32_t began = 0; cycle_counter_on(); began = CYCLES;
  for (int i = 0; i < 4; i++) UART(2, 0x20) = 0x11 * (i + 1);
  while (UART(2, 4) & 1) {{}}
  uint32_t ended = CYCLES;
  put_hex((ended - began + 434) / 868);
  while (!(UART(2, 4) & 1u << 4)) put_hex(UART(2, 0x20));
  put_hex(UART(2, 0xC) & 0xF);
  return 0;
}}
"""
    board = programs.board(source)
    uart = board.uart("uart2")
    uart.on_transmit = uart.receive  # loop-back
    run(board)
    lines = [int(line, 16) for line in board.console.split()]
    mask = 0x7F if bits == 9 else 0xFF
    assert lines == [4 * bits, *(0x11 * (index + 1) & mask for index in range(4)), 0]


def test_wrong_parity_and_missing_stop_bit_are_flagged(programs: Programs) -> None:
    source = """
int main(void) {
  run_at_100_mhz(); uart_open(0, 54); UART(0, 0) |= 1u << 4;
  while ((UART(0, 4) >> 8 & 15) < 2) {}
  uint32_t flags = UART(0, 0xC), first = UART(0, 0x20), second = UART(0, 0x20);
  UART(0, 0) &= ~(1u << 4);
  put_hex(flags & 0xB); put_hex(first); put_hex(second);
  return 0;
}
"""
    board = programs.board(source)
    console = board.chip.uart("uart0")
    # 0x41 has two ones: even parity is 0. The first frame has parity 1, the second no stop bit.
    duration_ps = 11 * CONSOLE_BYTE_PS // 10
    console.receive(Frame(100_000_000, duration_ps, 0x41 << 1 | 1 << 9 | 1 << 10, 11))
    console.receive(Frame(200_000_000, duration_ps, 0x41 << 1, 11))
    run(board)
    assert [int(line, 16) for line in board.console.split()] == [0x3, 0x141, 0x41]


@given(value=st.integers(0, 255), error=st.floats(-0.045, 0.045), data_bits=st.integers(5, 8))
def test_sampling_tolerates_a_half_bit_over_the_frame(value: int, error: float, data_bits: int) -> None:
    # Ten bits, sampled in their middle: the stop bit is missed from a clock error of 1 in 19 on.
    bits = 2 + data_bits
    levels = (value & (1 << data_bits) - 1) << 1 | 1 << bits - 1
    own_ps = 1_000_000 * bits
    assert Frame(0, round(own_ps * (1 + error)), levels, bits).sampled(bits, own_ps) == levels


@given(levels=st.integers(0, 1023))
def test_half_the_rate_doubles_each_bit(levels: int) -> None:
    # Samples at 0.25, 0.75, 1.25, ... of the sender's bits.
    seen = Frame(0, 20_000_000, levels, 10).sampled(10, 10_000_000)
    assert [seen >> index & 1 for index in range(10)] == [levels >> index // 2 & 1 for index in range(10)]


def test_rate_mismatch_damages_bytes(programs: Programs) -> None:
    board = programs.board(ECHO)
    console = board.chip.uart("uart0")
    console.receive(Frame(100_000_000, CONSOLE_BYTE_PS * 2, 0x55 << 1 | 1 << 9, 10))
    run(board)
    assert board.console not in (b"", bytes([0x55 ^ 0x20]))


def test_low_power_uart_counts_ibro(programs: Programs) -> None:
    board = programs.board("""
#define LPUART(offset) REG(0x40081400 + (offset))
int main(void) {
  REG(0x4008000C) &= ~(1u << 4);
  LPUART(0) = 3u << 10; LPUART(0x10) = 8; LPUART(0) |= 1u << 15;
  for (const char *text = "lp"; *text; text++) LPUART(0x20) = *text;
  return 0;
}
""")
    frames: list[Frame] = []
    board.uart("uart3").on_transmit = frames.append
    run(board)
    assert [frame.levels >> 1 & 0xFF for frame in frames] == list(b"lp")
    assert frames[0].rate_bd == pytest.approx(7_372_800 / 8)


def test_timer_interrupts_come_at_their_period(programs: Programs) -> None:
    output = programs.output("""
static volatile uint32_t count, at[10];
void tmr0_handler(void) { TMR(0, 0x0C) = 1; at[count++] = CYCLES; if (count == 10) TMR(0, 0x10) = 0; }
int main(void) {
  run_at_100_mhz(); uart_open(0, 54); cycle_counter_on(); NVIC_ISER(5);
  timer_start(0, 5000, 1, 1);
  while (count < 10) WFI();
  for (int i = 1; i < 10; i++) put_hex(at[i] - at[i - 1]);
  return 0;
}
""")
    # 5000 ticks of 50 MHz are 10,000 CPU cycles.
    assert all(int(line, 16) == pytest.approx(10_000, abs=4) for line in output.split())


@pytest.mark.parametrize(("select", "ticks"), [(0, 25_000), (1, 30_000), (2, 3_686), (3, 16)])
def test_timer_counts_its_clock_source(programs: Programs, select: int, ticks: int) -> None:
    output = programs.output(f"""
int main(void) {{
  run_at_100_mhz(); uart_open(0, 54); cycle_counter_on();
  PCLKDIS0 &= ~(1u << 15); TMR(0, 0x18) = 1u << 31 | {select}; TMR(0, 0x10) = 1 | 1u << 14;
  TMR(0, 4) = -1; TMR(0, 0) = 0;
  TMR(0, 0x10) |= 1u << 15;
  uint32_t began = CYCLES; while (CYCLES - began < 50000) {{}}
  put_hex(TMR(0, 0));
  return 0;
}}
""")
    assert int(output, 16) == pytest.approx(ticks, abs=30 if select < 2 else 5)


def test_one_shot_and_prescaler_and_compare(programs: Programs) -> None:
    output = programs.output("""
static uint32_t time_to_flag(uint32_t control0, uint32_t compare) {
  timer_start(1, compare, control0, 0);
  uint32_t began = CYCLES;
  while (!(TMR(1, 0x0C) & 1)) {}
  return CYCLES - began;
}
int main(void) {
  run_at_100_mhz(); uart_open(0, 54); cycle_counter_on();
  put_hex(time_to_flag(0, 1000)); put_hex(TMR(1, 0x10) >> 15 & 1); put_hex(TMR(1, 0));
  put_hex(time_to_flag(0 | 3 << 4, 1000));
  put_hex(time_to_flag(5, 1000)); put_hex(TMR(1, 0x10) >> 15 & 1); put_hex(TMR(1, 0) > 1000);
  return 0;
}
""")
    one_shot, running, count, prescaled, compare, still_running, beyond = (int(x, 16) for x in output.split())
    assert one_shot == pytest.approx(2000, abs=40)
    assert (running, count) == (0, 1)
    assert prescaled == pytest.approx(16_000, abs=60)
    assert compare == pytest.approx(2000, abs=40)
    assert (still_running, beyond) == (1, 1)


def test_systick_counts_down_and_interrupts(programs: Programs) -> None:
    output = programs.output("""
static volatile uint32_t ticks;
void sys_tick_handler(void) { ticks++; }
int main(void) {
  run_at_100_mhz(); uart_open(0, 54); cycle_counter_on();
  REG(0xE000E014) = 999; REG(0xE000E018) = 0; REG(0xE000E010) = 5;
  uint32_t began = CYCLES; while (!(REG(0xE000E010) >> 16 & 1)) {}
  put_hex(CYCLES - began); put_hex(REG(0xE000E010) >> 16 & 1); put_hex(REG(0xE000E018) < 1000);
  REG(0xE000E010) = 7; began = CYCLES;
  while (ticks < 50) WFI();
  REG(0xE000E010) = 0;
  put_hex(CYCLES - began);
  return 0;
}
""")
    first, flag_again, in_range, fifty = (int(line, 16) for line in output.split())
    assert first == pytest.approx(1000, abs=40)
    assert (flag_again, in_range) == (0, 1)
    assert fifty == pytest.approx(50_000, abs=1050)


def drive(gpio: Gpio, level: bool, _at_ps: int) -> None:
    gpio.drive(2, level)


def test_pins_can_be_watched_and_driven(programs: Programs) -> None:
    board = programs.board("""
static volatile uint32_t edges;
void gpio0_handler(void) { REG(0x40008048) = REG(0x40008040); edges++; }
int main(void) {
  run_at_100_mhz(); uart_open(0, 54); REG(0x4008000C) &= ~1u; PCLKDIS0 &= ~1u;
  REG(0x4008041C) = 1; REG(0x40080410) = 3; REG(0x40080420) = 1; REG(0x4008041C) = 2;
  REG(0x40008028) = 4; REG(0x4000802C) = 4; REG(0x40008038) = 4; NVIC_ISER(24);
  while (edges < 2) WFI();
  put_hex(REG(0x40008024));
  return 0;
}
""")
    gpio0 = board.chip.peripherals["gpio0"]
    assert isinstance(gpio0, Gpio)
    levels = [(10_000, True), (20_000, False), (30_000, True)]
    for at_ns, level in levels:
        board.chip.timeline.schedule(at_ns * 1000, functools.partial(drive, gpio0, level))
    run(board)
    assert [levels for _, levels in board.output_changes["gpio2"]] == [1, 0, 2]
    assert board.output("gpio2", 1)
    assert not board.output("gpio2", 0)
    assert board.console == b"00000004\n"
    # Both rising edges came as interrupts: the program waited for the second.
    assert board.console_log.times_ns[0] > 30_000


def test_dma_sends_and_receives_for_the_cpu(programs: Programs) -> None:
    board = programs.board("""
#define DMA(channel, offset) REG(0x40028100 + 0x20 * (channel) + (offset))
static volatile uint32_t done;
static const char text[] = "sent by DMA";
static char received[4];
void dma0_handler(void) { DMA(0, 4) = DMA(0, 4); done = 1; }
int main(void) {
  run_at_100_mhz(); uart_open(0, 54); PCLKDIS0 &= ~(1u << 5); NVIC_ISER(28); REG(0x40028000) = 1;
  DMA(1, 0xC) = (uint32_t)received; DMA(1, 0x10) = 4; DMA(1, 0) = 4u << 4 | 1u << 22 | 1;
  DMA(0, 8) = (uint32_t)text; DMA(0, 0x10) = sizeof text - 1;
  DMA(0, 0) = 0x24u << 4 | 1u << 18 | 1u << 31 | 1;
  UART(0, 0x30) = 1u << 4 | 1u << 9;
  while (!done) WFI();
  put_hex(DMA(0, 0x10));
  while (DMA(1, 0) & 1) {}
  for (int i = 0; i < 4; i++) uart_put(0, received[i]);
  DMA(2, 8) = (uint32_t)text; DMA(2, 0xC) = (uint32_t)received; DMA(2, 0x10) = 4;
  DMA(2, 0) = 1u << 18 | 1u << 22 | 1;
  for (int i = 0; i < 4; i++) uart_put(0, received[i]);
  return 0;
}
""")
    board.feed(b"wxyz", at_ns=300_000)
    run(board)
    assert board.console == b"sent by DMA00000000\nwxyzsent"


def test_dma_channels_that_only_a_header_names_read_as_zero(programs: Programs) -> None:
    """max78000.h counts 16 channels, which the SDK's driver resets; the chip has four."""
    board = programs.board("""
int main(void) {
  run_at_100_mhz(); uart_open(0, 54); PCLKDIS0 &= ~(1u << 5);
  REG(0x400282F0) = 8; put_hex(REG(0x400282F0)); REG(0x40028170) = 8; put_hex(REG(0x40028170));
  return 0;
}
""")
    run(board)
    assert board.console == b"00000000\n00000008\n"


def test_dma_count_has_24_bits(programs: Programs) -> None:
    """MSDK dma_regs.h: MXC_F_DMA_CNT_CNT."""
    board = programs.board("""
#define DMA(channel, offset) REG(0x40028100 + 0x20 * (channel) + (offset))
int main(void) {
  run_at_100_mhz(); uart_open(0, 54); PCLKDIS0 &= ~(1u << 5);
  DMA(0, 8) = 0x20000000; DMA(0, 0xC) = 0x20000000; DMA(0, 0x10) = 0xff000004; put_hex(DMA(0, 0x10));
  DMA(0, 0) = 1u << 18 | 1u << 22 | 1; put_hex(DMA(0, 0x10)); put_hex(DMA(0, 0) & 1);
  return 0;
}
""")
    run(board)
    assert board.console == b"00000004\n00000000\n00000000\n"
