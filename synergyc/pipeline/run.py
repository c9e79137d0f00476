"""Run a build on emulated devices and compare every result with the integer reference, bit by bit."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from synergyc.diagnostics import fail
from synergyc.emulate.board import Board
from synergyc.emulate.elf import load_elf
from synergyc.emulate.simulation import Ending, Simulation
from synergyc.emulate.wire import Wire
from synergyc.firmware.framing import ConsoleLine, parse_console_line
from synergyc.ir import store
from synergyc.ir.graph import Graph
from synergyc.ir.network import Network
from synergyc.ir.types import Array
from synergyc.manifest import AppRecord, Manifest, checked_bytes, read_manifest
from synergyc.pipeline.models import float_outputs, reference_outputs, share_right
from synergyc.pipeline.outcome import app_outcome, device_outcome
from synergyc.quantize import real_input
from synergyc.report.outcome import AppOutcome, RunOutcome
from synergyc.targets import load_board

_LINE_END = ord("\n")
RUN_LIMIT_SYMBOL = "synergy_run_limit"
_GRACE_S = 1.0
"""Virtual time for loading weights and for links to come up, beyond the time that the runs take."""
_SLACK = 20
"""How many times longer than predicted the runs may take before the emulation is given up."""


@dataclass(frozen=True, eq=False)
class Expected:
    """What an app's runs must deliver: run r replays sample ``r % len(outputs)``.

    ``outputs`` (N, *shape) by the integer reference; ``floats`` (N, *shape) by the float model; ``elements``
    maps values to bytes of the result as it is reported (see ``TensorLayout``).
    """

    outputs: Array
    floats: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64] | None
    elements: npt.NDArray[np.int64]
    result_bytes: int


@dataclass(frozen=True)
class ReportedResult:
    """A result line of a device's console: when it began, and the bytes it carried."""

    app: str
    run: int
    at_ns: int
    content: bytes


def run(
    folder: Path,
    runs: int,
    *,
    limit_s: float | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> RunOutcome:
    """Run the build in ``folder`` for ``runs`` samples of each app; ``progress`` gets the results so far.

    Raises SynergyError if the build is damaged, or the devices fault, hang or exceed ``limit_s`` seconds of
    virtual time. Wrong or missing results are no error: they are counted in the outcome.
    """
    if runs < 1:
        raise fail("runs", f"number of runs must be at least 1, not {runs}", hint="--runs 100")
    manifest = read_manifest(folder)
    expected = {app.name: expectation(folder, app, runs) for app in manifest.apps}
    simulation = _simulation(folder, manifest, runs)
    consoles = {name: ConsoleReader(board) for name, board in simulation.boards.items()}

    def reported(kind: str) -> int:
        for console in consoles.values():
            console.poll()
        progress(sum(console.count("R") for console in consoles.values()))
        return sum(console.count(kind) > 0 for console in consoles.values())

    limit_ns = _limit_ns(manifest, runs, limit_s)
    simulation.run(limit_ns, lambda: reported("L") == len(consoles)).raise_unless(Ending.STOPPED)
    before = simulation.statistics()
    simulation.run(limit_ns, lambda: reported("E") == len(consoles)).raise_unless(Ending.STOPPED)
    after = simulation.statistics()
    apps = tuple(
        _app_outcome(app, expected[app.name], consoles[app.interact["on"]].lines, runs)
        for app in manifest.apps
    )
    devices = tuple(
        device_outcome(
            device,
            manifest,
            before[device.name],
            after[device.name],
            [line for _, line in consoles[device.name].lines],
            runs,
        )
        for device in manifest.devices
    )
    return RunOutcome(apps, devices, virtual_s=simulation.now_ns / 1e9)


def expectation(folder: Path, app: AppRecord, runs: int) -> Expected:
    """Return what the first ``runs`` runs of an app must deliver; raises SynergyError for damaged files."""
    for record in (app.network, app.graph):
        checked_bytes(folder, record)
    network = store.load(folder / app.network.path, Network)
    graph = store.load(folder / app.graph.path, Graph)
    used = min(runs, app.replay_samples)
    samples = _array(checked_bytes(folder, app.samples))[:used].astype(np.int8)
    labels = None if app.labels is None else _array(checked_bytes(folder, app.labels))[:used].astype(np.int64)
    return Expected(
        outputs=reference_outputs(network, samples),
        floats=float_outputs(graph, real_input(samples)),
        labels=labels,
        elements=_array(checked_bytes(folder, app.output_elements)).astype(np.int64),
        result_bytes=app.output_bytes,
    )


class ConsoleReader:
    """Splits a board's console into checked lines, each byte once."""

    def __init__(self, board: Board) -> None:
        self.lines: list[tuple[int, ConsoleLine]] = []
        """Checked lines, each with the time in ns at which it began."""
        self._board = board
        self._position = 0
        self._partial = bytearray()
        self._began_ns = 0

    def poll(self) -> None:
        """Take what the board wrote since the last call."""
        for item in islice(self._board.console_bytes, self._position, None):
            self._position += 1
            if not self._partial:
                self._began_ns = item.at_ns
            self._partial.append(item.value)
            if item.value == _LINE_END:
                line = parse_console_line(self._partial.decode("ascii", errors="replace"))
                if line is not None:
                    self.lines.append((self._began_ns, line))
                self._partial.clear()

    def count(self, kind: str) -> int:
        """Return the number of lines of a kind so far."""
        return sum(line.kind == kind for _, line in self.lines)


def _simulation(folder: Path, manifest: Manifest, runs: int) -> Simulation:
    boards = []
    for device in manifest.devices:
        checked_bytes(folder, device.elf)
        board = Board(load_board(device.board), load_elf(folder / device.elf.path), device.name)
        board.poke(RUN_LIMIT_SYMBOL, runs.to_bytes(4, "little"))
        boards.append(board)
    wires = []
    for link in manifest.links:
        first, second = link.ends.items()
        wires.append(Wire(first, second, link.rate_kbps * 1000))
    return Simulation(boards, wires)


def _limit_ns(manifest: Manifest, runs: int, limit_s: float | None) -> int:
    if limit_s is not None:
        return int(limit_s * 1e9)
    slowest_hz = min(app.predicted.throughput_hz for app in manifest.apps)
    return int((_GRACE_S + _SLACK * runs / slowest_hz) * 1e9)


def _app_outcome(
    app: AppRecord, expected: Expected, lines: list[tuple[int, ConsoleLine]], runs: int
) -> AppOutcome:
    reported = [
        ReportedResult(line.fields[0], int(line.fields[1]), at_ns, bytes.fromhex(line.fields[2]))
        for at_ns, line in lines
        if line.kind == "R" and line.fields[0] == app.name
    ]
    right: list[bool] = []
    hits: list[bool] = []
    for item in reported:
        index = item.run % len(expected.outputs)
        values = unpack(item.content, expected, expected.outputs[index])
        right.append(values is not None and np.array_equal(values, expected.outputs[index]))
        if expected.labels is not None and values is not None:
            hits.append(int(np.argmax(values)) == int(expected.labels[index]))
    return app_outcome(
        app,
        runs=runs,
        right=right,
        at_ns=[item.at_ns for item in reported],
        delivered=len({item.run for item in reported}),
        accuracy=_accuracies(expected, hits),
    )


def unpack(content: bytes, expected: Expected, like: Array) -> Array | None:
    """Return the tensor that a result line carried, of the type and shape of ``like``; None if too short."""
    if len(content) != expected.result_bytes:
        return None
    stream = np.frombuffer(content, dtype=np.uint8)
    width = like.dtype.itemsize
    flat = np.stack([stream[expected.elements + byte] for byte in range(width)], axis=1)
    return np.ascontiguousarray(flat).view(f"<i{width}").reshape(like.shape)


def _accuracies(expected: Expected, hits: list[bool]) -> Mapping[str, float] | None:
    if expected.labels is None or not hits:
        return None
    return {
        "float": share_right(expected.floats, expected.labels),
        "reference": share_right(expected.outputs, expected.labels),
        "emulated": sum(hits) / len(hits),
    }


def _array(content: bytes) -> Array:
    array: Array = np.load(io.BytesIO(content), allow_pickle=False)
    return array
