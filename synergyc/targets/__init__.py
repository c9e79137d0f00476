"""Chips, boards and link media as data: every limit, address and cost, read from ``targets/``.

The YAML files name the source of each value in a comment beside it. Nothing here knows a chip by name.
"""

from synergyc.targets.accelerator import Cnn, CnnTiming
from synergyc.targets.chip import Board, Chip, Clocks, Peripheral
from synergyc.targets.files import (
    data_folder,
    known,
    link_medium,
    load_board,
    load_chip,
    load_medium,
    load_runtime,
    most_channels,
)
from synergyc.targets.link import Medium, assign_uarts, transfer_us
from synergyc.targets.runtime import LoopCycles, Runtime

__all__ = [
    "Board",
    "Chip",
    "Clocks",
    "Cnn",
    "CnnTiming",
    "LoopCycles",
    "Medium",
    "Peripheral",
    "Runtime",
    "assign_uarts",
    "data_folder",
    "known",
    "link_medium",
    "load_board",
    "load_chip",
    "load_medium",
    "load_runtime",
    "most_channels",
    "transfer_us",
]
