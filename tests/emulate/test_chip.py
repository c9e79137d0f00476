"""The chip around the accelerator: clocks, power, wait states, interrupt; flash, resets, random numbers.

A stub takes the place of the accelerator: it records accesses and runs for a given number of cycles. Truth:
the clock equations of the MSDK (PCLKDIV, CLKCTRL) and arithmetic on the target's measured word times.
"""

from __future__ import annotations

import pytest

from synergyc import targets
from synergyc.diagnostics import SynergyError
from synergyc.emulate.board import Board
from synergyc.emulate.elf import ElfImage, Segment
from synergyc.emulate.simulation import Ending, Simulation
from tests.emulate.programs import Programs

POWER_ON = """
static void power_on(void) {
  REG(0x4000580C) = 0xF; REG(0x40005804) = 3; REG(0x40005800) = 3; REG(0x40005808) = 0xC; REG(0x4000580C) = 0;
  PCLKDIS0 &= ~(1u << 25);
}
"""
PCLK_DIV1 = "REG(0x40000018) = 4u << 14;"


class StubAccelerator:
    """Starts on a write of 1 to its first register, stops on 0, is done after ``cycles``."""

    def __init__(self, cycles: int | None = 1000) -> None:
        self.running = False
        self.paused = False
        self.irq = False
        self.cycles = cycles
        self.powers: list[int] = []
        self.accesses = 0
        self.finished = 0

    def ranges(self) -> tuple[tuple[int, int], ...]:
        return ((0x5010_0000, 0x2000), (0x400C_0400, 0x200))

    def set_power(self, quadrant_mask: int) -> None:
        self.powers.append(quadrant_mask)

    def read(self, address: int, size_bytes: int) -> int:
        self.accesses += 1
        return self.finished

    def write(self, address: int, size_bytes: int, value: int) -> None:
        self.accesses += 1
        if address == 0x5010_0000:
            self.running, self.paused = value == 1, value == 2
        if address == 0x5010_0004:
            self.irq = False
        if address == 0x5010_0008:
            self.cycles = value

    def cycles_to_done(self) -> int | None:
        return self.cycles

    def finish(self) -> None:
        self.finished += 1
        self.running = False
        self.irq = True


def run(programs: Programs, source: str, stub: StubAccelerator, board: str = "max78000fthr") -> Board:
    target = targets.load_board(board)
    emulated = Board(target, programs.image(POWER_ON + source), "board", accelerator=stub)
    outcome = Simulation([emulated]).run(1_000_000_000)
    assert outcome.ending is Ending.IDLE, outcome.report
    return emulated


MEASURE = """
static volatile uint32_t done_at;
void cnn_handler(void) { done_at = CYCLES; REG(0x50100004) = 0; }
int main(void) {
  run_at_100_mhz(); uart_open(0, 54); cycle_counter_on(); power_on(); NVIC_ISER(101);
  SETUP
  REG(0x50100000) = 1;
  uint32_t began = CYCLES;
  DURING
  while (!done_at) WFI();
  put_hex(done_at - began);
  return 0;
}
"""


@pytest.mark.parametrize(
    ("setup", "cpu_cycles"),
    [
        ("REG(0x40000018) = 4u << 14;", 2000),  # PCLK / 1 = 50 MHz: two CPU cycles for each of its own
        ("REG(0x40000018) = 0u << 14;", 4000),  # PCLK / 2
        ("REG(0x40000018) = 3u << 14;", 32000),  # PCLK / 16
        ("REG(0x40000018) = 4u << 14 | 1u << 17;", 1667),  # ISO: 60 MHz
    ],
)
def test_run_takes_its_time_in_the_accelerators_clock(
    programs: Programs, setup: str, cpu_cycles: int
) -> None:
    stub = StubAccelerator(1000)
    board = run(programs, MEASURE.replace("SETUP", setup).replace("DURING", ""), stub)
    # The interrupt's entry and the access that reads the counter add some tens of cycles.
    assert cpu_cycles - 30 <= int(board.console, 16) <= cpu_cycles + 60
    assert board.statistics().accelerator_runs == 1
    assert board.statistics().accelerator_busy_ps == pytest.approx(cpu_cycles * 10_000, rel=0.001)


def test_clock_change_during_a_run_slows_the_rest(programs: Programs) -> None:
    during = "while (CYCLES - began < 1000) {} REG(0x40000018) = 0u << 14;"
    board = run(
        programs, MEASURE.replace("SETUP", PCLK_DIV1).replace("DURING", during), StubAccelerator(1000)
    )
    assert int(board.console, 16) == pytest.approx(1000 + 2000, abs=100)


def test_input_that_comes_later_starts_the_time(programs: Programs) -> None:
    during = "while (CYCLES - began < 5000) {} REG(0x50100008) = 1000;"
    source = MEASURE.replace("SETUP", PCLK_DIV1).replace("DURING", during)
    board = run(programs, source, StubAccelerator(None))
    assert int(board.console, 16) == pytest.approx(5000 + 2000, abs=100)


def test_stopping_the_accelerator_cancels_the_run(programs: Programs) -> None:
    stub = StubAccelerator(1000)
    body = f"{PCLK_DIV1} REG(0x50100000) = 1; REG(0x50100000) = 0;"
    run(programs, f"int main(void) {{ run_at_100_mhz(); power_on(); {body} return 0; }}", stub)
    assert stub.finished == 0


def test_time_stands_still_while_a_run_is_held(programs: Programs) -> None:
    during = """
while (CYCLES - began < 500) {} REG(0x50100000) = 2;
while (CYCLES - began < 5500) {} REG(0x50100000) = 1;
"""
    source = MEASURE.replace("SETUP", PCLK_DIV1).replace("DURING", during)
    board = run(programs, source, StubAccelerator(1000))
    assert int(board.console, 16) == pytest.approx(2000 + 5000, abs=150)
    assert board.statistics().accelerator_busy_ps == pytest.approx(2000 * 10_000, rel=0.01)


@pytest.mark.parametrize(
    ("body", "report"),
    [
        ("IPLL_ON SELECT_IPLL IPLL_OFF", None),  # so end the vendor tool's programs
        ("IPLL_ON SELECT_IPLL IPLL_OFF (void)REG(0x50100000);", "the accelerator's clock is off"),
        ("IPLL_ON SELECT_IPLL REG(0x50100000) = 1; IPLL_OFF", "the clock stops during a run"),
    ],
)
def test_accelerator_has_no_clock_when_its_pll_is_off(
    programs: Programs, body: str, report: str | None
) -> None:
    macros = """
#define IPLL_ON REG(0x40000010) |= 1;
#define IPLL_OFF REG(0x40000010) &= ~1u;
#define SELECT_IPLL REG(0x40000018) = 4u << 14 | 3u << 17;
"""
    source = POWER_ON + macros + f"int main(void) {{ power_on(); {body} return 0; }}"
    target = targets.load_board("max78002evkit")
    board = Board(target, programs.image(source), "board", accelerator=StubAccelerator(10**6))
    outcome = Simulation([board]).run(1_000_000_000)
    assert outcome.ending is (Ending.HALT if report else Ending.IDLE)
    assert (report or "") in str(outcome.report)


def test_power_follows_the_order_of_registers(programs: Programs) -> None:
    stub = StubAccelerator()
    run(programs, "int main(void) { power_on(); REG(0x4000580C) = 0xF; return 0; }", stub)
    assert stub.powers[-2:] == [3, 0]
    assert set(stub.powers[:-2]) == {0}


@pytest.mark.parametrize(("name", "divider"), [("max78000fthr", 54), ("max78002evkit", 65)])
def test_copy_loop_costs_the_measured_time_per_word(programs: Programs, name: str, divider: int) -> None:
    source = """
int main(void) {
  run_at_100_mhz(); uart_open(0, DIVIDER); cycle_counter_on(); power_on();
  uint32_t words = 256, value, began = CYCLES;
  const uint32_t *from = (const uint32_t *)0x10000000;
  volatile uint32_t *to = (volatile uint32_t *)0x50100010;
  __asm volatile("1: ldr %0, [%1], #4\\n str %0, [%2]\\n subs %3, #1\\n bne 1b"
                 : "=&r"(value), "+r"(from), "+r"(to), "+r"(words) :: "cc", "memory");
  put_hex(CYCLES - began);
  return 0;
}
""".replace("DIVIDER", str(divider))
    board = run(programs, source, StubAccelerator(), name)
    chip = board.chip.target
    nanoseconds = int(board.console, 16) / 256 * 1e9 / chip.clocks.cpu_hz
    assert nanoseconds == pytest.approx(chip.cnn.timing.word_ns, rel=0.03)


def test_fast_fifo_among_the_peripherals_reaches_the_accelerator(programs: Programs) -> None:
    stub = StubAccelerator()
    run(programs, "int main(void) { power_on(); REG(0x400C0410) = 5; return 0; }", stub)
    assert stub.accesses == 1


def test_gated_peripheral_reads_zero_and_warns(programs: Programs) -> None:
    source = "int main(void) { REG(0x40042010) = 54; uart_open(0, 33); put_hex(REG(0x40008018)); return 0; }"
    board = programs.board(source)
    Simulation([board]).run(10_000_000)
    assert board.chip.warnings == {
        "access to uart0 while its clock is off": 1,
        "access to gpio0 while its clock is off": 1,
    }
    assert board.console == b"00000000\n"


def test_ctrl_c_during_an_access_ends_the_simulation(programs: Programs) -> None:
    """Ctrl-C raises wherever Python runs; what is raised in a callback from C would be lost."""

    class Interrupted(StubAccelerator):
        def read(self, address: int, size_bytes: int) -> int:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(
            programs,
            "int main(void) { power_on(); while (REG(0x50100000) == 0) {} return 0; }",
            Interrupted(),
        )


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            "put_hex(REG(0x4001D000));",
            r"i2c0 register 0x0 \(0x4001D000 = 0x00000000\): peripheral is not modelled",
        ),
        ("REG(0x4000000C) = 8;", "gcr PM .*low-power modes"),
        ("CLKCTRL = 4u << 9;", "system clock from ipo, which is off"),
        ("REG(0x40000018) = 5u << 14;", "gcr PCLKDIV .*accelerator clock"),
        ("REG(0x400000F0) = 1;", "gcr register 0xF0 .*not modelled"),
        ("REG(0xE000E010) = 1;", "SysTick CTRL .*external reference clock"),
        ("REG(0xE000ED94) = 1;", "MPU CTRL"),
        ("PCLKDIS0 &= ~(1u << 15); TMR(0, 0x10) = 3 | 3u << 14;", "tmr0 CTRL0 .*mode 3 is not modelled"),
        ("PCLKDIS0 &= ~(1u << 9); UART(0, 0) = 1u << 13;", "uart0 CTRL .*flow control"),
        ("PCLKDIS0 &= ~(1u << 9); UART(0, 0) = 1u << 15; UART(0, 0x20) = 1;", "clock divider of 0"),
        ("REG(0xE000ED10) = 4; WFI();", "deep sleep"),
        ("PCLKDIS0 &= ~(1u << 5); REG(0x40028110) = 1; REG(0x40028100) = 1u << 4 | 1;", "DMA request 0x01"),
        ("PCLKDIS0 &= ~(1u << 5); REG(0x40028180) = 1;", "dma register 0x180"),
        (
            "PCLKDIS0 &= ~(1u << 5); REG(0x40028110) = 4; REG(0x40028108) = 0x90000000; REG(0x40028100) = 1;",
            r"dma channels .*0x90000000\): a transfer: no memory there",
        ),
        ("*(volatile uint8_t *)0x40005800 = 1;", "gcfr .*write of 1 bytes"),
    ],
)
def test_what_is_not_modelled_is_named(programs: Programs, body: str, message: str) -> None:
    board = programs.board(f"int main(void) {{ {body} return 0; }}")
    outcome = Simulation([board]).run(10_000_000)
    assert outcome.ending is Ending.HALT
    with pytest.raises(SynergyError, match=message):
        outcome.raise_unless(Ending.IDLE)
    assert board.chip.halt is not None
    assert board.chip.halt.kind == "not_modelled"


def test_slower_system_clock_stretches_time(programs: Programs) -> None:
    # From reset the CPU runs at 60 MHz (ISO); divided by 4 a loop takes four times as long.
    times = []
    for divide in ("", "CLKCTRL |= 2u << 6;"):
        board = programs.board(
            f"int main(void) {{ {divide} for (volatile int i = 0; i < 1000; i++) {{}} return 0; }}"
        )
        times.append(Simulation([board]).run(100_000_000).at_ns)
    assert times[1] == pytest.approx(4 * times[0], rel=0.02)


def test_reset_request_starts_again_and_keeps_ram(programs: Programs) -> None:
    output = programs.output("""
static uint32_t *const kept = (uint32_t *)0x2001F000;
int main(void) {
  uart_open(0, 33);
  if (kept[0] != 0xC0DE) { kept[0] = 0xC0DE; kept[1] = 0; }
  put_text("boot ");
  while (UART(0, 4) & 1) {}
  if (++kept[1] < 3) REG(0xE000ED0C) = 0x05FA0004;
  put_text("end");
  return 0;
}
""")
    assert output == "boot boot boot end"


def test_watchdog_resets_a_program_that_does_not_feed_it(programs: Programs) -> None:
    output = programs.output("""
int main(void) {
  uart_open(0, 33); PCLKDIS1 &= ~(1u << 27);
  put_text(REG(0x40003000) >> 31 ? "expired " : "first ");
  if (REG(0x40003000) >> 31) return 0;
  REG(0x40003000) = 15u << 4 | 1u << 8 | 1u << 11;
  for (int i = 0; i < 5; i++) {
    for (volatile int j = 0; j < 2000; j++) {}
    REG(0x40003004) = 0xA5; REG(0x40003004) = 0x5A;
  }
  put_text("fed ");
  for (;;) {}
}
""")
    assert output == "first fed expired "


def test_flash_is_written_only_when_unlocked(programs: Programs) -> None:
    output = programs.output("""
#define FLC(offset) REG(0x40029000 + (offset))
#define PAGE 0x10040000
static void program(uint32_t control, uint32_t value) {
  FLC(0x24) = 0; FLC(0x00) = PAGE + 4; FLC(0x30) = value; FLC(0x08) = control | 1u << 4 | 1;
  put_hex(FLC(0x24)); put_hex(REG(PAGE + 4));
}
int main(void) {
  uart_open(0, 33);
  program(0, 0x12345678);
  program(2u << 28, 0x12345678);
  program(2u << 28, 0xFFFF0000);
  FLC(0x00) = PAGE; FLC(0x08) = 2u << 28 | 0x55 << 8 | 1u << 2;
  put_hex(REG(PAGE + 4));
  return 0;
}
""")
    lines = output.split()
    assert lines == ["00000003", "ffffffff", "00000001", "12345678", "00000001", "12340000", "ffffffff"]


def test_random_numbers_repeat_between_runs_and_not_within_one(programs: Programs) -> None:
    source = """
int main(void) {
  uart_open(0, 33); PCLKDIS1 &= ~(1u << 2);
  for (int i = 0; i < 4; i++) { while (!(REG(0x4004D004) & 1)) {} put_hex(REG(0x4004D008)); }
  return 0;
}
"""
    first = programs.output(source)
    assert len(set(first.split())) == 4
    assert programs.output(source) == first


def test_image_outside_the_memories_is_refused() -> None:
    image = ElfImage("far.elf", (Segment(0x3000_0000, b"1234"),), (), 0x1000_0000)
    with pytest.raises(SynergyError, match=r"far\.elf lies outside the memories of max78000"):
        Board(targets.load_board("max78000fthr"), image, "board")


def test_empty_flash_has_no_program() -> None:
    image = ElfImage("none.elf", (Segment(0x1000_0000, b"1234"),), (), 0x3000_0000)
    with pytest.raises(SynergyError, match="vector table is not in memory"):
        Board(targets.load_board("max78000fthr"), image, "board")
