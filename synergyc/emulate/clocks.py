"""Clock tree of a chip: frequencies of CPU, peripherals and accelerator, and which blocks are gated."""

from __future__ import annotations

from collections.abc import Callable

from synergyc import targets


class ClockTree:
    """Frequencies of the moment; the clock controller changes them and calls :meth:`changed`."""

    def __init__(self, clocks: targets.Clocks, on_change: Callable[[], None]) -> None:
        self.oscillators_hz = dict(clocks.oscillators_hz)
        self._divider = clocks.cpu_hz // clocks.peripheral_hz
        self._on_change = on_change
        self.gates: dict[str, int] = {}
        """Clock disable registers by name: a set bit stops the clock of a block."""
        self.reset()

    def reset(self) -> None:
        """Return to the clocks after reset; the controllers set the gates themselves."""
        self.system_hz = self.oscillators_hz["iso"]
        self.cnn_hz = 0

    @property
    def peripheral_hz(self) -> int:
        """Clock of the peripheral bus (PCLK)."""
        return self.system_hz // self._divider

    def set_system(self, system_hz: int) -> None:
        """Set the CPU's clock."""
        if system_hz != self.system_hz:
            self.system_hz = system_hz
            self._on_change()

    def set_cnn(self, cnn_hz: int) -> None:
        """Set the accelerator's clock; 0: its source is off."""
        if cnn_hz != self.cnn_hz:
            self.cnn_hz = cnn_hz
            self._on_change()

    def is_gated(self, clock_bit: tuple[str, int] | None) -> bool:
        """Return whether a block's clock is off."""
        if clock_bit is None:
            return False
        register, bit = clock_bit
        return bool(self.gates[register] >> bit & 1)
