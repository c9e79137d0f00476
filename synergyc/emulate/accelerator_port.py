"""The accelerator in its chip: clock, wait states of the bus, interrupt line, and when a run is done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from synergyc import targets
from synergyc.emulate.accelerator.errors import BusError, NotModelled
from synergyc.emulate.peripherals.base import Services
from synergyc.emulate.timeline import PS_PER_NS, PS_PER_S, Event

_COPY_LOOP_CYCLES = 7
"""LDR, STR, SUBS and BNE taken: the CPU's share in the measured cost of a word (synergyc.emulate.timing)."""


class AcceleratorModel(Protocol):
    """What the chip needs of :class:`synergyc.emulate.accelerator.Accelerator`."""

    @property
    def running(self) -> bool:
        """Whether it is between start and done."""

    @property
    def paused(self) -> bool:
        """Whether software holds a run half-way."""

    @property
    def irq(self) -> bool:
        """The level of its interrupt line."""

    def ranges(self) -> tuple[tuple[int, int], ...]:
        """Return (base, size in bytes) of the address ranges it answers to."""

    def set_power(self, quadrant_mask: int) -> None:
        """Set which quadrants work."""

    def read(self, address: int, size_bytes: int) -> int:
        """Return the value at ``address``."""

    def write(self, address: int, size_bytes: int, value: int) -> None:
        """Write ``value`` at ``address``."""

    def cycles_to_done(self) -> int | None:
        """Return CNN cycles from the start or the last FIFO word to done; None while input is missing."""

    def finish(self) -> None:
        """Compute the run's results and raise the interrupt."""


class AcceleratorPort:
    """A bus slave that lets a run take its time in the accelerator's clock.

    ``timing.word_ns`` is the measured cost of a word in a copy loop; each access stalls the CPU for that
    time less the loop's own cycles, whatever the accelerator's clock is.
    """

    def __init__(self, model: AcceleratorModel, block: targets.Peripheral, services: Services) -> None:
        self._model = model
        self._clock = services.cpu.clock
        self._gates = services.clocks.gates
        self._gate_register, gate_bit = block.clock_bit or ("", 0)
        self._gate_mask = 1 << gate_bit
        self._block = block
        self._services = services
        self._cnn_hz = 0
        self._event: Event | None = None
        self._left_cycles: int | None = None
        self._began_ps = 0
        self._quiet = False
        """Nothing runs, is held, or asks for attention: as after the last :meth:`_update`."""
        self.busy_ps = 0
        self.runs = 0
        self.accesses = 0
        self.on_busy: Callable[[int, int], None] | None = None
        """Called with begin and end of each time of computing, for timelines."""
        clocks, timing = services.target.clocks, services.target.cnn.timing
        loop_ps = _COPY_LOOP_CYCLES * PS_PER_S // clocks.cpu_hz
        self._stall_ps = max(0, round(timing.word_ns * PS_PER_NS) - loop_ps)
        self._stall_cycles = 0
        self.clocks_changed()

    def reset(self) -> None:
        """Take the power from all quadrants."""
        self._model.set_power(0)
        self._update()

    def set_power(self, quadrant_mask: int) -> None:
        """Set which quadrants work (bit g: quadrant g)."""
        self._model.set_power(quadrant_mask)
        self._update()

    def read(self, address: int, size_bytes: int) -> int:
        """Return the value at ``address``; raises BusError and NotModelled."""
        self._begin_access(address)
        return self._model.read(address, size_bytes)

    def write(self, address: int, size_bytes: int, value: int) -> None:
        """Write ``value`` at ``address``; raises BusError and NotModelled."""
        self._begin_access(address)
        self._model.write(address, size_bytes, value)
        if not self._quiet or self._model.running or self._model.irq:
            self._update()

    def clocks_changed(self) -> None:
        """Let the rest of a run pass at the new clock."""
        self._stall_cycles = self._stall_ps * self._services.clocks.system_hz // PS_PER_S
        cnn_hz = self._services.clocks.cnn_hz
        if self._event is not None:
            if not cnn_hz:
                raise NotModelled("accelerator clock", self._block.base, 0, "the clock stops during a run")
            now_ps = self._services.timeline.now_ps
            left_ps = max(0, self._event.at_ps - now_ps) * self._cnn_hz // cnn_hz
            self._event.cancel()
            self._event = self._services.timeline.schedule(now_ps + left_ps, self._on_done)
        self._cnn_hz = cnn_hz

    def _begin_access(self, address: int) -> None:
        gated = self._gates.get(self._gate_register, 0) & self._gate_mask
        if gated or not self._services.clocks.cnn_hz:
            raise BusError(address, "the accelerator's clock is off")
        self._clock.cycles += self._stall_cycles
        self.accesses += 1

    def _update(self) -> None:
        """Follow the accelerator's state after software may have changed it."""
        model = self._model
        if self._block.irq is not None:
            self._services.set_irq(self._block.irq, model.irq)
        self._quiet = not (model.running or model.paused or model.irq)
        if not model.running:
            self._hold()
        elif self._event is None:
            cycles = model.cycles_to_done() if self._left_cycles is None else self._left_cycles
            if cycles is not None:
                self._left_cycles = None
                self._began_ps = self._services.timeline.now_ps
                self._cnn_hz = self._services.clocks.cnn_hz
                done_ps = self._began_ps + -(-cycles * PS_PER_S // self._cnn_hz)
                self._event = self._services.timeline.schedule(done_ps, self._on_done)

    def _hold(self) -> None:
        """Stop the time of a run; remember what is left of it as long as it may go on."""
        if self._event is not None:
            now_ps = self._services.timeline.now_ps
            self._note_busy(now_ps)
            self._left_cycles = -(-max(0, self._event.at_ps - now_ps) * self._cnn_hz // PS_PER_S)
            self._event.cancel()
            self._event = None
        if not self._model.paused:
            self._left_cycles = None

    def _note_busy(self, end_ps: int) -> None:
        self.busy_ps += end_ps - self._began_ps
        if self.on_busy is not None:
            self.on_busy(self._began_ps, end_ps)

    def _on_done(self, at_ps: int) -> None:
        self._event = None
        self._note_busy(at_ps)
        self.runs += 1
        self._model.finish()
        self._update()
