"""What the firmware takes from the console: random bytes are ignored and counted, a host is answered.

Truth: ``framing.py``, and what was sent.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from synergyc.firmware.framing import Frame, FrameKind, encode_frame
from synergyc.toolchain import find_cross_compiler
from tests.firmware.test_two_devices import SCENES, power_up, specs

pytestmark = pytest.mark.e2e


def test_random_and_foreign_input_is_counted_and_harms_nothing(tmp_path: Path) -> None:
    find_cross_compiler()
    random = np.random.default_rng(5)
    samples = random.integers(-128, 128, (3, 3, 8, 8)).astype(np.int8)
    devices = power_up(specs(SCENES["one device"], samples, runs=200), tmp_path)
    plan = devices.specs["wrist"].plan_id
    noise = random.bytes(100) + b"\0"
    damaged = sum(bool(piece) for piece in noise.split(b"\0")) + 1
    foreign = [
        Frame(FrameKind.SAMPLE, plan=plan & 0xFFFF),  # the sensor replays
        Frame(FrameKind.SAMPLE, plan=plan & 0xFFFF, stream=9),
        Frame(FrameKind.SAMPLE, plan=plan + 1 & 0xFFFF),
        Frame(FrameKind.DATA),
        Frame(15),
    ]
    too_long = b"\x05" * 900 + b"\0"  # there is no sensor that asks for samples, so no room for any
    who = Frame(FrameKind.WHO, plan=plan + 1 & 0xFFFF)
    board = devices.board("wrist")
    board.feed(noise + too_long + b"".join(map(encode_frame, [*foreign, who])), at_ns=2_000_000)
    devices.run_until_end()
    lines = devices.lines("wrist")
    (counts,) = [line for line in lines if line.kind == "S" and line.fields[0] == "console"]
    assert counts.fields[1:] == (str(damaged), str(len(foreign)), "0")
    (identity,) = [line for line in lines if line.kind == "I"]
    assert identity.fields[:2] == ("wrist", f"{plan:08x}")
    assert len([line for line in lines if line.kind == "R"]) == 200
