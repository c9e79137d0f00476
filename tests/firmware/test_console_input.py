"""What the firmware takes from the console: random bytes are ignored and counted, a host is answered.

Truth: ``framing.py``, and what was sent.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from synergyc.firmware.framing import Frame, FrameKind, encode_frame
from synergyc.pipeline.consoles import ConsoleReader
from tests.compilers import NEEDS_CROSS_COMPILER
from tests.firmware.test_two_devices import SCENES, power_up, specs

pytestmark = [pytest.mark.e2e, NEEDS_CROSS_COMPILER]


def test_random_and_foreign_input_is_counted_and_harms_nothing(tmp_path: Path) -> None:
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


def test_noise_does_not_delay_what_comes_after_it(tmp_path: Path) -> None:
    """A UART interrupts every fourth byte: after stray ones it has to find the ends of frames again.

    Truth: the time of the bytes on the line. Else the last ones wait for the wake timer, which has 500 Hz.
    """
    samples = np.zeros((1, 3, 8, 8), np.int8)
    devices = power_up(specs(SCENES["one device"], samples, runs=1), tmp_path)
    board = devices.board("wrist")
    devices.run_until_end()
    asked_ns = []
    for stray in (1, 2, 3):
        begin_ns = board.now_ps // 1000 + 1_000_000
        said = b"\x01" * stray + 4 * encode_frame(Frame(FrameKind.WHO))  # the first one is damaged by them
        board.feed(said, at_ns=begin_ns)
        asked_ns.append(begin_ns + len(said) * 10 * 10**9 // board.target.console_rate_bd)
        devices.simulation.run(begin_ns + 9_300_000)
    console = ConsoleReader(board)
    console.poll()
    told_ns = [item.at_ns for item in console.lines if item.line.kind == "I"]
    assert len(told_ns) == 3 * len(asked_ns)
    delays_ns = [told - asked for told, asked in zip(told_ns[2::3], asked_ns, strict=True)]
    assert max(delays_ns) < 1_000_000  # the answer before is still being sent for half of it
