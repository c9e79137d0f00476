"""Which synthesis engine makes the programs of a build."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from synergyc.diagnostics import SynergyError
from synergyc.synth import izer, native
from synergyc.synth.placed import PlacedNetwork
from synergyc.synth.program import Program
from synergyc.targets import Chip

Report = Callable[[str], None]
"""Called with a sentence that the user should see."""

Generate = Callable[[PlacedNetwork, Chip], Program]


class EngineChoice(StrEnum):
    """``AUTO``: the vendor's tool where it is installed, for what it can make; else our generator."""

    AUTO = "auto"
    NATIVE = "native"
    IZER = "izer"


def generator(choice: EngineChoice, report: Report) -> Generate:
    """Return what makes a program of a placed network.

    ``report`` is told why ``AUTO`` does not take the vendor's tool. Raises SynergyError (``izer-missing``) if
    the vendor's tool is asked for and is not there.
    """
    if choice is EngineChoice.NATIVE:
        return native.generate
    try:
        tool = izer.find_izer()
    except SynergyError as error:
        if choice is EngineChoice.IZER:
            raise
        report(f"native engine: {_first(error)}")
        return native.generate

    def generate(placed: PlacedNetwork, chip: Chip) -> Program:
        try:
            return izer.generate(placed, chip, tool)
        except SynergyError as error:
            if choice is EngineChoice.IZER:
                raise
            report(f"native engine for {placed.name}: {_first(error)}")
            return native.generate(placed, chip)

    return generate


def _first(error: SynergyError) -> str:
    return error.diagnostics[0].message
