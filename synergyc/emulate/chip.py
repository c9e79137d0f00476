"""A microcontroller: core, memories, peripherals and accelerator, as its target file describes it."""

from __future__ import annotations

from synergyc import targets
from synergyc.diagnostics import fail
from synergyc.emulate.accelerator import Accelerator
from synergyc.emulate.accelerator.errors import BusError
from synergyc.emulate.accelerator_port import AcceleratorModel, AcceleratorPort
from synergyc.emulate.bus import PeripheralBus, page_ranges
from synergyc.emulate.clocks import ClockTree
from synergyc.emulate.core import Core, RunEnd
from synergyc.emulate.cpu import Cpu
from synergyc.emulate.elf import ElfImage
from synergyc.emulate.faults import FaultReport
from synergyc.emulate.peripherals import KINDS, Peripheral, Services, Uart
from synergyc.emulate.peripherals.dma import Dma
from synergyc.emulate.peripherals.gcfr import AcceleratorPower
from synergyc.emulate.timeline import Timeline

_ERASED = 0xFF


class Chip:
    """A chip without a program; :meth:`load` one, then :meth:`reset`.

    ``accelerator`` replaces the chip's own model; ``native_clock`` chooses the form of the block hook (see
    :mod:`synergyc.emulate.clock`).
    """

    def __init__(
        self,
        target: targets.Chip,
        *,
        accelerator: AcceleratorModel | None = None,
        native_clock: bool | None = None,
    ) -> None:
        self.target = target
        self.warnings: dict[str, int] = {}
        """Doubtful things the program did, and how often."""
        self.cpu = Cpu(target.cpu, native_clock)
        self.clocks = ClockTree(target.clocks, self._on_clock_change)
        self.core = Core(self.cpu, self.clocks.system_hz, target.interrupts, target.interrupt_priority_bits)
        self.peripherals: dict[str, Peripheral] = {}
        self._vector_table = target.flash.base
        services = Services(
            target,
            self.core.timeline,
            self.clocks,
            self.cpu,
            self.core.nvic.set_line,
            self._reset_blocks,
            self.core.request_reset,
        )
        self.accelerator = Accelerator(target.cnn) if accelerator is None else accelerator
        self.accelerator_port = AcceleratorPort(self.accelerator, _accelerator_block(target), services)
        self._map(services)

    @property
    def timeline(self) -> Timeline:
        """The chip's virtual time."""
        return self.core.timeline

    @property
    def now_ps(self) -> int:
        """Virtual time since power-up in picoseconds."""
        return self.core.timeline.now_ps

    @property
    def halt(self) -> FaultReport | None:
        """Why the program cannot go on, if it cannot."""
        return self.core.halt

    def uart(self, name: str) -> Uart:
        """Return a UART by name; raises SynergyError when the chip has none of that name."""
        peripheral = self.peripherals.get(name)
        if not isinstance(peripheral, Uart):
            names = sorted(key for key, value in self.peripherals.items() if isinstance(value, Uart))
            raise fail(
                "unknown-uart", f"UART of {self.target.name} must be one of {', '.join(names)}, not {name!r}"
            )
        return peripheral

    def load(self, image: ElfImage) -> None:
        """Put a program into memory; raises SynergyError when it does not fit the chip's memories."""
        for segment in image.segments:
            try:
                self.cpu.write_memory(segment.address, segment.data)
            except BusError as error:
                flash, sram = self.target.flash, self.target.sram
                raise fail(
                    "image-memory",
                    f"a segment of {image.path} lies outside the memories of {self.target.name}",
                    need=f"0x{segment.address:08x} to 0x{segment.address + len(segment.data):08x}",
                    have=f"flash 0x{flash.base:08x} to 0x{flash.base + flash.size_bytes:08x},"
                    f" SRAM 0x{sram.base:08x} to 0x{sram.base + sram.size_bytes:08x}",
                ) from error
        self._vector_table = image.vector_table
        self.cpu.forget_code()

    def reset(self) -> None:
        """Begin the program: registers as after reset, memories and time unchanged.

        Raises SynergyError when no program is there.
        """
        for name, peripheral in self.peripherals.items():
            if name not in ("gcr", "lpgcr"):
                peripheral.reset()
        self.clocks.reset()
        for name in ("gcr", "lpgcr"):
            self.peripherals[name].reset()
        self.accelerator_port.reset()
        self._on_clock_change()
        try:
            self.core.reset(self._vector_table)
        except BusError as error:
            raise fail("image-vectors", f"vector table is not in memory: {error}") from error

    def run(self, end_ps: int | None) -> RunEnd:
        """Run until a time in picoseconds since power-up, or until nothing more happens.

        Resets that the program asks for are carried out on the way.
        """
        while True:
            end = self.core.run(end_ps)
            if end is not RunEnd.RESET:
                return end
            self.reset()

    def _map(self, services: Services) -> None:
        flash, sram = self.target.flash, self.target.sram
        self.cpu.map_memory(flash.base, flash.size_bytes, writable=False, fill=_ERASED)
        self.cpu.map_memory(sram.base, sram.size_bytes, writable=True)
        bus = PeripheralBus(services, self._warn)
        for name, block in self.target.peripherals.items():
            if block.kind == "accelerator":
                continue
            self.peripherals[name] = self._make(name, block, services)
            bus.attach(self.peripherals[name])
        dma = self.peripherals.get("dma")
        if isinstance(dma, Dma):
            for uart in self._uarts().values():
                uart.on_fifo_change = dma.serve
        first = min(block.base for block in self.target.peripherals.values() if block.kind == "accelerator")
        apart = []
        for base, size_bytes in self.accelerator.ranges():
            if base < first:  # its fast FIFO lies among the peripherals
                bus.attach_bus(base, size_bytes, self.accelerator_port)
            else:
                apart.append((base, size_bytes))
        for base, size_bytes in bus.pages():
            self.cpu.map_bus(base, size_bytes, bus)
        for base, size_bytes in page_ranges(apart):
            self.cpu.map_bus(base, size_bytes, self.accelerator_port)

    def _make(self, name: str, block: targets.Peripheral, services: Services) -> Peripheral:
        if block.kind == "gcfr":
            return AcceleratorPower(name, block, services, self.accelerator_port.set_power)
        if block.kind == "dma":
            return Dma(name, block, services, self._uarts)
        if block.kind not in KINDS:
            raise fail("target-file", f"kind of peripheral {name!r} must be a known one, not {block.kind!r}")
        return KINDS[block.kind](name, block, services)

    def _uarts(self) -> dict[str, Uart]:
        return {name: value for name, value in self.peripherals.items() if isinstance(value, Uart)}

    def _warn(self, text: str) -> None:
        self.warnings[text] = self.warnings.get(text, 0) + 1

    def _reset_blocks(self, register: str, bits: int) -> None:
        for name, block in self.target.peripherals.items():
            if (
                block.reset_bit is None
                or block.reset_bit[0] != register
                or not bits >> block.reset_bit[1] & 1
            ):
                continue
            if block.kind == "accelerator":
                self.accelerator_port.reset()
            else:
                self.peripherals[name].reset()

    def _on_clock_change(self) -> None:
        self.core.timeline.set_frequency(self.clocks.system_hz)
        self.core.systick.clocks_changed()
        self.accelerator_port.clocks_changed()
        for peripheral in self.peripherals.values():
            peripheral.clocks_changed()


def _accelerator_block(target: targets.Chip) -> targets.Peripheral:
    for block in target.peripherals.values():
        if block.kind == "accelerator":
            return block
    raise fail("target-file", f"{target.name} must have a peripheral of kind 'accelerator'")
