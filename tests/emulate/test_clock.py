"""Virtual time of the CPU: costs of instructions, and both forms of the block hook.

Truth: the cycle tables of the Cortex-M4 TRM (DDI 0439, tables 3-1 and 7-1), counted by hand.
"""

from __future__ import annotations

import pytest

from synergyc.emulate.clock import native_library
from synergyc.emulate.cpu import Cpu
from synergyc.emulate.simulation import Simulation
from synergyc.emulate.timing import BlockFlag, block_cost
from tests.emulate.programs import Programs


@pytest.mark.parametrize(
    ("text", "cycles", "flags"),
    [
        ("movs r0, #1\n adds r0, r1\n lsls r2, r3, #4", 3, BlockFlag.NONE),
        ("ldr r0, [r1]", 2, BlockFlag.NONE),
        ("ldr r0, [r1]\n ldr r2, [r1, #4]\n str r2, [r3]", 4, BlockFlag.NONE),  # neighbours overlap
        ("ldr r0, [r1]\n adds r0, #1\n ldr r2, [r1, #4]", 5, BlockFlag.NONE),
        ("ldrb.w r0, [r1, #100]\n strh.w r0, [r2, r3, lsl #1]", 3, BlockFlag.NONE),
        ("ldr r0, [pc, #8]", 2, BlockFlag.NONE),
        ("str r0, [sp, #8]", 1, BlockFlag.NONE),
        ("ldm r0, {r1-r4}", 5, BlockFlag.NONE),
        ("stmdb r0!, {r4-r11}", 9, BlockFlag.NONE),
        ("push {r4, r5, lr}", 4, BlockFlag.NONE),
        ("pop {r4, pc}", 3, BlockFlag.NONE),
        ("ldrd r0, r1, [r2]", 3, BlockFlag.NONE),
        ("strd r0, r1, [r2, #8]!", 3, BlockFlag.NONE),
        ("ldrex r0, [r1]", 2, BlockFlag.NONE),
        ("muls r0, r1\n mul r2, r3, r4", 2, BlockFlag.NONE),
        ("mla r0, r1, r2, r3\n mls r0, r1, r2, r3", 4, BlockFlag.NONE),
        ("smull r0, r1, r2, r3\n umlal r0, r1, r2, r3", 2, BlockFlag.NONE),
        ("udiv r0, r1, r2", 7, BlockFlag.NONE),
        ("cmp r0, #0\n it eq\n moveq r0, #1", 3, BlockFlag.NONE),
        ("bl .+64", 1, BlockFlag.NONE),
        ("tbb [pc, r0]", 2, BlockFlag.NONE),
        ("mrs r0, primask", 2, BlockFlag.NONE),
        ("msr basepri, r0", 2, BlockFlag.MASKS),
        ("cpsie i", 1, BlockFlag.MASKS),
        ("vadd.f32 s0, s1, s2\n vmul.f32 s3, s4, s5", 2, BlockFlag.FLOAT),
        ("vmla.f32 s0, s1, s2", 3, BlockFlag.FLOAT),
        ("vfma.f32 s0, s1, s2", 3, BlockFlag.FLOAT),
        ("vdiv.f32 s0, s1, s2", 14, BlockFlag.FLOAT),
        ("vsqrt.f32 s0, s1", 14, BlockFlag.FLOAT),
        ("vldr s0, [r0, #4]", 2, BlockFlag.FLOAT),
        ("vldr d0, [r0]", 3, BlockFlag.FLOAT),
        ("vldmia r0!, {s0-s7}", 9, BlockFlag.FLOAT),
        ("vpush {s16-s17}", 3, BlockFlag.FLOAT),
        ("vmov r0, s0", 1, BlockFlag.FLOAT),
        ("vmov s0, s1, r0, r1", 2, BlockFlag.FLOAT),
        ("vcvt.f32.s32 s0, s0\n vcmp.f32 s0, s1\n vmrs APSR_nzcv, fpscr", 3, BlockFlag.FLOAT),
        ("here: b here", 1, BlockFlag.SPIN),
        ("here: b.w here", 1, BlockFlag.SPIN),
    ],
)
def test_costs_are_those_of_the_manual(programs: Programs, text: str, cycles: int, flags: BlockFlag) -> None:
    cost = block_cost(programs.assemble(text))
    assert (cost.cycles, cost.flags) == (cycles, flags)


def test_cycle_counter_counts_a_loop(programs: Programs) -> None:
    # SUBS 1, BNE 1 + refill 2: four cycles for each but the last pass.
    output = programs.output("""
int main(void) {
  run_at_100_mhz(); uart_open(0, 54); cycle_counter_on();
  uint32_t before = CYCLES;
  uint32_t n = 1000;
  __asm volatile("1: subs %0, #1\\n bne 1b\\n isb" : "+r"(n) :: "cc");
  put_hex(CYCLES - before);
  return 0;
}
""")
    assert 4000 <= int(output, 16) <= 4012


MIXED = """
static volatile uint32_t ticks, words[64];
static volatile float level = 1.0f;
void tmr0_handler(void) { TMR(0, 0x0C) = 1; ticks++; level = level * 1.01f; }
void uart0_handler(void) { UART(0, 0xC) = UART(0, 0xC); ticks += 1000; }
static uint32_t mix(uint32_t n) { return n < 2 ? n : mix(n - 1) ^ (mix(n - 2) << 1) ^ n / 3; }
int main(void) {
  run_at_100_mhz(); uart_open(0, 54); CPACR |= 0xFu << 20; BARRIER();
  NVIC_PRIORITY(5, 1); NVIC_ISER(5); NVIC_ISER(14); timer_start(0, 777, 1, 1); UART(0, 8) = 1u << 6;
  for (uint32_t i = 0; i < 64; i++) words[i] = mix(i % 11);
  put_text("mixed "); while (ticks < 30) WFI();
  __asm volatile("cpsid i" ::: "memory");
  for (uint32_t i = 0; i < 64; i++) words[0] ^= words[i];
  __asm volatile("cpsie i" ::: "memory");
  put_hex(words[0]);
  TMR(0, 0x10) = 0;
  return 0;
}
"""


def test_both_hooks_count_the_same(programs: Programs) -> None:
    if native_library() is None:
        pytest.skip("the compiled block hook is not built")
    runs = []
    for native in (True, False):
        board = programs.board(MIXED, native_clock=native)
        outcome = Simulation([board]).run(100_000_000)
        runs.append((outcome, board.console_log, board.statistics()))
    assert runs[0] == runs[1]
    assert b"mixed" in runs[0][1].data
    assert runs[0][2].instructions > 10_000


def test_costs_follow_changed_code(programs: Programs) -> None:

    for native in (False, *([True] if native_library() is not None else [])):
        cpu = Cpu("cortex-m4", native)
        cpu.map_memory(0x1000_0000, 0x1000, writable=False)
        loop = programs.assemble("movs r0, #1\n movs r0, #2\n b .-4")
        slow = programs.assemble("udiv r0, r1, r2\n b .-4")
        spent = []
        for code in (loop, slow):
            cpu.write_memory(0x1000_0000, code)
            cpu.forget_code()
            cpu.write("pc", 0x1000_0001)
            cpu.clock.restart()
            before = cpu.clock.cycles, cpu.clock.instructions
            cpu.clock.limit = before[0] + 1000
            cpu.run()
            spent.append((cpu.clock.cycles - before[0]) / (cpu.clock.instructions - before[1]))
        assert spent == [pytest.approx(5 / 3, rel=0.01), pytest.approx(10 / 2, rel=0.01)]


def test_native_hook_must_be_there_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("synergyc.emulate.clock.native_library", lambda: None)

    with pytest.raises(RuntimeError, match=r"hatch_build\.py"):
        Cpu("cortex-m4", True)
