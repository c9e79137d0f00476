"""Exceptions, sleep and faults of the core.

Truth: the ARMv7-M Architecture Reference Manual (DDI 0403); each test states the rule it checks.
"""

from __future__ import annotations

import pytest

from synergyc.emulate.core import RunEnd
from tests.emulate.programs import Programs


def test_nested_interrupts_follow_priorities(programs: Programs) -> None:
    # B1.5.4: an exception preempts only code of a numerically higher priority.
    output = programs.output("""
void tmr0_handler(void) { put_text("<a"); NVIC_ISPR(6); NVIC_ISPR(7); BARRIER(); put_text("a>"); }
void tmr1_handler(void) { put_text("<b"); put_text("b>"); }
void tmr2_handler(void) { put_text("<c"); put_text("c>"); }
int main(void) {
  run_at_100_mhz(); uart_open(0, 54);
  NVIC_PRIORITY(5, 4); NVIC_PRIORITY(6, 2); NVIC_PRIORITY(7, 6);
  NVIC_ISER(5); NVIC_ISER(6); NVIC_ISER(7);
  NVIC_ISPR(5); BARRIER();
  put_text("|end");
  return 0;
}
""")
    assert output == "<a<bb>a><cc>|end"


def test_same_priority_goes_by_number_without_preemption(programs: Programs) -> None:
    # B1.5.4: with equal priorities the lowest exception number is taken first.
    output = programs.output("""
void tmr0_handler(void) { put_text("0"); }
void tmr1_handler(void) { put_text("1"); NVIC_ISPR(5); BARRIER(); put_text("1"); }
void tmr2_handler(void) { put_text("2"); }
int main(void) {
  run_at_100_mhz(); uart_open(0, 54);
  NVIC_ISER(5); NVIC_ISER(6); NVIC_ISER(7);
  __asm volatile("cpsid i");
  NVIC_ISPR(7); NVIC_ISPR(6);
  __asm volatile("cpsie i"); BARRIER();
  put_text("|");
  return 0;
}
""")
    assert output == "1102|"


def test_masks_hold_interrupts_back(programs: Programs) -> None:
    # B1.4.3: PRIMASK raises the execution priority to 0, BASEPRI to its value.
    output = programs.output("""
void tmr0_handler(void) { put_text("i"); }
static void basepri(uint32_t value) { __asm volatile("msr basepri, %0\\n isb" :: "r"(value) : "memory"); }
int main(void) {
  run_at_100_mhz(); uart_open(0, 54);
  NVIC_PRIORITY(5, 3); NVIC_ISER(5);
  __asm volatile("cpsid i" ::: "memory"); NVIC_ISPR(5); BARRIER(); put_text("a");
  __asm volatile("cpsie i\\n isb" ::: "memory"); put_text("b");
  basepri(3 << 5); NVIC_ISPR(5); BARRIER(); put_text("c");
  basepri(4 << 5); put_text("d");
  basepri(2 << 5); NVIC_ISPR(5); BARRIER(); put_text("e");
  basepri(0); put_text("f");
  __asm volatile("cpsid f" ::: "memory"); NVIC_ISPR(5); BARRIER(); put_text("g");
  __asm volatile("cpsie f\\n isb" ::: "memory"); put_text("h");
  return 0;
}
""")
    assert output == "aibcideifgih"


def test_wfi_wakes_with_primask_set(programs: Programs) -> None:
    # B1.5.19: WFI ends for an interrupt that only PRIMASK holds back; its handler runs after unmasking.
    output = programs.output("""
void tmr0_handler(void) { TMR(0, 0x0C) = 1; put_text("handler "); }
int main(void) {
  run_at_100_mhz(); uart_open(0, 54);
  NVIC_ISER(5);
  __asm volatile("cpsid i" ::: "memory");
  timer_start(0, 50000, 0, 1);
  WFI(); put_text("awake ");
  __asm volatile("cpsie i\\n isb" ::: "memory"); put_text("end");
  return 0;
}
""")
    assert output == "awake handler end"


def test_supervisor_call_gets_and_returns_values(programs: Programs) -> None:
    # B1.5.6: the frame holds r0-r3, r12, lr, pc, xPSR; a handler that changes it changes the caller's r0.
    output = programs.output("""
__attribute__((used)) void serve(uint32_t *frame) {
  uint8_t number = ((uint8_t *)frame[6])[-2];
  frame[0] = frame[0] * 100 + frame[1] * 10 + number;
}
__attribute__((naked)) void svc_handler(void) { __asm volatile("mov r0, sp\\n b serve"); }
int main(void) {
  run_at_100_mhz(); uart_open(0, 54);
  register uint32_t a __asm("r0") = 3;
  register uint32_t b __asm("r1") = 4;
  __asm volatile("svc 5" : "+r"(a) : "r"(b) : "memory", "r2", "r3", "r12", "lr");
  put_hex(a);
  return 0;
}
""")
    assert int(output, 16) == 345


def test_pend_sv_runs_after_the_handler_that_pended_it(programs: Programs) -> None:
    output = programs.output("""
void tmr0_handler(void) { put_text("("); ICSR = 1u << 28; BARRIER(); put_text(")"); }
void pend_sv_handler(void) { put_text("p"); }
int main(void) {
  run_at_100_mhz(); uart_open(0, 54);
  REG(0xE000ED20) = 0xE0u << 16;
  NVIC_ISER(5); NVIC_ISPR(5); BARRIER();
  put_text(".");
  return 0;
}
""")
    assert output == "()p."


def test_threads_on_the_process_stack_switch_in_pend_sv(programs: Programs) -> None:
    # B1.4.4, B1.5.8: EXC_RETURN 0xFFFFFFFD returns to the process stack; a minimal scheduler uses it.
    output = programs.output("""
static uint32_t stack_a[128], stack_b[128], *saved[2];
static volatile int current, switches;
static void yield_now(void) { ICSR = 1u << 28; BARRIER(); }
static void thread(char name) { for (;;) { uart_put(0, name); yield_now(); } }
static void thread_a(void) { thread('A'); }
static void thread_b(void) { thread('B'); }
static uint32_t *prepare(uint32_t *end, void (*entry)(void)) {
  *--end = 1u << 24; *--end = (uint32_t)entry; *--end = 0;
  for (int i = 0; i < 5 + 8; i++) *--end = 0;
  return end;
}
__attribute__((used)) uint32_t *next(uint32_t *stack) {
  if (++switches > 8) { put_text("|"); __asm volatile("cpsid i"); for (;;) WFI(); }
  if (current >= 0) saved[current] = stack;
  current = current == 0;
  return saved[current];
}
__attribute__((naked)) void pend_sv_handler(void) {
  __asm volatile("mrs r0, psp\\n cbz r0, 1f\\n stmdb r0!, {r4-r11}\\n 1: bl next\\n ldmia r0!, {r4-r11}\\n"
                 "msr psp, r0\\n mvn lr, #2\\n bx lr");
}
int main(void) {
  run_at_100_mhz(); uart_open(0, 54);
  saved[0] = prepare(stack_a + 128, thread_a); saved[1] = prepare(stack_b + 128, thread_b);
  current = -1;
  __asm volatile("msr psp, %0" :: "r"(0));
  yield_now();
  put_text("not reached");
  return 0;
}
""")
    assert output == "ABABABAB|"


def test_float_context_survives_interrupts(programs: Programs) -> None:
    # B1.5.7: with the FP context active, s0-s15 and FPSCR are stacked and restored.
    output = programs.output("""
static volatile uint32_t ticks;
static volatile float noise;
void tmr0_handler(void) {
  TMR(0, 0x0C) = 1; ticks++;
  __asm volatile("vmov.f32 s0, #1.0\\n vmov.f32 s1, #2.0\\n vmov.f32 s2, #3.0\\n vmov.f32 s15, #4.0"
                 ::: "s0", "s1", "s2", "s15");
  noise = noise * 1.5f + 1.0f;
}
int main(void) {
  run_at_100_mhz(); uart_open(0, 54);
  CPACR |= 0xFu << 20; BARRIER();
  NVIC_ISER(5); timer_start(0, 701, 1, 1);
  float sum = 0.0f, step = 0.5f;
  for (uint32_t i = 0; i < 20000; i++) { sum += step; step = step > 8.0f ? 0.5f : step + 0.25f; }
  TMR(0, 0x10) = 0;
  put_hex((uint32_t)(sum * 4.0f)); put_hex(ticks > 20);
  return 0;
}
""")
    total, step = 0.0, 0.5
    for _ in range(20000):
        total += step
        step = 0.5 if step > 8.0 else step + 0.25
    assert output.split() == [f"{int(total * 4):08x}", "00000001"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("REG(0x60000000) = 1;", "data access: write of memory that is not there or read-only at 0x60000000"),
        (
            "put_hex(REG(0x30000004));",
            "data access: read of memory that is not there or read-only at 0x30000004",
        ),
        ("REG(0x10000000) = 1;", "data access: write of memory that is not there or read-only at 0x10000000"),
        ("REG(0x40070000) = 1;", "data access: write of memory that is not there or read-only at 0x40070000"),
        ("REG(0x40004000) = 1;", "data access: no peripheral there at 0x40004000"),
        ('__asm volatile("udf 1");', "undefined instruction"),
        ("((void (*)(void))0x60000001)();", "instruction fetch: no executable memory there at 0x60000000"),
        ('__asm volatile("bkpt 1");', "breakpoint instruction"),
        ("REG(0x50100000) = 1;", "the accelerator's clock is off at 0x50100000"),
    ],
)
def test_faults_are_reported_with_their_place(programs: Programs, body: str, reason: str) -> None:
    board = programs.board(f"int main(void) {{ run_at_100_mhz(); {body} return 0; }}")
    assert board.run(1_000_000_000) is RunEnd.HALT
    assert board.chip.halt is not None
    assert board.chip.halt.kind == "fault"
    text = board.chip.halt.render(board.image.symbol_at)
    assert reason in text
    if "fetch" not in reason:
        assert "(main" in text.splitlines()[1]


def test_fault_handler_that_sleeps_ends_the_program(programs: Programs) -> None:
    board = programs.board("""
void hard_fault_handler(void) { put_text("bad"); __asm volatile("cpsid i"); for (;;) WFI(); }
int main(void) { run_at_100_mhz(); uart_open(0, 54); REG(0x60000000) = 1; return 0; }
""")
    assert board.run(1_000_000_000) is RunEnd.HALT
    assert board.console == b"bad"
    assert board.chip.halt is not None
    assert board.chip.halt.address == 0x6000_0000


def test_recovered_fault_is_remembered(programs: Programs) -> None:
    # B1.5.14: a BusFault that is enabled in SHCSR goes to its own handler; BFAR holds the address.
    board = programs.board("""
__attribute__((used)) void skip(uint32_t *frame) { put_hex(REG(0xE000ED38)); frame[6] += 2; }
__attribute__((naked)) void bus_fault_handler(void) { __asm volatile("mov r0, sp\\n b skip"); }
int main(void) {
  run_at_100_mhz(); uart_open(0, 54); REG(0xE000ED24) = 1u << 17;
  register uint32_t address __asm("r3") = 0x60000010;
  __asm volatile("ldr r2, [r3]" :: "r"(address) : "r2", "memory");
  put_text("on");
  return 0;
}
""")
    assert board.run(1_000_000_000) is RunEnd.IDLE
    assert board.console == b"60000010\non"
    assert [fault.address for fault in board.chip.core.faults] == [0x6000_0010]
    assert board.chip.halt is None


def test_fault_in_the_fault_handler_is_a_lockup(programs: Programs) -> None:
    board = programs.board("""
void hard_fault_handler(void) { REG(0x60000004) = 1; }
int main(void) { REG(0x60000000) = 1; return 0; }
""")
    assert board.run(1_000_000_000) is RunEnd.HALT
    assert [fault.address for fault in board.chip.core.faults] == [0x6000_0000, 0x6000_0004]


def test_stack_overflow_is_reported(programs: Programs) -> None:
    board = programs.board("""
static __attribute__((noinline)) uint32_t deeper(volatile uint32_t *n) {
  volatile uint32_t here[64];
  here[0] = *n + 1;
  return *n > 1000000 ? 0 : deeper(here) + here[0];
}
int main(void) { volatile uint32_t n = 0; return deeper(&n); }
""")
    assert board.run(1_000_000_000) is RunEnd.HALT
    assert board.chip.halt is not None
    assert "(deeper" in board.chip.halt.render(board.image.symbol_at)
