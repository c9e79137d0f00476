"""Frames as the schedule reckons with them. Truth: the frames that hosts and devices exchange."""

from __future__ import annotations

import pytest

from synergyc.firmware.framing import Frame, FrameKind, encode_frame, encoded_bytes
from synergyc.plan.fragments import longest_frame_bytes
from synergyc.targets import load_medium, load_runtime


@pytest.mark.parametrize("medium", ["uart", "esp8266"])
def test_the_longest_frame_is_what_buffers_reckon_with(medium: str) -> None:
    data = load_medium(medium)
    longest = longest_frame_bytes(data, load_runtime())
    assert longest == encoded_bytes(data.mtu_bytes)
    for value in (b"\0", b"\1", b"\xff"):
        frame = encode_frame(Frame(FrameKind.DATA, payload=value * data.mtu_bytes))
        assert longest - 2 * load_runtime().group_bytes < len(frame) <= longest
