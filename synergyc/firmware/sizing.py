"""Sizes and times of a device's firmware that follow from its links and tensors."""

from __future__ import annotations

from dataclasses import replace

from synergyc.firmware.framing import encoded_bytes
from synergyc.firmware.spec import FirmwareSpec, Link
from synergyc.targets import transfer_us

STACK_BYTES = 4096
"""More than twice the deepest use that was measured (see docs/firmware.md)."""

LINK_WINDOW = 4
"""Fragments under way unacknowledged, as in ``link.h``."""

_OTHER_RAM_BYTES = 2048
"""Everything else in RAM: decoders, link and task states, console (measured: under 1.5 KiB)."""

_SMALLEST_RING_BYTES = 1024
_PEER_BUSY_US = 20_000
"""The longest that a peer's main loop is away from its links: copying a large tensor."""

_SMALLEST_PAYLOAD_BYTES = 64
"""Without links the frame buffers are not used, but have a size."""


def frame_payload_bytes(spec: FirmwareSpec) -> int:
    """Return the largest payload of a frame on any of the device's links."""
    return max((link.payload_bytes for link in spec.links), default=_SMALLEST_PAYLOAD_BYTES)


def ring_bytes(spec: FirmwareSpec) -> int:
    """Return the size of a UART's buffers: a power of two that holds a window of frames and answers."""
    needed = (LINK_WINDOW + 1) * encoded_bytes(frame_payload_bytes(spec))
    return max(_SMALLEST_RING_BYTES, 1 << (needed - 1).bit_length())


def uarts(spec: FirmwareSpec) -> tuple[str, ...]:
    """Return the UARTs in use; a UART's number in the firmware is its place here. The console is first."""
    return (spec.board.console_uart, *(link.uart for link in spec.links))


def timeout_us(link: Link) -> float:
    """Return how long a sender waits for an answer: two windows of frames, and a peer that is busy."""
    frame_us = transfer_us(encoded_bytes(link.payload_bytes), link.rate_bd / 1000, link.bits_per_byte)
    return 2 * LINK_WINDOW * frame_us + _PEER_BUSY_US


def with_depths(spec: FirmwareSpec) -> FirmwareSpec:
    """Return ``spec`` with queues shortened to one tensor, the largest first, until they fit into RAM.

    If even that is too much the linker finds out, and says what is needed.
    """
    buffers = 2 * ring_bytes(spec) * len(uarts(spec))
    available = spec.chip.sram.size_bytes - STACK_BYTES - _OTHER_RAM_BYTES - buffers
    queues = {queue.name: queue for queue in spec.queues}
    for queue in sorted(spec.queues, key=lambda queue: (-queue.words, queue.name)):
        taken = sum(q.words * q.depth * 4 for q in queues.values() if not q.in_flash)
        if taken <= available:
            break
        queues[queue.name] = queue if queue.in_flash else replace(queue, depth=1)
    return replace(spec, queues=tuple(queues.values()))
