"""What the accelerator refuses: bus accesses that hang or fault, and requests the model does not know."""

from __future__ import annotations


class BusError(Exception):
    """An access that the bus does not answer: unmapped, unpowered, or of the wrong width."""

    def __init__(self, address: int, reason: str) -> None:
        super().__init__(f"0x{address:08X}: {reason}")
        self.address = address
        self.reason = reason


class NotModelled(Exception):  # noqa: N818 - not an error of the program that runs, but a limit of the model
    """Software asks for something whose result is not known well enough to be computed.

    ``register`` names it (``LCTL of layer 3 in quadrant 0``); ``value`` is the whole register.
    """

    def __init__(self, register: str, address: int, value: int, reason: str) -> None:
        super().__init__(f"{register} (0x{address:08X} = 0x{value:08X}): {reason}")
        self.register = register
        self.address = address
        self.value = value
        self.reason = reason
