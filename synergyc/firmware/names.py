"""Names of files and symbols in a device's firmware."""

from __future__ import annotations

import re


def driver_file(driver: str) -> str:
    """Return the name of the file that holds a sensor driver."""
    return f"sensor_{driver}.c"


def key_symbol(link: str) -> str:
    """Return the symbol of the place in flash for the key of a device's link."""
    return f"synergy_key_{c_name(link)}"


def c_name(name: str) -> str:
    """Return ``name`` as part of a C identifier."""
    return re.sub(r"\W", "_", name, flags=re.ASCII)
