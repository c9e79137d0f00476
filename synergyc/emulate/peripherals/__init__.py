"""The peripherals of the MAX78000 family, one small class for each programming model."""

from synergyc.emulate.peripherals.base import Peripheral, Services, Storage
from synergyc.emulate.peripherals.flash import FlashController
from synergyc.emulate.peripherals.gcr import ClockController
from synergyc.emulate.peripherals.gpio import Gpio
from synergyc.emulate.peripherals.simple import (
    CacheController,
    LowPowerClocks,
    RandomGenerator,
    Regulator,
    Semaphores,
    Unmodelled,
)
from synergyc.emulate.peripherals.timer import LowPowerTimer, Timer
from synergyc.emulate.peripherals.uart import LowPowerUart, Uart
from synergyc.emulate.peripherals.watchdog import Watchdog

KINDS: dict[str, type[Peripheral]] = {
    "flc": FlashController,
    "gcr": ClockController,
    "gpio": Gpio,
    "icc": CacheController,
    "lpgcr": LowPowerClocks,
    "lptimer": LowPowerTimer,
    "lpuart": LowPowerUart,
    "sema": Semaphores,
    "simo": Regulator,
    "storage": Storage,
    "timer": Timer,
    "trng": RandomGenerator,
    "uart": Uart,
    "unmodelled": Unmodelled,
    "watchdog": Watchdog,
}
"""Class of each ``kind`` in the target files; ``gcfr``, ``dma`` and ``accelerator`` need more of the chip."""

__all__ = ["KINDS", "Gpio", "Peripheral", "RandomGenerator", "Services", "Uart"]
