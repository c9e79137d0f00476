"""DMA: four channels between memory and UARTs, or from memory to memory.

Source: MSDK dma_regs.h, dma_reva.c. A channel moves single bytes as soon as its UART asks for them; copies
from memory to memory are done at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

from synergyc import targets
from synergyc.emulate.accelerator.errors import BusError
from synergyc.emulate.peripherals.base import Peripheral, Services
from synergyc.emulate.peripherals.uart import Uart

CHANNELS = 4
"""MSDK max7800x.h: as many as have interrupts."""
_NAMED_CHANNELS = 16
"""MXC_DMA_CHANNELS of max78000.h, where the driver resets that many (dma_reva.c: MXC_DMA_RevA_Init). Those
beyond CHANNELS are not there: they read as 0, and cannot be enabled."""
_INTEN, _INTFL, _FIRST_CHANNEL, _CHANNEL_BYTES = 0x000, 0x004, 0x100, 0x20
_CTRL, _STATUS, _SRC, _DST, _CNT, _SRC_RELOAD, _DST_RELOAD, _CNT_RELOAD = range(0, 0x20, 4)
_ENABLE, _RELOAD_ENABLE, _SRC_INCREMENT, _DST_INCREMENT = 1 << 0, 1 << 1, 1 << 18, 1 << 22
_DISABLE_IRQ, _COUNT_IRQ = 1 << 30, 1 << 31
_RUNNING, _PENDING, _COUNT_ZERO, _RELOADED = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_COUNT_MASK, _RELOAD_GO = 0xFF_FFFF, 1 << 31
_MEMORY_TO_MEMORY = 0
_RX_REQUESTS = {4: "uart0", 5: "uart1", 14: "uart2", 0x1C: "uart3"}
_TX_REQUESTS = {0x24: "uart0", 0x25: "uart1", 0x2E: "uart2", 0x3C: "uart3"}
_UART_TX_DMA, _UART_RX_DMA = 1 << 4, 1 << 9


@dataclass
class _Channel:
    registers: list[int] = field(default_factory=lambda: [0] * 8)
    flags: int = 0

    @property
    def enabled(self) -> bool:
        return bool(self.registers[0] & _ENABLE)


class Dma(Peripheral):
    """The DMA controller; ``uarts`` are the UARTs it may serve, by name."""

    registers: ClassVar[dict[int, str]] = {_INTEN: "INTEN", _INTFL: "INTFL", _FIRST_CHANNEL: "channels"}

    def __init__(
        self, name: str, block: targets.Peripheral, services: Services, uarts: Callable[[], dict[str, Uart]]
    ) -> None:
        self._uarts = uarts
        self._served: dict[int, Uart] = {}
        self._moving = False
        super().__init__(name, block, services)

    def reset(self) -> None:
        """See :class:`Peripheral`."""
        self._enabled_irqs = 0
        self._channels = [_Channel() for _ in range(CHANNELS)]
        self._running: list[_Channel] = []
        """Channels that may be enabled; all that are."""
        self._update_irqs()

    def read(self, offset: int) -> int:
        """See :class:`Peripheral`."""
        if offset == _INTEN:
            return self._enabled_irqs
        if offset == _INTFL:
            return sum(1 << index for index, channel in enumerate(self._channels) if channel.flags)
        channel, register = self._locate(offset, 0)
        if register == _STATUS:
            pending = _PENDING if channel.flags else 0
            return channel.flags | pending | (_RUNNING if channel.enabled else 0)
        return channel.registers[register // 4]

    def write(self, offset: int, value: int) -> None:
        """See :class:`Peripheral`."""
        if offset == _INTEN:
            self._enabled_irqs = value
        elif offset != _INTFL:
            channel, register = self._locate(offset, value)
            if register == _STATUS:
                channel.flags &= ~value
            else:
                channel.registers[register // 4] = value & _COUNT_MASK if register == _CNT else value
                if register == _CTRL and value & _ENABLE:
                    self._check(channel, offset, value)
                    self._running = [item for item in self._channels if item.enabled]
        self._update_irqs()
        self.serve()

    def serve(self) -> None:
        """Move what can be moved now; called when a channel or a UART's FIFO has changed."""
        if self._moving or not self._running:
            return  # a byte that is moved changes a FIFO, which calls this again
        self._moving = True
        try:
            for channel in self._running:  # channels do not wait for each other
                while channel.enabled and self._step(channel):
                    pass
        except BusError as error:
            raise self.not_modelled(_FIRST_CHANNEL, error.address, f"a transfer: {error.reason}") from error
        finally:
            self._moving = False

    def _locate(self, offset: int, value: int) -> tuple[_Channel, int]:
        index, register = divmod(offset - _FIRST_CHANNEL, _CHANNEL_BYTES)
        absent = CHANNELS <= index < _NAMED_CHANNELS and not value & _ENABLE
        if offset < _FIRST_CHANNEL or (index >= CHANNELS and not absent):
            raise self.not_modelled(offset, value, "register is not modelled")
        return (_Channel() if absent else self._channels[index]), register

    def _check(self, channel: _Channel, offset: int, value: int) -> None:
        request = value >> 4 & 0x3F
        if request != _MEMORY_TO_MEMORY and request not in _RX_REQUESTS and request not in _TX_REQUESTS:
            raise self.not_modelled(offset, value, f"DMA request 0x{request:02X} is not modelled")
        if request != _MEMORY_TO_MEMORY and value >> 16 & 3 | value >> 20 & 3:
            raise self.not_modelled(
                offset, value, "DMA between a UART and anything but bytes is not modelled"
            )

    def _step(self, channel: _Channel) -> bool:
        """Move what a FIFO has or has room for, or a whole copy; return whether there may be more to move."""
        control = channel.registers[_CTRL // 4]
        request = control >> 4 & 0x3F
        count = channel.registers[_CNT // 4]
        if not count:
            return False
        cpu = self.services.cpu
        source, target = channel.registers[_SRC // 4], channel.registers[_DST // 4]
        if request == _MEMORY_TO_MEMORY:
            cpu.write_memory(target, cpu.read_memory(source, count))
            self._advance(channel, count, control & _SRC_INCREMENT, control & _DST_INCREMENT)
            return True
        uart = self._uart(request)
        if request in _RX_REQUESTS:
            if not uart.rx_level or not uart.dma_control & _UART_RX_DMA:
                return False
            cpu.write_memory(target, bytes([uart.take() & 0xFF]))
            self._advance(channel, 1, 0, control & _DST_INCREMENT)
            return uart.rx_level > 0
        if not uart.tx_free or not uart.dma_control & _UART_TX_DMA:
            return False
        moved = min(count, uart.tx_free) if control & _SRC_INCREMENT else 1
        for value in cpu.read_memory(source, moved):
            uart.put(value)
        self._advance(channel, moved, control & _SRC_INCREMENT, 0)
        return uart.tx_free > 0

    def _uart(self, request: int) -> Uart:
        if request not in self._served:
            self._served[request] = self._uarts()[_RX_REQUESTS.get(request) or _TX_REQUESTS[request]]
        return self._served[request]

    def _advance(self, channel: _Channel, count: int, source: int, target: int) -> None:
        registers = channel.registers
        registers[_SRC // 4] += count if source else 0
        registers[_DST // 4] += count if target else 0
        registers[_CNT // 4] -= count
        if registers[_CNT // 4]:
            return
        channel.flags |= _COUNT_ZERO
        self._update_irqs()
        if registers[_CTRL // 4] & _RELOAD_ENABLE and registers[_CNT_RELOAD // 4] & _RELOAD_GO:
            registers[_SRC // 4], registers[_DST // 4] = (
                registers[_SRC_RELOAD // 4],
                registers[_DST_RELOAD // 4],
            )
            registers[_CNT // 4] = registers[_CNT_RELOAD // 4] & _COUNT_MASK
            registers[_CTRL // 4] &= ~_RELOAD_ENABLE
            channel.flags |= _RELOADED
        else:
            registers[_CTRL // 4] &= ~_ENABLE
            self._running = [item for item in self._running if item.enabled]

    def _update_irqs(self) -> None:
        for index, channel in enumerate(self._channels):
            control = channel.registers[_CTRL // 4]
            wanted = channel.flags & _COUNT_ZERO and control & (_COUNT_IRQ | _DISABLE_IRQ)
            self.set_irq(bool(wanted and self._enabled_irqs >> index & 1), index)
