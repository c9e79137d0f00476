"""Emulated devices: CPU, accelerator, peripherals, boards, and several of them in one virtual time.

Nothing here knows networks, plans or generators: a board executes an ELF file and the register
accesses of that file, and nothing else.
"""

from synergyc.emulate.board import Board
from synergyc.emulate.chip import Chip
from synergyc.emulate.elf import ElfImage, load_elf
from synergyc.emulate.simulation import Ending, Outcome, Simulation
from synergyc.emulate.wire import Wire

__all__ = ["Board", "Chip", "ElfImage", "Ending", "Outcome", "Simulation", "Wire", "load_elf"]
