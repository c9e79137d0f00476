"""The CNN accelerator as software sees it: registers, memories, FIFOs, and what a run leaves behind."""

from synergyc.emulate.accelerator.core import Accelerator
from synergyc.emulate.accelerator.errors import BusError, NotModelled
from synergyc.emulate.accelerator.network import LayerRun

__all__ = ["Accelerator", "BusError", "LayerRun", "NotModelled"]
