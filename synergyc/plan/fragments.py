"""Fragments of a tensor as the schedule plays them on a link, and how long their answers take."""

from __future__ import annotations

from dataclasses import dataclass

from synergyc.plan.problem import PlanLink
from synergyc.targets import Medium, Runtime, transfer_us

_PARTS = 64
"""Fragments of a tensor are played one by one up to this number, of larger tensors in groups."""

_COBS_RUN = 254
"""Values behind one code byte at most (docs/link-protocol.md); ``frame_overhead_bytes`` has the first one."""


@dataclass(frozen=True)
class Fragments:
    """How a tensor is played: ``parts`` of ``group`` frames each, the last one with what is left."""

    size_bytes: int
    mtu_bytes: int
    overhead_bytes: int
    """Of a frame between chip and peer or radio module."""
    parts: int
    group: int

    def frames(self, part: int) -> int:
        """Return the number of frames of a part."""
        return max(1, -(-self._payload_bytes(part) // self.mtu_bytes))

    def part_bytes(self, part: int) -> int:
        """Return the bytes of a part between chip and peer or radio module."""
        return self._payload_bytes(part) + self.frames(part) * self.overhead_bytes

    @property
    def answer_bytes(self) -> int:
        """Bytes of the answers to a part."""
        return self.group * self.overhead_bytes

    def _payload_bytes(self, part: int) -> int:
        most = self.group * self.mtu_bytes
        return min(most, self.size_bytes - part * most)


def fragments_of(size_bytes: int, medium: Medium) -> Fragments:
    """Return the fragments of a tensor of ``size_bytes`` on ``medium``."""
    frames = max(1, -(-size_bytes // medium.mtu_bytes))
    group = -(-frames // _PARTS)
    overhead_bytes = medium.frame_overhead_bytes - medium.air_overhead_bytes
    return Fragments(size_bytes, medium.mtu_bytes, overhead_bytes, -(-frames // group), group)


def longest_frame_bytes(medium: Medium, runtime: Runtime) -> int:
    """Return the bytes of the longest frame between chip and peer or radio module, as buffers reckon.

    That is with all code bytes that its values may need, filled up to a group (``FRAME_ENCODED_BYTES`` of
    templates/firmware/framing.h).
    """
    frame_bytes = medium.mtu_bytes + medium.frame_overhead_bytes - medium.air_overhead_bytes
    return frame_bytes + frame_bytes // _COBS_RUN + runtime.group_bytes - 1


def answer_us(link: PlanLink, streams: int, runtime: Runtime) -> float:
    """Return how long a device waits for an answer (``firmware.sizing.answer_us``).

    ``streams``: hand-offs that the link carries.
    """
    medium, frames = link.medium, runtime.answer_wait_frames
    if medium.shared:
        frames = max(frames, runtime.window_frames * streams)
    frame_bytes = longest_frame_bytes(medium, runtime)
    rate_kbps = medium.uart_rate_kbps(link.rate_kbps)
    return frames * transfer_us(frame_bytes, rate_kbps, medium.bits_per_byte) + runtime.peer_busy_us
