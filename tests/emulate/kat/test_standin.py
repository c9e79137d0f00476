"""The stand-in headers and runtime: every name that generated projects use, and that each does its work."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from synergyc.emulate.kat import KatReport, run
from synergyc.emulate.kat.build import STANDIN, board_of, render_chip_header
from synergyc.targets import load_chip
from synergyc.toolchain import cross_tool
from tests.compilers import NEEDS_CROSS_COMPILER

pytestmark = NEEDS_CROSS_COMPILER

BOTH = ("MAX78000", "MAX78002")
INCLUDES = """\
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mxc.h"
#include "gcfr_regs.h"
volatile uint32_t cnn_time;
"""


def run_main(folder: Path, device: str, body: str, before: str = "") -> KatReport:
    """Run ``body`` as main of a project without a network."""
    (folder / "cnn.c").write_text("int cnn_start(void) { return 1; }\n")
    text = f"{INCLUDES}{before}int main(void)\n{{\n{body}\nreturn 0;\n}}\n"
    (folder / "main.c").write_text(text)
    return run(folder, device, limit_s=20.0)


def passes(report: KatReport) -> bool:
    assert report.status == "pass", (report.console, report.diagnostics)
    return True


# Names by kind, from the C of 1220 generated projects of both devices with all options that change the C
# (docs/kat.md). Constants with the values of the vendor's headers.
CONSTANTS = {
    "MXC_F_GCR_PCLKDIV_CNNCLKDIV": {"MAX78000": 7 << 14, "MAX78002": 7 << 14},
    "MXC_F_GCR_PCLKDIV_CNNCLKSEL": {"MAX78000": 1 << 17, "MAX78002": 3 << 17},
    "MXC_S_GCR_PCLKDIV_CNNCLKSEL_PCLK": {"MAX78000": 0, "MAX78002": 0},
    "MXC_S_GCR_PCLKDIV_CNNCLKSEL_IPLL": {"MAX78002": 3 << 17},
    "MXC_S_GCR_PCLKDIV_CNNCLKDIV_DIV1": {"MAX78000": 4 << 14, "MAX78002": 4 << 14},
    "MXC_S_GCR_PCLKDIV_CNNCLKDIV_DIV2": {"MAX78000": 0, "MAX78002": 0},
    "MXC_S_GCR_PCLKDIV_CNNCLKDIV_DIV4": {"MAX78000": 1 << 14, "MAX78002": 1 << 14},
    "MXC_S_GCR_PCLKDIV_CNNCLKDIV_DIV8": {"MAX78000": 2 << 14, "MAX78002": 2 << 14},
    "MXC_S_GCR_PCLKDIV_CNNCLKDIV_DIV16": {"MAX78000": 3 << 14, "MAX78002": 3 << 14},
    "MXC_F_GCR_IPLL_CTRL_EN": {"MAX78002": 1},
    "MXC_F_GCR_IPLL_CTRL_RDY": {"MAX78002": 2},
    "MXC_SYS_PERIPH_CLOCK_CNN": {"MAX78000": 25, "MAX78002": 25},
    "CNN_IRQn": {"MAX78000": 101, "MAX78002": 101},
    "SEC(2)": {"MAX78000": 2_000_000, "MAX78002": 2_000_000},
    "MSEC(10)": {"MAX78000": 10_000, "MAX78002": 10_000},
    "MXC_GPIO_PIN_4": {"MAX78000": 16, "MAX78002": 16},
    "MXC_GPIO_PIN_5": {"MAX78000": 32, "MAX78002": 32},
    "MXC_GPIO_PIN_6": {"MAX78000": 64, "MAX78002": 64},
    "MXC_GPIO_PIN_7": {"MAX78000": 128, "MAX78002": 128},
    "(uintptr_t)MXC_GCR": {"MAX78000": 0x40000000, "MAX78002": 0x40000000},
    "(uintptr_t)&MXC_GCR->pclkdiv": {"MAX78000": 0x40000018, "MAX78002": 0x40000018},
    "(uintptr_t)&MXC_GCR->ipll_ctrl": {"MAX78002": 0x40000010},
    "(uintptr_t)&MXC_GCFR->reg0": {"MAX78000": 0x40005800, "MAX78002": 0x40005800},
    "(uintptr_t)&MXC_GCFR->reg3": {"MAX78000": 0x4000580C, "MAX78002": 0x4000580C},
    "(uintptr_t)MXC_TMR0": {"MAX78000": 0x40010000, "MAX78002": 0x40010000},
    "(uintptr_t)MXC_TMR1": {"MAX78000": 0x40011000, "MAX78002": 0x40011000},
    "(uintptr_t)MXC_GPIO1": {"MAX78000": 0x40009000, "MAX78002": 0x40009000},
    "(uintptr_t)MXC_GPIO2": {"MAX78000": 0x40080400, "MAX78002": 0x40080400},
    "(uintptr_t)MXC_ICC0": {"MAX78000": 0x4002A000, "MAX78002": 0x4002A000},
}
CALLS = """\
    MXC_ICC_Enable(MXC_ICC0);
    MXC_SYS_Clock_Select(MXC_SYS_CLOCK_IPO);
    MXC_SYS_ClockSourceEnable(MXC_SYS_CLOCK_IPO);
    SystemCoreClockUpdate();
    MXC_Delay(SEC(1));
    MXC_TMR_Delay(MXC_TMR0, 500000);
    MXC_SYS_ClockEnable(MXC_SYS_PERIPH_CLOCK_CNN);
    MXC_SYS_ClockDisable(MXC_SYS_PERIPH_CLOCK_CNN);
    MXC_NVIC_SetVector(CNN_IRQn, handler);
    mxc_gpio_regs_t *port = MXC_GPIO2;
    mxc_gpio_cfg_t pins;
    pins.port = port;
    pins.mask = MXC_GPIO_PIN_5;
    pins.pad = MXC_GPIO_PAD_NONE;
    pins.func = MXC_GPIO_FUNC_OUT;
    MXC_GPIO_Config(&pins);
    MXC_GPIO_OutSet(pins.port, pins.mask);
    assert(port->out & MXC_GPIO_PIN_5);
    MXC_GPIO_OutClr(pins.port, pins.mask);
    assert(!(port->out & MXC_GPIO_PIN_5));
    LED_On(0);
    assert(!(port->out & 1));
    LED_Off(0);
    assert(port->out & 1);
    LED_On(1);
    LED_Off(1);
"""


@pytest.mark.parametrize("device", BOTH)
def test_every_name(tmp_path: Path, device: str) -> None:
    checks = "".join(
        f"    assert(({name}) == {values[device]}u);\n"
        for name, values in CONSTANTS.items()
        if device in values
    )
    verdict = '    printf("*** PASS ***\\n");'
    report = run_main(tmp_path, device, checks + CALLS + verdict, "static void handler(void) { }\n")
    assert passes(report)
    assert report.time_s == pytest.approx(1.5, abs=0.01)


@pytest.mark.parametrize("microseconds", [1, 7, 999, 167_772, 167_773, 2_500_000])
def test_delay_lasts_as_long_as_asked(tmp_path: Path, microseconds: int) -> None:
    """Also around 2^24 cycles of 100 MHz, which is what SysTick can count in one go."""
    body = f"""
    MXC_SYS_Clock_Select(MXC_SYS_CLOCK_IPO);
    MXC_TMR_SW_Start(MXC_TMR0);
    MXC_Delay({microseconds});
    printf("%u us\\n*** PASS ***\\n", MXC_TMR_SW_Stop(MXC_TMR0));"""
    report = run_main(tmp_path, "MAX78000", body)
    assert passes(report)
    measured = int(report.console.partition(" us")[0])
    overhead = 4 + microseconds // 167_772
    assert microseconds <= measured <= microseconds + overhead, "the calls themselves take some cycles"


@pytest.mark.parametrize(("clock", "mega_hz"), [("IPO", 120), ("ISO", 60)])
def test_timer_counts_microseconds_at_any_clock(tmp_path: Path, clock: str, mega_hz: int) -> None:
    body = f"""
    MXC_SYS_Clock_Select(MXC_SYS_CLOCK_{clock});
    MXC_TMR_SW_Start(MXC_TMR1);
    MXC_Delay(1000);
    printf("%u us, %lu Hz\\n*** PASS ***\\n", MXC_TMR_SW_Stop(MXC_TMR1), (unsigned long)SystemCoreClock);"""
    report = run_main(tmp_path, "MAX78002", body)
    assert passes(report)
    measured = re.match(r"(\d+) us, (\d+) Hz", report.console)
    assert measured is not None
    assert 1000 <= int(measured[1]) <= 1004
    assert int(measured[2]) == mega_hz * 1_000_000


@pytest.mark.parametrize("device", BOTH)
def test_our_own_c_has_no_warnings(tmp_path: Path, device: str) -> None:
    """Projects are compiled without warnings; what we add to them is not let off so lightly."""
    chip = load_chip(device)
    (tmp_path / "chip.h").write_text(render_chip_header(chip, board_of(chip)))
    flags = "-mcpu=cortex-m4 -mthumb -std=c11 -O2 -Wall -Wextra -Wconversion -Wshadow -Werror -fsyntax-only"
    sources = sorted(STANDIN.glob("*.c"))
    assert len(sources) == 4
    command = [cross_tool("gcc"), *flags.split(), f"-I{tmp_path}", f"-I{STANDIN}", *map(str, sources)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


POWER = """
    MXC_GCFR->reg3 = 0xf; MXC_GCFR->reg1 = 0xf; MXC_GCFR->reg0 = 0xf; MXC_GCFR->reg2 = 0; MXC_GCFR->reg3 = 0;
    MXC_SYS_ClockEnable(MXC_SYS_PERIPH_CLOCK_CNN);"""


def test_memory_functions_use_words(tmp_path: Path) -> None:
    """A byte access to the accelerator's memories is a bus fault; --init-tram calls memset on them."""
    body = f"""{POWER}
    static const uint32_t words[4] = {{1, 2, 3, 0x12345678}};
    uint32_t *data = (uint32_t *)0x50400000;
    memset(data, 0x5a, 64);
    assert(data[0] == 0x5a5a5a5a && data[15] == 0x5a5a5a5a && data[16] == 0);
    memcpy(data + 2, words, 16);
    assert(data[1] == 0x5a5a5a5a && data[2] == 1 && data[5] == 0x12345678);
    printf("*** PASS ***\\n");"""
    assert passes(run_main(tmp_path, "MAX78000", body))


def test_memory_functions_are_right_for_any_address_and_size(tmp_path: Path) -> None:
    body = """
    static unsigned char a[40], b[40];
    for (unsigned to = 0; to < 5; to++)
        for (unsigned from = 0; from < 5; from++)
            for (unsigned size = 0; size < 12; size++) {
                for (unsigned i = 0; i < 40; i++) { a[i] = (unsigned char)(i + 1); b[i] = 200; }
                assert(memcpy(b + to, a + from, size) == b + to);
                for (unsigned i = 0; i < 40; i++)
                    assert(b[i] == (i >= to && i < to + size ? from + i - to + 1 : 200));
                assert(memset(b + from, 300, size) == b + from);
                for (unsigned i = from; i < from + size; i++)
                    assert(b[i] == 300 % 256);
            }
    printf("*** PASS ***\\n");"""
    assert passes(run_main(tmp_path, "MAX78000", body))


def test_output_longer_than_the_fifo(tmp_path: Path) -> None:
    body = """
    for (int i = 0; i < 40; i++)
        printf("%d:%s;", i, "a line that is far longer than the eight bytes of the transmit FIFO");
    printf("%.2f\\n*** PASS ***", 1.0 / 3);"""
    report = run_main(tmp_path, "MAX78000", body)
    assert passes(report)
    assert report.console.count("far longer than the eight bytes of the transmit FIFO;") == 40
    assert report.console.endswith("*** PASS ***"), "what has no line end must come out as well"


@pytest.mark.parametrize(
    "values", [(0,), (127, -128), (3, 3, 3, 3), (-5, 0, 4, 2, 4), (-128,) * 10, tuple(range(-50, 50, 7))]
)
def test_softmax_of_bytes(tmp_path: Path, values: tuple[int, ...]) -> None:
    """Truth: 2^x / sum of 2^x in floating point."""
    numbers = ", ".join(map(str, values))
    body = f"""
    static const q7_t in[] = {{{numbers}}};
    static int16_t out[{len(values)}];
    arm_softmax_q7_q15(in, {len(values)}, out);
    for (int i = 0; i < {len(values)}; i++) printf("%d ", out[i]);
    printf("\\n*** PASS ***\\n");"""
    report = run_main(tmp_path, "MAX78000", body)
    assert passes(report)
    given = [int(word) for word in report.console.splitlines()[0].split()]
    total = sum(2.0**value for value in values)
    assert given == pytest.approx([2.0**value / total * 32767 for value in values], abs=1.0)
