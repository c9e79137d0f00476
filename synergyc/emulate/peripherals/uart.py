"""UART and low-power UART: FIFOs of 8 bytes, bit-accurate frames, interrupts.

Source: MSDK uart_regs.h, max7800x.svd (meaning of the flags) and the clocking rules of uart_revb.c and
uart_ai8x.c. The threshold flags are set by each byte that arrives or leaves with the FIFO at or beyond the
threshold; the documents do not say whether the level alone sets them again after they were cleared.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import ClassVar, NamedTuple

from synergyc.emulate.peripherals.base import Peripheral
from synergyc.emulate.timeline import PS_PER_S, Event

FIFO_BYTES = 8
"""MSDK mxc_device: MXC_UART_FIFO_DEPTH."""

_CTRL, _STATUS, _INT_EN, _INT_FL, _CLKDIV, _OSR, _TXPEEK, _PNR, _FIFO = range(0, 0x24, 4)
_DMA, _WKEN, _WKFL = 0x30, 0x34, 0x38
_PARITY, _PARITY_ODD, _PARITY_ZEROS = 1 << 4, 1 << 5, 1 << 6
_TX_FLUSH, _RX_FLUSH, _STOPBITS, _FLOW_CONTROL = 1 << 8, 1 << 9, 1 << 12, 1 << 13
_CLOCK_ENABLE, _CLOCK_READY, _FRACTIONAL = 1 << 15, 1 << 19, 1 << 21
_CTRL_READ_ONLY = _CLOCK_READY | _TX_FLUSH | _RX_FLUSH
FRAME_ERROR, PARITY_ERROR, OVERRUN, RX_THRESHOLD, TX_HALF_EMPTY = 1 << 0, 1 << 1, 1 << 3, 1 << 4, 1 << 6


_SURE_PART = 50
"""A clock error below 1/50 moves no sample of a frame (of at most 12 bits) out of its bit."""


class Frame(NamedTuple):
    """One byte on a wire: ``levels`` holds start, data and stop bits in order of time, from bit 0 on."""

    start_ps: int
    duration_ps: int
    levels: int
    bits: int

    @property
    def end_ps(self) -> int:
        """End of the last stop bit."""
        return self.start_ps + self.duration_ps

    @property
    def rate_bd(self) -> float:
        """Bits per second."""
        return self.bits * PS_PER_S / self.duration_ps

    def sampled(self, bits: int, duration_ps: int) -> int:
        """Return the levels that a receiver sees in the middle of each of its bits, by its own clock.

        The wire is idle (1) after the frame.
        """
        if bits == self.bits and abs(duration_ps - self.duration_ps) * _SURE_PART < duration_ps:
            return self.levels
        levels = 0
        for position in range(bits):
            index = (2 * position + 1) * duration_ps * self.bits // (2 * bits * self.duration_ps)
            levels |= (self.levels >> index & 1 if index < self.bits else 1) << position
        return levels


class _Format(NamedTuple):
    """What the registers say about frames."""

    data_bits: int
    bits: int
    """Start, parity and stop bits included."""
    duration_ps: int


class Uart(Peripheral):
    """A UART; ``on_transmit`` receives each frame when its start bit begins."""

    registers: ClassVar[dict[int, str]] = {
        _CTRL: "CTRL",
        _STATUS: "STATUS",
        _INT_EN: "INT_EN",
        _INT_FL: "INT_FL",
        _CLKDIV: "CLKDIV",
        _OSR: "OSR",
        _TXPEEK: "TXPEEK",
        _PNR: "PNR",
        _FIFO: "FIFO",
        _DMA: "DMA",
        _WKEN: "WKEN",
        _WKFL: "WKFL",
    }
    on_transmit: Callable[[Frame], None] | None = None
    on_fifo_change: Callable[[], None] | None = None
    """Called when a FIFO gains or loses a byte; the DMA controller listens."""
    busy_ps = 0
    """Time in which bits were sent."""
    received_bytes = 0

    def reset(self) -> None:
        """See :class:`Peripheral`."""
        self._values = dict.fromkeys((_CTRL, _INT_EN, _CLKDIV, _OSR, _DMA, _WKEN), 0)
        self._format: _Format | None = None
        self._flags = 0
        self._tx: deque[int] = deque()
        self._rx: deque[int] = deque()
        event = getattr(self, "_shift_done", None)
        if event is not None:
            event.cancel()
        self._shift_done: Event | None = None
        self._update_irq()

    @property
    def tx_free(self) -> int:
        """Free places of the transmit FIFO."""
        return FIFO_BYTES - len(self._tx)

    @property
    def rx_level(self) -> int:
        """Bytes in the receive FIFO."""
        return len(self._rx)

    @property
    def dma_control(self) -> int:
        """The DMA register."""
        return self._values[_DMA]

    def source_hz(self) -> int:
        """Return the frequency that CLKDIV divides (uart_revb.c: MXC_UART_RevB_GetFrequency)."""
        source = self._values[_CTRL] >> 16 & 3
        clocks = self.services.clocks
        if source == 0:
            return clocks.peripheral_hz
        if source == 2:
            return clocks.oscillators_hz["ibro"]
        raise self.not_modelled(_CTRL, self._values[_CTRL], f"clock source {source} is not modelled")

    def _frame_format(self) -> _Format:
        """Return the form of frames; raises NotModelled while the divider is 0."""
        if self._format is None:
            control, divider = self._values[_CTRL], self._values[_CLKDIV]
            if divider == 0:
                raise self.not_modelled(_CLKDIV, 0, "transfer with a clock divider of 0")
            data_bits = 5 + (control >> 10 & 3)
            bits = 1 + data_bits + bool(control & _PARITY) + (2 if control & _STOPBITS else 1)
            self._format = _Format(data_bits, bits, bits * divider * PS_PER_S // self.source_hz())
        return self._format

    def read(self, offset: int) -> int:
        """See :class:`Peripheral`; reading FIFO takes a byte."""
        if offset == _FIFO:
            return self.take()
        if offset == _STATUS:
            return self._status()
        if offset == _INT_FL:
            return self._flags
        if offset == _CTRL:
            control = self._values[_CTRL]
            return control | (_CLOCK_READY if control & _CLOCK_ENABLE else 0)
        if offset == _TXPEEK:
            return self._tx[0] if self._tx else 0
        if offset in (_PNR, _WKFL):
            return 0
        return self._stored(offset, 0)

    def write(self, offset: int, value: int) -> None:
        """See :class:`Peripheral`; a byte written to a full FIFO is lost, as on the chip."""
        if offset == _FIFO:
            self.put(value & 0xFF)
        elif offset == _INT_FL:
            self._flags &= ~value
            self._update_irq()
        elif offset == _CTRL:
            self._write_control(value)
        elif offset not in (_STATUS, _PNR, _WKFL, _TXPEEK):
            self._stored(offset, value)
            self._values[offset] = value
            self._format = None
            if offset == _INT_EN:
                self._update_irq()
            elif offset == _DMA:
                self._fifo_changed()

    def take(self) -> int:
        """Take the oldest received byte, with its parity error in bit 8; 0 when there is none."""
        if not self._rx:
            return 0
        value = self._rx.popleft()
        self._fifo_changed()
        return value

    def put(self, value: int) -> None:
        """Put a byte into the transmit FIFO; it is lost when the FIFO is full."""
        if len(self._tx) < FIFO_BYTES:
            self._tx.append(value)
            self._send_next()

    def receive(self, frame: Frame) -> None:
        """Take a frame from the wire; its byte is in the FIFO when the frame ends."""
        self.services.timeline.schedule(frame.end_ps, lambda _at_ps: self._on_received(frame))

    def clocks_changed(self) -> None:
        """A frame on the wire keeps its bit time; later ones take the new one."""
        self._format = None

    def _stored(self, offset: int, value: int) -> int:
        if offset not in self._values:
            raise self.not_modelled(offset, value, "register is not modelled")
        return self._values[offset]

    def _status(self) -> int:
        tx, rx = len(self._tx), len(self._rx)
        return (
            (1 if self._shift_done else 0)
            | (0 if rx else 1 << 4)
            | (1 << 5 if rx == FIFO_BYTES else 0)
            | (0 if tx else 1 << 6)
            | (1 << 7 if tx == FIFO_BYTES else 0)
            | rx << 8
            | tx << 12
        )

    def _write_control(self, value: int) -> None:
        if value & _FLOW_CONTROL:
            raise self.not_modelled(_CTRL, value, "hardware flow control is not modelled")
        self._values[_CTRL] = value & ~_CTRL_READ_ONLY
        self._format = None
        if value & _TX_FLUSH:
            self._tx.clear()
        if value & _RX_FLUSH:
            self._rx.clear()
        if value & (_TX_FLUSH | _RX_FLUSH):
            self._fifo_changed()
        self._send_next()

    # --- the wire ---------------------------------------------------------------------------------------

    def _parity_bit(self, value: int, data_bits: int) -> int:
        control = self._values[_CTRL]
        ones = value.bit_count()
        counted = data_bits - ones if control & _PARITY_ZEROS else ones
        return (counted & 1) ^ (1 if control & _PARITY_ODD else 0)

    def _encode(self, value: int, form: _Format) -> int:
        """Return the levels of a frame: start 0, data from the least significant bit, parity, stop 1."""
        value &= (1 << form.data_bits) - 1
        levels = value << 1
        position = 1 + form.data_bits
        if self._values[_CTRL] & _PARITY:
            levels |= self._parity_bit(value, form.data_bits) << position
            position += 1
        return levels | ((1 << form.bits - position) - 1) << position

    def _send_next(self, start_ps: int | None = None) -> None:
        """Begin the next frame unless one is being sent, nothing is to be sent, or the clock is off."""
        if self._shift_done or not self._tx or not self._values[_CTRL] & _CLOCK_ENABLE:
            return
        start_ps = self.services.timeline.now_ps if start_ps is None else start_ps
        form = self._frame_format()
        frame = Frame(start_ps, form.duration_ps, self._encode(self._tx.popleft(), form), form.bits)
        self._shift_done = self.services.timeline.schedule(frame.end_ps, self._on_sent)
        self.busy_ps += frame.duration_ps
        if len(self._tx) <= FIFO_BYTES // 2:
            self._raise_flag(TX_HALF_EMPTY)
        self._fifo_changed()
        if self.on_transmit is not None:
            self.on_transmit(frame)

    def _on_sent(self, at_ps: int) -> None:
        self._shift_done = None
        self._send_next(at_ps)

    def _on_received(self, frame: Frame) -> None:
        """Sample a frame in the middle of each bit, by this UART's own clock."""
        if not self._values[_CTRL] & _CLOCK_ENABLE or self.services.clocks.is_gated(self.block.clock_bit):
            return
        data_bits, bits, duration_ps = self._frame_format()
        levels = frame.sampled(bits, duration_ps)
        if levels & 1:
            return  # no start bit: seen as a disturbance
        value = levels >> 1 & (1 << data_bits) - 1
        self.received_bytes += 1
        if len(self._rx) == FIFO_BYTES:
            self._raise_flag(OVERRUN)
            return
        if not levels >> bits - 1:
            self._raise_flag(FRAME_ERROR)
        parity = levels >> 1 + data_bits & 1
        if self._values[_CTRL] & _PARITY and parity != self._parity_bit(value, data_bits):
            self._raise_flag(PARITY_ERROR)
            value |= 1 << 8
        self._rx.append(value)
        threshold = self._values[_CTRL] & 0xF
        if threshold and len(self._rx) >= threshold:
            self._raise_flag(RX_THRESHOLD)
        self._fifo_changed()

    def _raise_flag(self, flag: int) -> None:
        self._flags |= flag
        self._update_irq()

    def _update_irq(self) -> None:
        self.set_irq(bool(self._flags & self._values[_INT_EN]))

    def _fifo_changed(self) -> None:
        if self.on_fifo_change is not None:
            self.on_fifo_change()


class LowPowerUart(Uart):
    """LPUART: clocked by IBRO or ERTCO, also while PCLK is off (uart_ai85.c, uart_ai87.c)."""

    def source_hz(self) -> int:
        """Return the frequency that CLKDIV divides; fractional division doubles it."""
        control = self._values[_CTRL]
        source = control >> 16 & 3
        oscillators = self.services.clocks.oscillators_hz
        if source == 0:
            base_hz = oscillators["ibro"]
        elif source in (1, 2):
            # ERTCO: the MAX78000's driver selects 1 for it, the MAX78002's 2.
            base_hz = oscillators["ertco"]
        else:
            base_hz = oscillators["inro"]
        return base_hz * (2 if control & _FRACTIONAL else 1)
