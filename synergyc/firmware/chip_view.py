"""What the templates need to know of a chip: addresses, clock gates, interrupts, clock settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from synergyc.diagnostics import fail
from synergyc.firmware.sizing import Rings
from synergyc.targets import Chip, Peripheral

# Registers with clock gates: block and offset (MSDK gcr_regs.h, lpgcr_regs.h).
_GATE_REGISTERS = {"PCLKDIS0": ("gcr", 0x24), "PCLKDIS1": ("gcr", 0x48), "LPPCLKDIS": ("lpgcr", 0x0C)}
_CNN_GATE = ("PCLKDIS0", 25)
"""Clock gate of the accelerator (MSDK gcr_regs.h, PCLKDIS0_CNN)."""

# Fields of PCLKDIV (docs/accelerator.md 5.6): divider codes, clock sources and the width of their field.
_DIVIDER_SHIFT = 14
_DIVIDER_CODES = {2: 0, 4: 1, 8: 2, 16: 3, 1: 4}
_SOURCE_SHIFT = 17
_SOURCE_PERIPHERAL = 0
_SOURCE_IPLL = 3


@dataclass(frozen=True)
class Gate:
    """A bit that stops a clock: address of its register as C text, and its number."""

    name: str
    register: str
    bit: int


@dataclass(frozen=True)
class Uart:
    """A UART and its pins."""

    name: str
    base: str
    irq: int
    dma_request: int
    out_bytes: int
    in_bytes: int
    gate: Gate
    clock_hz: int
    low_power: bool
    port: str
    port_gate: Gate
    pins: int
    pin_function: int


@dataclass(frozen=True)
class CnnClock:
    """Values of the accelerator's clock fields; ``mask`` covers them."""

    mask: int
    access: int
    inference: int
    needs_pll: bool


def chip_values(chip: Chip, uarts: Sequence[str], rings: Sequence[Rings]) -> dict[str, Any]:
    """Return the templates' values for ``chip`` with the UARTs in use and their buffers.

    Raises SynergyError (``target-peripheral``) if the chip's description lacks something.
    """
    used = [_uart(chip, name, sizes) for name, sizes in zip(uarts, rings, strict=True)]
    timer = _peripheral(chip, "tmr1")
    vectors = {uart.irq: f"{uart.name}_handler" for uart in used}
    first_dma = _irq(_peripheral(chip, "dma"), "dma")
    vectors |= {first_dma + channel: f"dma{channel}_handler" for channel in range(len(used))}
    vectors |= {_irq(timer, "tmr1"): "wake_timer_handler", chip.cnn.irq: "cnn_handler"}
    blocks = ("gcr", "gcfr", "icc0", "tmr0", "tmr1", "dma", "wdt0", "trng")
    return {
        "chip": chip,
        "base": {name: _hex(_peripheral(chip, name).base) for name in blocks},
        "irq": {"tmr1": _irq(timer, "tmr1"), "dma": first_dma},
        "timer_gates": [_gate(chip, name) for name in ("tmr0", "tmr1", "wdt0")],
        "dma_gate": _gate(chip, "dma"),
        "trng_gate": _gate(chip, "trng"),
        "cnn_gate": _gate_at(chip, "cnn", *_CNN_GATE),
        "cnn_clock": cnn_clock(chip),
        "cnn_switch_delay_ms": chip.cnn.timing.switch_delay_ms,
        "uarts": used,
        "vectors": _vector_rows(vectors),
        "vector_count": max(vectors) + 1,  # those behind are never enabled
    }


def _vector_rows(handlers: Mapping[int, str]) -> list[tuple[str, str]]:
    """Return places of the vector table, by number of interrupt, and their handlers.

    Several in a row that nobody asks for are one place, ``first ... last`` (GNU C).
    """
    rows: list[tuple[str, str]] = []
    free = 0
    for irq, handler in sorted(handlers.items()):
        if free < irq:
            unused = f"16 + {free}" if free == irq - 1 else f"16 + {free} ... 16 + {irq - 1}"
            rows.append((unused, "fault_handler"))
        rows.append((f"16 + {irq}", handler))
        free = irq + 1
    return rows


def cnn_clock(chip: Chip) -> CnnClock:
    """Return how the accelerator's clock is set for reaching its memories and for inference.

    The PLL drives it where the chip has one and inference is faster than the peripheral clock.
    """
    timing = chip.cnn.timing
    needs_pll = timing.inference_hz > chip.clocks.peripheral_hz
    source_hz = chip.clocks.oscillators_hz["ipll"] if needs_pll else chip.clocks.peripheral_hz
    source = _SOURCE_IPLL if needs_pll else _SOURCE_PERIPHERAL
    codes = [_DIVIDER_CODES[source_hz // hz] for hz in (timing.load_hz, timing.inference_hz)]
    access, inference = (source << _SOURCE_SHIFT | code << _DIVIDER_SHIFT for code in codes)
    source_mask = 3 if "ipll" in chip.clocks.oscillators_hz else 1
    mask = source_mask << _SOURCE_SHIFT | 7 << _DIVIDER_SHIFT
    return CnnClock(mask, access, inference, needs_pll)


def _uart(chip: Chip, name: str, rings: Rings) -> Uart:
    uart = _peripheral(chip, name)
    if uart.pins is None or uart.dma_transmit is None:
        raise _lacks(chip, f"the pins or the DMA request of {name}")
    port, pins = uart.pins
    low_power = uart.kind == "lpuart"  # runs from IBRO, also while the peripheral clock is off
    return Uart(
        name=name,
        base=_hex(uart.base),
        irq=_irq(uart, name),
        dma_request=uart.dma_transmit,
        out_bytes=rings.out_bytes,
        in_bytes=rings.in_bytes,
        gate=_gate(chip, name),
        clock_hz=chip.uart_clock_hz(name),
        low_power=low_power,
        port=_hex(_peripheral(chip, port).base),
        port_gate=_gate(chip, port),
        pins=pins,
        pin_function=uart.pin_function,
    )


def _gate(chip: Chip, name: str) -> Gate:
    bit = _peripheral(chip, name).clock_bit
    if bit is None:
        raise _lacks(chip, f"the clock bit of {name}")
    return _gate_at(chip, name, *bit)


def _gate_at(chip: Chip, name: str, register: str, bit: int) -> Gate:
    block, offset = _GATE_REGISTERS[register]
    return Gate(name, _hex(_peripheral(chip, block).base + offset), bit)


def _peripheral(chip: Chip, name: str) -> Peripheral:
    if name not in chip.peripherals:
        raise _lacks(chip, f"peripheral {name}")
    return chip.peripherals[name]


def _irq(peripheral: Peripheral, name: str) -> int:
    if peripheral.irq is None:
        raise ValueError(f"peripheral {name} must have an interrupt number")
    return peripheral.irq


def _lacks(chip: Chip, what: str) -> Exception:
    return fail(
        "target-peripheral", f"chip {chip.name} cannot run the firmware: its description lacks {what}"
    )


def _hex(address: int) -> str:
    return f"0x{address:08x}u"
