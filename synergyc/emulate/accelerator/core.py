"""The accelerator on its bus: accesses, power, and control registers (docs/accelerator.md, 5)."""

from __future__ import annotations

from collections.abc import Callable

from synergyc.emulate.accelerator.addresses import AddressMap, Block, Window
from synergyc.emulate.accelerator.control import Control, Gatherer
from synergyc.emulate.accelerator.errors import BusError, NotModelled
from synergyc.emulate.accelerator.fifo import FastFifo, Fifos
from synergyc.emulate.accelerator.formats import FORMATS, Part
from synergyc.emulate.accelerator.loader import WeightLoader
from synergyc.emulate.accelerator.memory import Memories
from synergyc.emulate.accelerator.network import LayerRun
from synergyc.emulate.accelerator.registers import RegisterFile, RegisterMap
from synergyc.emulate.accelerator.sequencer import Sequencer
from synergyc.targets import Cnn

POWER_DOWN_BIT = 12
"""AON bit that powers down quadrant 0 (docs/accelerator.md, 5.1)."""


class Accelerator:
    """CNN accelerator of one chip, at the level of bus accesses.

    Assumed, because no source says otherwise: all memories and registers are zero after power-up, and
    quadrants are without power until :meth:`set_power`. A level on ``irq`` lasts until software clears the
    done bit in the CTL register of the master quadrant.
    """

    def __init__(self, cnn: Cnn) -> None:
        self._cnn = cnn
        self._form = FORMATS[cnn.generation]
        self._map = AddressMap(cnn)
        self._memories = Memories(cnn)
        self._loader = WeightLoader(cnn, self._memories)
        registers = RegisterMap(cnn)
        self._files = tuple(
            RegisterFile(registers, quadrant, cnn.quadrant_base(quadrant))
            for quadrant in range(cnn.quadrants)
        )
        self._gatherers = tuple(
            Gatherer(cnn, self._memories, file, self._form.pointer_bits) for file in self._files
        )
        self._fifos = Fifos(cnn.addresses.fifo, cnn.quadrants)
        self._fast_fifo = FastFifo(cnn.addresses.fast_fifo, self._fifos)
        self._sequencer = Sequencer(cnn, self._form, self._files, self._memories, self._fifos)
        self._aon = 0
        self._power = 0
        self._live = 0
        """Quadrants that have power and are not powered down."""
        self._window: Window | None = None
        self._window_first = self._window_end = 0
        """Where the last access was, as long as the power stays: the next one is mostly there, too."""
        self._express = [False] * cnn.quadrants
        """CTL of the quadrant selects express loading."""
        self.irq = False
        """Level of the interrupt line."""
        self.early_reads = 0
        """Words of data memory that software read during runs, since power-up."""

    @property
    def running(self) -> bool:
        """Whether it is between start and done."""
        return self._sequencer.running

    @property
    def paused(self) -> bool:
        """Whether software holds a run half-way: it cleared the run bit, and may set it again."""
        return self._sequencer.paused

    @property
    def layers(self) -> tuple[LayerRun, ...]:
        """Layers of the last inference, in the order they ran."""
        return self._sequencer.layers

    @property
    def missing_input(self) -> dict[int, tuple[int, int]]:
        """FIFOs a run waits for: words that came, and words it needs."""
        return self._fifos.missing if self.running else {}

    @property
    def overwritten_weights(self) -> tuple[tuple[int, int], ...]:
        """(processor, slot) of weight slots that were written again with another value, since power-up."""
        return tuple(self._loader.overwritten)

    @property
    def busy_cycles(self) -> int:
        """CNN clock cycles of all runs so far."""
        return self._sequencer.busy_cycles

    def ranges(self) -> tuple[tuple[int, int], ...]:
        """Return (base, size in bytes) of the address ranges it answers to."""
        return self._map.ranges

    def set_power(self, quadrant_mask: int) -> None:
        """Switch quadrants on and off (bit g: quadrant g); one that is switched on starts from zero."""
        lost = self._power & ~quadrant_mask
        if any(lost >> quadrant & 1 for quadrant in self._sequencer.members):
            self._sequencer.reset()
        if lost >> self._sequencer.master & 1:
            self.irq = False
        for quadrant in range(self._cnn.quadrants):
            if quadrant_mask >> quadrant & 1 and not self._power >> quadrant & 1:
                self._files[quadrant].clear()
                self._express[quadrant] = False
                self._loader.forget(quadrant)
                for part in Part:
                    self._clear(quadrant, part)
        if not quadrant_mask:
            self._fifos.clear()
            self._fast_fifo.clear()
            self._aon = 0
            self.early_reads = 0
        self._power = quadrant_mask
        self._follow_power()

    def read(self, address: int, size_bytes: int) -> int:
        """Return the value at ``address``; raises BusError."""
        window = self._find(address, size_bytes)
        block, offset = window.block, address - window.base
        if block is Block.DATA:
            self.early_reads += self.running
            return int(self._memories.words[window.unit, offset // 4])
        if block is Block.REGISTERS:
            if offset == self._cnn.addresses.quadrant_registers["MLAT"]:
                return self._gatherers[window.quadrant].read(address)
            return self._files[window.quadrant].read(offset)
        if block is Block.WEIGHTS:
            return self._loader.read(window.unit, address, offset)
        if block is Block.BIAS:
            return int(self._memories.bias[window.quadrant, offset // 4])
        if block is Block.TRAM:
            return int(self._memories.tram[window.unit, offset // 4])
        if block is Block.AON:
            return self._aon
        if block is Block.FIFO and offset < self._fifos.size_bytes:
            return self._fifos.read(offset)
        if block is Block.FAST_FIFO:
            return self._fast_fifo.read(offset)
        raise BusError(address, f"{block.value}: nothing to read here")

    def write(self, address: int, size_bytes: int, value: int) -> None:
        """Write ``value`` to ``address``; raises BusError, and NotModelled where the effect is not known."""
        if size_bytes == 1:
            self._set_weight_address(address)
            return
        window = self._find(address, size_bytes)
        block, offset = window.block, address - window.base
        if block is Block.DATA:
            if self._sequencer.running or self._sequencer.paused:
                self._sequencer.note_write(window.unit, offset // 4, address, value)
            self._memories.words[window.unit, offset // 4] = value
        elif block is Block.WEIGHTS:
            self._write_weights(window, address, value)
        elif block is Block.REGISTERS:
            self._write_register(window, address, value)
        elif block is Block.BIAS:
            self._require_idle(block.value, address, value)
            self._memories.bias[window.quadrant, offset // 4] = value & 0xFF
        elif block is Block.TRAM:
            self._require_idle(block.value, address, value)
            self._memories.tram[window.unit, offset // 4] = value & 0xFFFF
        elif block is Block.AON:
            self._aon = value
            self._follow_power()
        elif block is Block.FIFO and offset < self._fifos.size_bytes:
            self._fifos.write(offset, value)
        elif block is Block.FAST_FIFO:
            self._fast_fifo.write(offset, value)
        else:
            raise NotModelled(block.value, address, value, "the model does not know what is here")

    def cycles_to_done(self) -> int | None:
        """Return CNN clock cycles from the start or the last FIFO word to done; None while it waits."""
        return self._sequencer.cycles_to_done()

    def finish(self) -> None:
        """Compute the layers (one in one-shot mode), write data memory, set the done bits, raise the irq.

        Raises NotModelled, and ValueError if :meth:`cycles_to_done` is None.
        """
        self._sequencer.finish()
        for quadrant in self._sequencer.members:
            control = self._control(quadrant)
            ends = self._sequencer.one_shot and quadrant == self._sequencer.master
            self._files[quadrant].put("CTL", control.when_done(ends).value)
        self.irq = True

    def _find(self, address: int, size_bytes: int) -> Window:
        if size_bytes != 4 or address % 4:
            raise BusError(address, f"{size_bytes} bytes: only aligned 32-bit words can be accessed")
        window = self._window
        if window is None or not self._window_first <= address < self._window_end:
            window = self._powered(address)
            if window.block is Block.DATA or window.block is Block.WEIGHTS:  # with power at each address
                self._window, self._window_first = window, window.base
                self._window_end = window.base + window.size_bytes
        return window

    def _follow_power(self) -> None:
        self._live = self._power & ~(self._aon >> POWER_DOWN_BIT)
        self._window = None

    def _powered(self, address: int) -> Window:
        window = self._map.find(address)
        if window is None:
            raise BusError(address, "nothing is mapped here")
        on = self._power != 0 if window.quadrant < 0 else bool(self._live >> window.quadrant & 1)
        if not on and not (self._live and self._is_test(window, address)):
            raise BusError(address, f"{window.block.value} without power")
        return window

    def _is_test(self, window: Window, address: int) -> bool:
        """Whether this is TEST, which answers without power as long as another quadrant has it.

        Programs generated with ``--zero-sram`` test all quadrants, also those they never switch on (the
        vendor tool's ``backend/max7800x.py``); not verified on silicon.
        """
        registers = self._cnn.addresses.quadrant_registers
        return window.block is Block.REGISTERS and address - window.base == registers["TEST"]

    def _require_idle(self, what: str, address: int, value: int) -> None:
        if self._sequencer.running:
            raise NotModelled(what, address, value, "is written while the accelerator runs")
        self._sequencer.abandon()

    def _set_weight_address(self, address: int) -> None:
        window = self._powered(address)
        if window.block is not Block.WEIGHTS or address % 4 != 1:
            raise BusError(address, "a byte can only be written to set an express weight address")
        self._require_idle(window.block.value, address, 1)
        if not self._express[window.quadrant]:
            raise BusError(address, "an express weight address, but CTL does not select express loading")
        self._loader.set_address(window.unit, address, address - window.base)

    def _write_weights(self, window: Window, address: int, value: int) -> None:
        self._require_idle(window.block.value, address, value)
        self._sequencer.kernels.forget()
        if self._express[window.quadrant]:
            self._loader.stream(window.unit, address, value)
        else:
            self._loader.write(window.unit, address, address - window.base, value)

    def _control(self, quadrant: int) -> Control:
        return Control(self._files[quadrant].get("CTL"))

    def _write_register(self, window: Window, address: int, value: int) -> None:
        registers, file = self._cnn.addresses.quadrant_registers, self._files[window.quadrant]
        offset = address - window.base
        if offset == registers["CTL"]:
            self._write_control(window.quadrant, value)
            return
        self._require_idle(file.name(offset), address, value)
        if offset == registers["TEST"]:
            value = self._test(file, address, value)
        file.write(offset, value)

    def _test(self, file: RegisterFile, address: int, value: int) -> int:
        """Do the self-test or clear that ``value`` asks for; return the register with its done bits."""
        if not value:
            return 0
        command = self._form.test_commands.get(value)
        if command is None:
            raise NotModelled(f"TEST in quadrant {file.quadrant}", address, value, "a test that is not known")
        parts, done = command
        for part in parts:
            self._clear(file.quadrant, part)
        return value | done

    def _clear(self, quadrant: int, part: Part) -> None:
        clear: dict[Part, Callable[[int], None]] = {
            Part.LAYERS: lambda quadrant: self._files[quadrant].clear_layers(),
            Part.DATA: self._memories.clear_data,
            Part.WEIGHTS: self._memories.clear_weights,
            Part.TRAM: self._memories.clear_tram,
            Part.BIAS: self._memories.clear_bias,
        }
        clear[part](quadrant)
        self._sequencer.kernels.forget()

    def _write_control(self, quadrant: int, value: int) -> None:
        file, sequencer = self._files[quadrant], self._sequencer
        old = self._control(quadrant)
        new = Control(value if old.done else value & ~Control.DONE)  # software can only clear the done bit
        file.put("CTL", new.value)
        self._express[quadrant] = new.express
        unknown = value & ~self._form.control_mask
        if unknown:
            raise file.word("CTL").refuse(f"the model does not know what bits 0x{unknown:08X} do")
        if new.gather:
            self._gatherers[quadrant].start(new.byte)
        else:
            self._gatherers[quadrant].stop()
        if quadrant == sequencer.master and not new.done:
            self.irq = False
        if sequencer.running:
            if quadrant == sequencer.master and not new.run:
                sequencer.stop()
        elif new.run and not old.run and new.leads(quadrant):
            sequencer.start(quadrant)
        else:
            sequencer.abandon()
