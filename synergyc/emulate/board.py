"""A board with a program: its chip, its console, and the UARTs that links are wired to."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field

from synergyc import targets
from synergyc.diagnostics import fail
from synergyc.emulate.accelerator_port import AcceleratorModel
from synergyc.emulate.chip import Chip
from synergyc.emulate.core import RunEnd
from synergyc.emulate.elf import ElfImage
from synergyc.emulate.peripherals import Gpio, RandomGenerator
from synergyc.emulate.peripherals.uart import Frame, Uart
from synergyc.emulate.timeline import PS_PER_NS, PS_PER_S


@dataclass
class ConsoleLog:
    """What the program wrote to its console, and when the stop bit of each byte ended; it only grows."""

    data: bytearray = field(default_factory=bytearray)
    times_ns: array[int] = field(default_factory=lambda: array("q"))


@dataclass(frozen=True)
class UnitStatistics:
    """What the units of a board did since power-up; times in picoseconds of virtual time."""

    elapsed_ps: int
    instructions: int
    cpu_cycles: int
    cpu_sleep_cycles: int
    accelerator_busy_ps: int
    accelerator_runs: int
    accelerator_accesses: int
    """Words that the CPU moved to or from the accelerator, registers included."""
    uart_busy_ps: dict[str, int]
    uart_received_bytes: dict[str, int]

    @property
    def cpu_busy(self) -> float:
        """Share of cycles in which the CPU did not sleep, 0 to 1."""
        return 1 - self.cpu_sleep_cycles / self.cpu_cycles if self.cpu_cycles else 0.0


class Board:
    """An emulated device, powered up with its program at the reset vector.

    ``chip`` replaces the one that the board carries. Raises SynergyError when the program does not fit it.
    """

    def __init__(
        self,
        target: targets.Board,
        image: ElfImage,
        name: str,
        *,
        chip: targets.Chip | None = None,
        accelerator: AcceleratorModel | None = None,
        native_clock: bool | None = None,
    ) -> None:
        self.target = target
        self.image = image
        self.name = name
        self.chip = Chip(
            chip or targets.load_chip(target.chip), accelerator=accelerator, native_clock=native_clock
        )
        self.console_log = ConsoleLog()
        self.output_changes: dict[str, list[tuple[int, int]]] = {}
        """For each GPIO port: (time in ns, levels of the pins that are outputs) at each change."""
        self._places: dict[str, int] = {}
        self._uarts = {
            name: value for name, value in self.chip.peripherals.items() if isinstance(value, Uart)
        }
        self._console = self.chip.uart(target.console_uart)
        self._console.on_transmit = self._on_console_frame
        for port, peripheral in self.chip.peripherals.items():
            if isinstance(peripheral, Gpio):
                self._observe(port, peripheral)
            elif isinstance(peripheral, RandomGenerator):
                peripheral.seed(name)
        self.chip.load(image)
        self.chip.reset()

    @property
    def console(self) -> bytes:
        """All bytes that the program wrote to its console."""
        return bytes(self.console_log.data)

    @property
    def now_ps(self) -> int:
        """The board's virtual time in picoseconds."""
        return self.chip.now_ps

    def feed(self, data: bytes, at_ns: int = 0) -> None:
        """Send bytes to the program's console from a time on (or now), at the board's console rate."""
        start_ps = max(at_ns * PS_PER_NS, self.now_ps)
        bits = 10
        duration_ps = bits * PS_PER_S // self.target.console_rate_bd
        for value in data:
            self._console.receive(Frame(start_ps, duration_ps, value << 1 | 1 << bits - 1, bits))
            start_ps += duration_ps

    def poke(self, symbol: str, data: bytes) -> None:
        """Program bytes at a symbol of the image, in flash or SRAM, as a debug probe does.

        Raises SynergyError when the symbol is unknown or smaller than the data.
        """
        place = self.image.symbol(symbol)
        if len(data) > place.size_bytes:
            raise fail(
                "poke-size",
                f"data for symbol {symbol!r} of {self.name} do not fit",
                need=f"{len(data)} B",
                have=f"{place.size_bytes} B",
            )
        self.chip.cpu.write_memory(place.address, data)
        self.chip.cpu.forget_code()

    def peek(self, symbol: str) -> bytes:
        """Return the bytes of a symbol, as a debug probe does; raises SynergyError when it is unknown."""
        place = self.image.symbol(symbol)
        return self.chip.cpu.read_memory(place.address, place.size_bytes)

    def reset(self) -> None:
        """Press the reset button: the program begins again; memories and time go on."""
        self.chip.reset()

    def power_up(self, at_ps: int, noise: bytes) -> None:
        """Give the board its power back at a time: SRAM holds ``noise``, repeated, and the program begins."""
        sram = self.chip.target.sram
        self.chip.core.skip_to(at_ps)
        self.chip.cpu.write_memory(
            sram.base, (noise * (sram.size_bytes // len(noise) + 1))[: sram.size_bytes]
        )
        self.chip.reset()

    def words(self, symbol: str, first: int, count: int) -> tuple[int, ...]:
        """Return 32-bit words at a symbol while the program runs, as a debug probe does."""
        if symbol not in self._places:
            self._places[symbol] = self.image.symbol(symbol).address
        return self.chip.cpu.read_words(self._places[symbol] + 4 * first, count)

    def uart(self, name: str) -> Uart:
        """Return a UART that a link may be wired to; raises SynergyError for others."""
        if name == self.target.console_uart:
            raise fail(
                "unknown-uart",
                f"{name} of {self.name} is the console",
                hint=f"use one of {', '.join(self.target.link_uarts)}",
            )
        return self.chip.uart(name)

    def output(self, port: str, pin: int) -> bool:
        """Return the level of an output pin; raises SynergyError when there is no such port."""
        gpio = self.chip.peripherals.get(port)
        if not isinstance(gpio, Gpio):
            raise fail("unknown-port", f"{self.name} has no GPIO port {port!r}")
        return bool(gpio.outputs >> pin & 1)

    def run(self, until_ns: int | None) -> RunEnd:
        """Run this board alone until a time in nanoseconds, or until nothing more happens."""
        return self.chip.run(None if until_ns is None else until_ns * PS_PER_NS)

    def where(self) -> str:
        """Return what the board is doing, for reports: its place in the program and whether it sleeps."""
        registers = self.chip.cpu.read_many("pc", "lr")
        pc, caller = (self.image.symbol_at(value & ~1) for value in registers)
        state = "asleep" if self.chip.core.sleeping else "running"
        handlers = self.chip.core.nvic.active
        inside = f" in the handler of exception {handlers[-1]}" if handlers else ""
        return f"{self.name}: {state} at 0x{registers[0]:08x} ({pc}), called from {caller}{inside}"

    def statistics(self) -> UnitStatistics:
        """Return what the board's units did since power-up."""
        chip, uarts = self.chip, self._uarts
        return UnitStatistics(
            elapsed_ps=chip.now_ps,
            instructions=chip.cpu.clock.instructions,
            cpu_cycles=chip.cpu.clock.cycles,
            cpu_sleep_cycles=chip.core.sleep_cycles,
            accelerator_busy_ps=chip.accelerator_port.busy_ps,
            accelerator_runs=chip.accelerator_port.runs,
            accelerator_accesses=chip.accelerator_port.accesses,
            uart_busy_ps={name: uart.busy_ps for name, uart in uarts.items()},
            uart_received_bytes={name: uart.received_bytes for name, uart in uarts.items()},
        )

    def _observe(self, port: str, gpio: Gpio) -> None:
        changes = self.output_changes.setdefault(port, [])
        gpio.on_output = lambda at_ps, levels: changes.append((at_ps // PS_PER_NS, levels))

    def _on_console_frame(self, frame: Frame) -> None:
        value = frame.levels >> 1 & (1 << frame.bits - 2) - 1 & 0xFF
        self.console_log.data.append(value)
        self.console_log.times_ns.append(frame.end_ps // PS_PER_NS)
