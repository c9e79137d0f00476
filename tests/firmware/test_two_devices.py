"""Whole firmware on emulated devices: a network cut once, results compared with the reference executor.

Truth: ``synergyc.reference`` on the uncut network. The devices run the very ELF files of the build.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
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
from synergyc.firmware.layout import pack_tensor, unpack_tensor
from synergyc.firmware.sizing import may_stay
from synergyc.firmware.spec import FirmwareSpec, Storage, Wire
from synergyc.ir.network import Layer, LayerOp, Network, Tensor
from synergyc.ir.types import Activation, Array, Pool, PoolKind
from synergyc.plan.types import AppPlan, HandOff, Plan, Prediction, Segment
from synergyc.synth.native.generator import generate
from synergyc.synth.program import Program
from synergyc.synth.resident import place_resident
from synergyc.targets import load_board, load_chip, load_medium
from tests.compilers import require_cross_compiler

pytestmark = pytest.mark.e2e

RUNS = 4
_TIME_LIMIT_NS = 8_000_000_000


def network(side: int = 8) -> Network:
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

    conv1 = conv("conv1", "x", 3, side, 12, None)
    conv2 = conv("conv2", "conv1", 12, side, 8, Pool(PoolKind.MAX, (2, 2), 2))
    last = Layer(
        "logits",
        LayerOp.LINEAR,
        ("conv2",),
        Tensor("logits", (6, 1, 1), 0, 32),
        (8, side // 2, side // 2),
        weight=chance.integers(-128, 128, (6, 8 * side * side // 4, 1, 1)).astype(np.int8),
        flatten=True,
    )
    return Network("net", (Tensor("x", (3, side, side), 0),), (conv1, conv2, last), ("logits",))


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
    programs: dict[str, Program] = {}
    for name, board in boards.items():
        chip = load_chip(board.chip)
        mine = [segment for segment in segments if segment.device == name]
        placed = place_resident([net.segment(item.first, item.last) for item in mine], chip)
        programs |= {item.name: generate(place, chip) for item, place in zip(mine, placed, strict=True)}
    path = [scene.sense, *(segment.device for segment in segments), scene.interact]
    steps = [pair for pair in itertools.pairwise(path) if pair[0] != pair[1]]
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


@dataclass(frozen=True)
class Devices:
    """Devices with their firmware, joined by emulated wires."""

    simulation: Simulation
    specs: Mapping[str, FirmwareSpec]

    def board(self, name: str) -> Board:
        return self.simulation.boards[name]

    def run_until_end(self, *names: str) -> None:
        """Run until the named devices (all by default) have said their end."""
        boards = [self.board(name) for name in names or self.specs]
        self.simulation.run(
            _TIME_LIMIT_NS, stop=lambda: all(_has_ended(board) for board in boards)
        ).raise_unless(Ending.STOPPED)

    def lines(self, name: str) -> list[ConsoleLine]:
        """Return the lines of a device's console; all must be right."""
        text = self.board(name).console.decode("ascii")
        parsed = [parse_console_line(line) for line in text.splitlines() if line]
        assert None not in parsed, text
        return [line for line in parsed if line is not None]

    def counts(self, name: str, what: str) -> list[int]:
        """Return the numbers of a statistics line about a link: ``send``, ``receive`` or ``link``."""
        line = next(x for x in self.lines(name) if x.kind == "S" and x.fields[0] == what)
        return [int(field) for field in line.fields[2:]]


def power_up(
    specs: Iterable[FirmwareSpec], folder: Path, *, corrupt: float = 0.0, loss: float = 0.0
) -> Devices:
    """Build the firmware of all devices and put it on emulated boards."""
    by_name = {spec.device: spec for spec in specs}
    images = {name: build(spec, folder / name).elf for name, spec in by_name.items()}
    return join(by_name, images, corrupt=corrupt, loss=loss)


def join(
    by_name: Mapping[str, FirmwareSpec],
    images: Mapping[str, Path],
    *,
    corrupt: float = 0.0,
    loss: float = 0.0,
) -> Devices:
    """Put each device's image (an ELF file) on an emulated board, and wire the boards as the specs say."""
    boards = [Board(spec.board, load_elf(images[name]), name) for name, spec in by_name.items()]
    wires = []
    for name, spec in by_name.items():
        for link in spec.links:
            if name < link.peer:
                other = next(end for end in by_name[link.peer].links if end.name == link.name)
                faults = (RandomFaults(1, loss, corrupt), RandomFaults(2, loss, corrupt))
                wires.append(EmulatedWire((name, link.uart), (link.peer, other.uart), link.rate_bd, faults))
    return Devices(Simulation(boards, wires), by_name)


def _has_ended(board: Board) -> bool:
    return b"$E," in board.console[-40:] and board.console.endswith(b"\n")


def results(devices: Devices, name: str) -> dict[int, Array]:
    (layout,) = devices.specs[name].interacts[0].layouts
    return {
        int(line.fields[1]): unpack_tensor(layout, bytes.fromhex(line.fields[2]))
        for line in devices.lines(name)
        if line.kind == "R"
    }


def expected(samples: Array) -> dict[int, Array]:
    logits = reference.run(network(), {"x": samples})["logits"]
    return {run: logits[run % len(samples)] for run in range(RUNS)}


@pytest.fixture(scope="module", autouse=True)
def _needs_compiler() -> None:
    require_cross_compiler()


@pytest.fixture(scope="module")
def samples() -> Array:
    return np.random.default_rng(3).integers(-128, 128, (3, 3, 8, 8)).astype(np.int8)


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
    devices = power_up(specs(scene, samples), tmp_path)
    devices.run_until_end()
    assert_equal(results(devices, scene.interact), expected(samples))


def test_results_that_stay_in_the_accelerator_are_those_of_the_reference(
    samples: Array, tmp_path: Path
) -> None:
    """As if RAM were too small: the console, slower than inferences, reads each result where it is."""
    scene, runs = Scene({"wrist": "max78000fthr"}, "wrist", (("wrist", 0, 1),), "wrist"), 12
    devices = power_up([_with_kept_results(spec) for spec in specs(scene, samples, runs)], tmp_path)
    devices.run_until_end()
    maps = reference.run(network().segment(0, 1), {"x": samples})["conv2"]
    assert_equal(results(devices, "wrist"), {run: maps[run % len(samples)] for run in range(runs)})


def test_a_kept_result_of_one_segment_holds_back_the_other(samples: Array, tmp_path: Path) -> None:
    scene = SCENES["two segments on one accelerator"]
    devices = power_up([_with_kept_results(spec) for spec in specs(scene, samples)], tmp_path)
    devices.run_until_end()
    assert_equal(results(devices, scene.interact), expected(samples))


def _with_kept_results(spec: FirmwareSpec) -> FirmwareSpec:
    queues = (
        replace(queue, depth=1, storage=Storage.ACCELERATOR) if may_stay(spec, queue) else queue
        for queue in spec.queues
    )
    return replace(spec, queues=tuple(queues))


def test_results_are_right_over_a_bad_wire(samples: Array, tmp_path: Path) -> None:
    """About one frame in five is damaged or incomplete."""
    devices = power_up(specs(SCENES["cut once"], samples), tmp_path, corrupt=0.0006, loss=0.0002)
    devices.run_until_end()
    assert_equal(results(devices, "wrist"), expected(samples))
    _, tensors, dropped, _, resent = devices.counts("chest", "send")
    assert (tensors, dropped) == (RUNS, 0)
    assert resent > 0
    damaged, _, _ = devices.counts("wrist", "wire")
    assert damaged > 0


def test_runs_for_a_dead_device_are_dropped_and_counted(samples: Array, tmp_path: Path) -> None:
    devices = power_up(specs(SCENES["cut once"], samples), tmp_path)
    wrist = devices.board("wrist")
    devices.simulation.run(_TIME_LIMIT_NS, stop=lambda: b"$R,app,1," in wrist.console)
    devices.simulation.drop("wrist")
    devices.run_until_end("chest")
    _, tensors, dropped, *_ = devices.counts("chest", "send")
    assert tensors >= 1
    assert tensors + dropped == RUNS


def test_a_host_may_change_samples_and_the_number_of_runs(samples: Array, tmp_path: Path) -> None:
    (spec,) = specs(SCENES["one device"], samples, runs=0)
    devices = power_up([spec], tmp_path)
    board = devices.board("wrist")
    sense = spec.senses[0]
    packed = [pack_tensor(sense.layout, sample) for sample in samples[:0:-1]]
    board.poke(
        "synergy_samples_app", b"".join(word.to_bytes(4, "little") for words in packed for word in words)
    )
    board.poke("synergy_sample_count_app", (2).to_bytes(4, "little"))
    board.poke("synergy_run_limit", (4).to_bytes(4, "little"))
    devices.run_until_end()
    logits = reference.run(network(), {"x": samples})["logits"]
    assert_equal(results(devices, "wrist"), {run: logits[2 - run % 2] for run in range(4)})


def test_random_bytes_on_the_console_change_nothing(samples: Array, tmp_path: Path) -> None:
    devices = power_up(specs(SCENES["one device"], samples), tmp_path)
    noise = np.random.default_rng(5).bytes(2000)
    devices.board("wrist").feed(noise, 1_000_000)
    devices.run_until_end()
    assert_equal(results(devices, "wrist"), expected(samples))


def test_a_fault_is_reported_with_its_place(samples: Array, tmp_path: Path) -> None:
    devices = power_up(specs(SCENES["one device"], samples), tmp_path)
    board = devices.board("wrist")
    place = board.image.symbol("cnn_load_input").address & ~1
    board.chip.cpu.write_memory(place, b"\x00\xde")  # UDF: an instruction that is never defined
    devices.simulation.run(_TIME_LIMIT_NS, stop=lambda: _fatal_line_is_complete(board))
    assert devices.lines("wrist")[-1] == ConsoleLine("F", ("fault", "wrist", f"{place:08x}"))


def test_a_stack_that_runs_over_harms_no_other_memory(samples: Array, tmp_path: Path) -> None:
    """It lies where SRAM begins: what is below is no memory, and the chip, as the emulator, stops at it."""
    devices = power_up(specs(SCENES["one device"], samples), tmp_path)
    board = devices.board("wrist")
    place = board.image.symbol("cnn_load_input").address & ~1
    board.chip.cpu.write_memory(place, 6 * b"\xff\xb0" + b"\x01\xb4")  # SUB SP, #508; PUSH {r0}
    outcome = devices.simulation.run(_TIME_LIMIT_NS)
    assert outcome.ending is Ending.HALT
    assert "write of memory that is not there" in outcome.report


def test_an_accelerator_that_never_ends_is_reported(samples: Array, tmp_path: Path) -> None:
    """The program's start is taken away."""
    (spec,) = specs(SCENES["one device"], samples)
    infer = spec.infers[0]
    program = replace(infer.program, start=infer.program.start[:-1])
    devices = power_up([replace(spec, infers=(replace(infer, program=program),))], tmp_path)
    board = devices.board("wrist")
    devices.simulation.run(_TIME_LIMIT_NS, stop=lambda: _fatal_line_is_complete(board))
    assert devices.lines("wrist")[-1] == ConsoleLine("F", ("inference", infer.program.name, "00000000"))


def _fatal_line_is_complete(board: Board) -> bool:
    _, mark, rest = board.console.partition(b"$F,")
    return bool(mark) and b"\n" in rest


def assert_equal(found: Mapping[int, Array], wanted: Mapping[int, Array]) -> None:
    assert sorted(found) == sorted(wanted)
    for run, result in wanted.items():
        np.testing.assert_array_equal(found[run], result, err_msg=f"run {run}")
