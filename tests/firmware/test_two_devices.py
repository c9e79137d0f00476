"""Whole firmware on emulated devices: a network cut once, results compared with the reference executor.

Truth: ``synergyc.reference`` on the uncut network. The devices run the very ELF files of the build.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from synergyc import reference
from synergyc.emulate.board import Board
from synergyc.emulate.elf import load_elf
from synergyc.emulate.simulation import Ending, Simulation
from synergyc.emulate.wire import RandomFaults
from synergyc.emulate.wire import Wire as EmulatedWire
from synergyc.firmware.assign import assign
from synergyc.firmware.build import build
from synergyc.firmware.framing import ConsoleLine, parse_console_line
from synergyc.firmware.layout import unpack_tensor
from synergyc.firmware.spec import FirmwareSpec, Wire
from synergyc.ir.network import Layer, LayerOp, Network, Tensor
from synergyc.ir.types import Activation, Array, Pool, PoolKind
from synergyc.plan.types import AppPlan, HandOff, Plan, Prediction, Segment
from synergyc.synth.native.generator import generate
from synergyc.synth.placement import place
from synergyc.targets import load_board, load_chip, load_medium
from synergyc.toolchain import find_cross_compiler

pytestmark = pytest.mark.e2e

RUNS = 5
_TIME_LIMIT_NS = 8_000_000_000


def network() -> Network:
    """Return three layers: two convolutions, the second one pooled, and a classifier with 32-bit results."""
    chance = np.random.default_rng(7)

    def conv(name: str, source: str, channels: int, size: int, out: int, pool: Pool | None) -> Layer:
        side = size // (pool.stride if pool else 1)
        return Layer(
            name,
            LayerOp.CONV2D,
            (source,),
            Tensor(name, (out, side, side), 0),
            (channels, size, size),
            kernel=(3, 3),
            padding=(1, 1),
            weight=chance.integers(-128, 128, (out, channels, 3, 3)).astype(np.int8),
            bias=chance.integers(-128, 128, out).astype(np.int8),
            output_shift=-2,
            pool=pool,
            activation=Activation.RELU,
        )

    conv1 = conv("conv1", "x", 3, 12, 20, None)
    conv2 = conv("conv2", "conv1", 20, 12, 8, Pool(PoolKind.MAX, (2, 2), 2))
    last = Layer(
        "logits",
        LayerOp.LINEAR,
        ("conv2",),
        Tensor("logits", (6, 1, 1), 0, 32),
        (8, 6, 6),
        weight=chance.integers(-128, 128, (6, 8 * 36, 1, 1)).astype(np.int8),
        flatten=True,
    )
    return Network("net", (Tensor("x", (3, 12, 12), 0),), (conv1, conv2, last), ("logits",))


@dataclass(frozen=True)
class Scene:
    """Who does what: devices with their boards, segments as (device, first, last), and the wires."""

    boards: Mapping[str, str]
    sense: str
    segments: tuple[tuple[str, int, int], ...]
    interact: str
    wires: tuple[tuple[str, str], ...] = ()


def specs(scene: Scene, samples: Array, runs: int = RUNS) -> tuple[FirmwareSpec, ...]:
    net = network()
    segments = tuple(
        Segment("app", index, device, first, last)
        for index, (device, first, last) in enumerate(scene.segments)
    )
    boards = {name: load_board(board) for name, board in scene.boards.items()}
    programs = {}
    for segment in segments:
        chip = load_chip(boards[segment.device].chip)
        programs[segment.name] = generate(place(net.segment(segment.first, segment.last), chip), chip)
    path = [scene.sense, *(segment.device for segment in segments), scene.interact]
    steps = [pair for pair in zip(path, path[1:], strict=False) if pair[0] != pair[1]]
    hand_offs = tuple(
        HandOff("app", index, source, target, _link(scene, source, target), (), 0)
        for index, (source, target) in enumerate(steps)
    )
    plan = Plan(
        (AppPlan("app", scene.sense, scene.interact, segments, hand_offs, Prediction(1, 1, "", {})),),
        "throughput",
        "hand",
        1,
    )
    wires = [Wire("-".join(ends), ends, load_medium("uart"), 921.6) for ends in scene.wires]
    return assign(plan, programs, boards, wires, {"app": samples}, run_limit=runs)


def _link(scene: Scene, source: str, target: str) -> str:
    return next("-".join(ends) for ends in scene.wires if {source, target} == set(ends))


def emulate(
    built: Iterable[tuple[FirmwareSpec, Path]], *, corrupt: float = 0.0, loss: float = 0.0
) -> dict[str, list[ConsoleLine]]:
    """Run the devices until each has said its end; return the checked lines of each console."""
    boards = {spec.device: (spec, Board(spec.board, load_elf(elf), spec.device)) for spec, elf in built}
    wires = []
    for name, (spec, _) in boards.items():
        for link in spec.links:
            if name < link.peer:
                other = next(end for end in boards[link.peer][0].links if end.name == link.name)
                faults = (RandomFaults(1, loss, corrupt), RandomFaults(2, loss, corrupt))
                wires.append(
                    EmulatedWire((name, link.uart), (link.peer, other.uart), link.rate_bd, faults)
                )
    simulation = Simulation([board for _, board in boards.values()], wires)
    simulation.run(
        _TIME_LIMIT_NS, stop=lambda: all(_has_ended(board) for _, board in boards.values())
    ).raise_unless(Ending.STOPPED)
    return {name: lines(board.console) for name, (_, board) in boards.items()}


def _has_ended(board: Board) -> bool:
    return b"$E," in board.console[-40:] and board.console.endswith(b"\n")


def lines(console: bytes) -> list[ConsoleLine]:
    parsed = [parse_console_line(line) for line in console.decode("ascii").splitlines()]
    assert None not in parsed, console.decode("ascii")
    return [line for line in parsed if line is not None]


def results(spec: FirmwareSpec, console: list[ConsoleLine]) -> dict[int, Array]:
    (layout,) = spec.interacts[0].layouts
    return {
        int(line.fields[1]): unpack_tensor(layout, bytes.fromhex(line.fields[2]))
        for line in console
        if line.kind == "R"
    }


def expected(samples: Array) -> dict[int, Array]:
    logits = reference.run(network(), {"x": samples})["logits"]
    return {run: logits[run % len(samples)] for run in range(RUNS)}


@pytest.fixture(scope="module", autouse=True)
def _needs_compiler() -> None:
    find_cross_compiler()


@pytest.fixture(scope="module")
def samples() -> Array:
    return np.random.default_rng(3).integers(-128, 128, (3, 3, 12, 12)).astype(np.int8)


SCENES = {
    "one device": Scene({"wrist": "max78000fthr"}, "wrist", (("wrist", 0, 2),), "wrist"),
    "cut once": Scene(
        {"chest": "max78000fthr", "wrist": "max78000fthr"},
        "chest",
        (("chest", 0, 0), ("wrist", 1, 2)),
        "wrist",
        (("chest", "wrist"),),
    ),
    "there and back": Scene(
        {"hub": "max78002evkit", "wrist": "max78000fthr"},
        "wrist",
        (("wrist", 0, 1), ("hub", 2, 2)),
        "wrist",
        (("hub", "wrist"),),
    ),
    "sensor and display of their own": Scene(
        {"chest": "max78000fthr", "hub": "max78002evkit", "wrist": "max78000fthr"},
        "chest",
        (("hub", 0, 2),),
        "wrist",
        (("chest", "hub"), ("hub", "wrist")),
    ),
    "two segments on one accelerator": Scene(
        {"chest": "max78000fthr", "hub": "max78002evkit"},
        "chest",
        (("chest", 0, 0), ("hub", 1, 1), ("chest", 2, 2)),
        "chest",
        (("chest", "hub"),),
    ),
}


@pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES)
def test_results_are_those_of_the_reference(scene: Scene, samples: Array, tmp_path: Path) -> None:
    made = specs(scene, samples)
    consoles = emulate((spec, build(spec, tmp_path / spec.device).elf) for spec in made)
    spec = next(spec for spec in made if spec.interacts)
    assert_equal(results(spec, consoles[spec.device]), expected(samples))


def assert_equal(found: Mapping[int, Array], wanted: Mapping[int, Array]) -> None:
    assert sorted(found) == sorted(wanted)
    for run, result in wanted.items():
        np.testing.assert_array_equal(found[run], result, err_msg=f"run {run}")
