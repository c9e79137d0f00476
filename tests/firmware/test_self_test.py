"""Known-answer tests at boot, on emulated devices that are whole and that are not.

Truth: ``synergyc.reference`` for the answers.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from synergyc import reference
from synergyc.emulate.board import Board
from synergyc.firmware.layout import pack_tensor
from synergyc.firmware.spec import FirmwareSpec, KnownAnswer
from synergyc.ir.types import Array
from tests.firmware.test_two_devices import SCENES, assert_equal, expected, network, power_up, results, specs

pytestmark = pytest.mark.e2e

_LIMIT_NS = 2_000_000_000


@pytest.fixture(scope="module")
def samples() -> Array:
    return np.random.default_rng(3).integers(-128, 128, (3, 3, 8, 8)).astype(np.int8)


def _spec(samples: Array, change: int = 0) -> FirmwareSpec:
    """Return the firmware of one device with the known answer to the first sample, the CRC ``change``\\ d."""
    (spec,) = specs(SCENES["one device"], samples)
    (infer,) = spec.infers
    answer = reference.run(network(), {"x": samples[:1]})["logits"][0]
    (source,), (target,) = infer.inputs, infer.outputs
    crc = zlib.crc32(np.array(pack_tensor(target.layout, answer), dtype="<u4").tobytes())
    known = KnownAnswer(pack_tensor(source.layout, samples[0]), crc ^ change)
    return replace(spec, infers=(replace(infer, known=known),))


def test_right_answers_are_reported_before_the_links_are_up(samples: Array, tmp_path: Path) -> None:
    spec = _spec(samples)
    devices = power_up([spec], tmp_path)
    devices.run_until_end()
    lines = devices.lines("wrist")
    known = spec.infers[0].known
    assert known is not None
    assert [line.kind for line in lines[:3]] == ["B", "T", "L"]
    assert lines[1].fields == (spec.infers[0].program.name, f"{known.output_crc:08x}")
    assert_equal(results(devices, "wrist"), expected(samples))


def _fails(spec: FirmwareSpec, folder: Path, damage: Callable[[Board], None]) -> None:
    devices = power_up([spec], folder)
    board = devices.board("wrist")
    damage(board)
    devices.simulation.run(_LIMIT_NS, stop=lambda: b"$F," in board.console and board.console[-1:] == b"\n")
    lines = devices.lines("wrist")
    assert [line.kind for line in lines] == ["B", "F"]
    assert lines[1].fields[:2] == ("self-test", spec.infers[0].program.name)


def test_a_wrong_answer_stops_the_device(samples: Array, tmp_path: Path) -> None:
    _fails(_spec(samples, change=1), tmp_path, lambda board: None)


def test_a_damaged_weight_stops_the_device(samples: Array, tmp_path: Path) -> None:
    """One bit of one weight in flash: the accelerator computes, and the result is wrong."""

    def damage(board: Board) -> None:
        place = board.image.symbol("weight_values").address + 4
        byte = board.chip.cpu.read_memory(place, 1)[0]
        board.chip.cpu.write_memory(place, bytes([byte ^ 0x40]))

    _fails(_spec(samples), tmp_path, damage)
