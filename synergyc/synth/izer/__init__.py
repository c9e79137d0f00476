"""The vendor's tool as a synthesis engine: run out of process, its C read back as writes."""

from synergyc.synth.izer.emitted import Emitted, read_emitted
from synergyc.synth.izer.engine import ENGINE, generate, run_izer
from synergyc.synth.izer.install import PINNED_COMMIT, PUBLIC_SOURCE, install
from synergyc.synth.izer.tool import Izer, find_izer, warnings_in

__all__ = [
    "ENGINE",
    "PINNED_COMMIT",
    "PUBLIC_SOURCE",
    "Emitted",
    "Izer",
    "find_izer",
    "generate",
    "install",
    "read_emitted",
    "run_izer",
    "warnings_in",
]
