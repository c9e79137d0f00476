"""synergyc: PyTorch models to firmware for body-worn networks of CNN-accelerator microcontrollers.

The app file in Python: ``System``, ``Device``, ``Link``, ``App`` and what they hold, with the same names;
``load`` reads a file, ``check`` tells what is wrong with a system, ``choose`` plans it, ``build_system``
builds it, ``run_build`` runs the build on emulated devices. All are imported when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from synergyc.api import build_system, choose, run_build
    from synergyc.config import (
        App,
        Device,
        Interact,
        Link,
        ModuleModel,
        Pin,
        PythonModel,
        Quantize,
        Sense,
        System,
        check,
        load,
    )

__all__ = [
    "App",
    "Device",
    "Interact",
    "Link",
    "ModuleModel",
    "Pin",
    "PythonModel",
    "Quantize",
    "Sense",
    "System",
    "build_system",
    "check",
    "choose",
    "load",
    "run_build",
]

__version__ = "0.1.0"

_HOMES = dict.fromkeys(__all__, "synergyc.config") | dict.fromkeys(
    ("build_system", "choose", "run_build"), "synergyc.api"
)


def __getattr__(name: str) -> object:
    """Return a name of the Python interface from the module that has it."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the names of the Python interface too."""
    return sorted([*globals(), *_HOMES])
