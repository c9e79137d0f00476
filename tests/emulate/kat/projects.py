"""Project folders of the vendor's shape, written by us from lists of accelerator writes.

The function names, the order of calls and the reports follow docs/kat.md. What is written and what is
expected comes from a recorded trace (conformance data) or from a network worked out by hand below.
"""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

Store = tuple[str, int, tuple[int, ...]]
"""Kind (``w32``, ``w8``, ``f32``: FIFO push), first address, values."""

FUNCTIONS = ("cnn_init", "cnn_load_weights", "cnn_load_bias", "cnn_configure", "load_input", "cnn_start")


@dataclass(frozen=True)
class Recipe:
    """What each function writes, and the words (address, mask, value) that the network must leave."""

    device: str
    functions: dict[str, tuple[Store, ...]]
    expected: tuple[tuple[int, int, int], ...]

    @property
    def control_registers(self) -> tuple[int, ...]:
        """Quadrant control registers in use, the master first."""
        return tuple(dict.fromkeys(address for _, address, _ in self.functions["cnn_start"]))

    @property
    def fifo(self) -> bool:
        """Whether the input goes through the FIFOs, hence after the start."""
        return any(kind == "f32" for kind, _, _ in self.functions["load_input"])


def conformance_folder() -> Path:
    """Return where the recorded traces are expected."""
    default = Path(__file__).parents[4] / "shared" / "data" / "conformance"
    return Path(os.environ.get("SYNERGYC_CONFORMANCE_DIR", default))


def load_trace(case: str) -> Recipe:
    """Return the recipe of a conformance case (format: README of the conformance data)."""
    with gzip.open(conformance_folder() / "traces" / f"{case}.json.gz", "rt", encoding="utf-8") as file:
        trace = json.load(file)
    functions = {
        name: tuple(
            (kind, int(address, 16), _groups(values, {"w8": 2}.get(kind, 8)))
            for kind, address, values in trace["functions"].get(name, [])
        )
        for name in FUNCTIONS
    }
    expected = tuple(
        (int(address, 16) + 4 * index, int(mask, 16), value)
        for address, mask, values in trace["expected"]
        for index, value in enumerate(_groups(values, 8))
    )
    return Recipe(trace["device"], functions, expected)


def hand_worked() -> Recipe:
    """Return a network small enough for paper: a 3x3 convolution of a 3x4x5 image, MAX78000.

    Register values: the worked example of docs/accelerator.md (five columns, four rows, pad 1, four
    outputs, ReLU, bias). Only the centre taps of the kernels are not zero, so each output pixel is

        out[o] = relu(floor((sum over c of centre[o][c] * in[c] + 128 * bias[o]) / 128 + 1/2))

    which Python computes here with integers, far from any code of the emulator.
    """
    centre = ((64, 0, 0), (64, 64, 0), (0, -64, 100), (0, 0, 0))
    bias = (1, 0, -3, 17)
    image = [((37 * i) % 251 - 125, (83 * i + 3) % 256 - 128, (59 * i) % 256 - 128) for i in range(20)]
    quadrant, data = 0x50100000, 0x50400000
    registers = {0: 0x10005, 1: 0x10006, 6: 0x1000, 8: 0x2000, 11: 0xB20, 20: 0x1800, 12: 0x18}
    registers |= {13: 4, 15: 0x1000, 14: 0x70007}
    weights: list[Store] = []
    for processor in range(3):
        slots = b"".join(bytes([0, 0, 0, 0, row[processor] & 0xFF, 0, 0, 0, 0]) for row in centre)
        window = quadrant + 0x80000 + 0x4000 * processor
        words = tuple(int.from_bytes(slots[i : i + 4], "big") for i in range(0, len(slots), 4))
        weights += [("w8", window | 1, (1,)), ("w32", window, words)]
    pixels = tuple(_word((*pixel, 0)) for pixel in image)
    functions: dict[str, tuple[Store, ...]] = {
        "cnn_init": (
            ("w32", 0x50001000, (0,)),
            ("w32", quadrant, (0x00100008, 0x40E, 0)),
        ),
        "cnn_load_weights": tuple(weights),
        "cnn_load_bias": (("w32", quadrant + 0x8000, tuple(value & 0xFF for value in bias)),),
        "cnn_configure": tuple(
            ("w32", quadrant + 0x10 + 0x80 * number, (value,)) for number, value in registers.items()
        ),
        "load_input": (("w32", data, pixels),),
        "cnn_start": (("w32", quadrant, (0x00100808,)), ("w32", quadrant, (0x00100009,))),
    }
    expected = tuple(
        (
            data + 0x4000 + 4 * index,
            0xFFFFFFFF,
            _word(_neuron(row, value, pixel) for row, value in zip(centre, bias, strict=True)),
        )
        for index, pixel in enumerate(image)
    )
    return Recipe("MAX78000", functions, expected)


def _neuron(centre: Sequence[int], bias: int, pixel: Sequence[int]) -> int:
    total = sum(weight * value for weight, value in zip(centre, pixel, strict=True)) + 128 * bias
    return max(0, min(127, (total + 64) // 128))


def _word(values: Iterable[int]) -> int:
    return int.from_bytes(bytes(value & 0xFF for value in values), "little")


def _groups(text: str, digits: int) -> tuple[int, ...]:
    return tuple(int(text[i : i + digits], 16) for i in range(0, len(text), digits))


def write_project(recipe: Recipe, folder: Path) -> Path:
    """Write main.c, cnn.c, cnn.h, weights.h and sampleoutput.h into ``folder`` and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        "cnn.h": _CNN_H,
        "cnn.c": _cnn_c(recipe),
        "main.c": _main_c(recipe),
        "weights.h": "#define KERNELS { " + _table(recipe.functions["cnn_load_weights"]) + " }\n",
        "sampleoutput.h": "#define SAMPLE_OUTPUT { "
        + ", ".join(
            f"0x{address:08x}, 0x{mask:08x}, 0x{value:08x}" for address, mask, value in recipe.expected
        )
        + ", 0 }\n",
    }
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def _table(stores: Iterable[Store]) -> str:
    """Return stores as words: kind (width in bytes, 0 for a FIFO), address, count, values; 0 ends."""
    codes = {"w32": 4, "w8": 1, "f32": 0}
    words: list[int] = []
    for kind, address, values in stores:
        words += [codes[kind], address, len(values), *values]
    return ", ".join(f"0x{word:08x}" for word in [*words, 0xFFFFFFFF])


def _cnn_c(recipe: Recipe) -> str:
    quadrants = 0
    for register in recipe.control_registers:
        stride, first = (0x400000, 0x50100000) if recipe.device == "MAX78000" else (0x1000000, 0x51000000)
        quadrants |= 1 << (register - first) // stride
    clear = "".join(
        f"    *(volatile uint32_t *)0x{register:08x} &= ~((1u << 14) | (1u << 12) | 1u);\n"
        for register in recipe.control_registers
    )
    functions = "".join(
        f"static const uint32_t {name}_table[] = {{ {_table(recipe.functions[name])} }};\n"
        f"int {name}(void)\n{{\n{extra}    replay({name}_table);\n    return CNN_OK;\n}}\n"
        for name, extra in [
            ("cnn_init", ""),
            ("cnn_load_bias", ""),
            ("cnn_configure", ""),
            ("cnn_start", "    cnn_time = 0;\n"),
        ]
    )
    return _CNN_C.format(clear=clear, functions=functions, quadrants=quadrants, wait=_clear_wait(recipe))


def _clear_wait(recipe: Recipe) -> str:
    """Return C that waits for the end of a MAX78002 register clear after its command is written."""
    if recipe.device == "MAX78000":
        return ""
    return (
        "            if (address > 0x51000000 && (address & 0x00ffffff) == 0x0c && *words != 0)\n"
        "                while (!(*(volatile uint32_t *)address & (1u << 25)))\n                    ;\n"
    )


def _main_c(recipe: Recipe) -> str:
    order = "cnn_start(); load_input();" if recipe.fifo else "load_input(); cnn_start();"
    return _MAIN_C.format(table=_table(recipe.functions["load_input"]), order=order)


_CNN_H = """\
#pragma once
#include <stdint.h>
#define CNN_FAIL 0
#define CNN_OK 1
extern volatile uint32_t cnn_time;
void replay(const uint32_t *words);
int cnn_enable(uint32_t clock_source, uint32_t clock_divider);
int cnn_disable(void);
int cnn_init(void);
int cnn_load_weights(void);
int cnn_load_bias(void);
int cnn_configure(void);
int cnn_start(void);
"""

_CNN_C = """\
#include <stdint.h>
#include "mxc.h"
#include "gcfr_regs.h"
#include "cnn.h"
#include "weights.h"

void CNN_ISR(void)
{{
{clear}    LED_Off(1);
    cnn_time = 1;
}}

void replay(const uint32_t *words)
{{
    while (*words != 0xffffffff) {{
        uint32_t width = *words++;
        uint32_t address = *words++;
        uint32_t count = *words++;
        for (; count > 0; count--, words++) {{
            if (width == 1) {{
                *(volatile uint8_t *)address = (uint8_t)*words;
                continue;
            }}
            if (width == 0)
                while (*(volatile uint32_t *)0x50000004 & (1u << ((address - 0x50000008) / 4)))
                    ;
            *(volatile uint32_t *)address = *words;
{wait}            address += width;
        }}
    }}
}}

static const uint32_t kernels[] = KERNELS;
int cnn_load_weights(void)
{{
    replay(kernels);
    return CNN_OK;
}}

{functions}
int cnn_enable(uint32_t clock_source, uint32_t clock_divider)
{{
    MXC_GCFR->reg3 = 0xf;
    MXC_GCFR->reg1 = 0x{quadrants:x};
    MXC_GCFR->reg0 = 0x{quadrants:x};
    MXC_GCFR->reg2 = 0xf & ~0x{quadrants:x};
    MXC_GCFR->reg3 = 0;
    MXC_GCR->pclkdiv = (MXC_GCR->pclkdiv & ~(MXC_F_GCR_PCLKDIV_CNNCLKDIV | MXC_F_GCR_PCLKDIV_CNNCLKSEL))
        | clock_divider | clock_source;
    MXC_SYS_ClockEnable(MXC_SYS_PERIPH_CLOCK_CNN);
    MXC_NVIC_SetVector(CNN_IRQn, CNN_ISR);
    return CNN_OK;
}}

int cnn_disable(void)
{{
    MXC_SYS_ClockDisable(MXC_SYS_PERIPH_CLOCK_CNN);
    MXC_GCFR->reg3 = 0xf;
    MXC_GCFR->reg2 |= 0xf;
    MXC_GCFR->reg0 = 0;
    MXC_GCFR->reg1 = 0;
    MXC_GCFR->reg3 = 0;
    return CNN_OK;
}}
"""

_MAIN_C = """\
#include <stdint.h>
#include <stdio.h>
#include "mxc.h"
#include "cnn.h"
#include "sampleoutput.h"

volatile uint32_t cnn_time;

static const uint32_t input[] = {{ {table} }};
static const uint32_t expected[] = SAMPLE_OUTPUT;

static void load_input(void)
{{
    replay(input);
}}

static int check_output(void)
{{
    for (const uint32_t *word = expected; *word != 0; word += 3)
        if ((*(volatile uint32_t *)word[0] & word[1]) != word[2]) {{
            printf("0x%08x: expected 0x%08x, read 0x%08x\\n", (unsigned)word[0], (unsigned)word[2],
                   (unsigned)*(volatile uint32_t *)word[0]);
            return CNN_FAIL;
        }}
    return CNN_OK;
}}

int main(void)
{{
    MXC_ICC_Enable(MXC_ICC0);
    MXC_SYS_Clock_Select(MXC_SYS_CLOCK_IPO);
    SystemCoreClockUpdate();
    printf("Waiting...\\n");
    MXC_Delay(SEC(2));
    cnn_enable(MXC_S_GCR_PCLKDIV_CNNCLKSEL_PCLK, MXC_S_GCR_PCLKDIV_CNNCLKDIV_DIV1);
    cnn_init();
    cnn_load_weights();
    cnn_load_bias();
    cnn_configure();
    {order}
    while (cnn_time == 0)
        MXC_LP_EnterSleepMode();
    if (check_output() != CNN_OK) {{
        printf("\\n*** FAIL ***\\n\\n");
        while (1)
            ;
    }}
    printf("\\n*** PASS ***\\n\\n");
    cnn_disable();
    return 0;
}}
"""
