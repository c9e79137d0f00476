"""One model for one device, without an app file: from its source to an integer network."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from synergyc.config import ModelSource
from synergyc.diagnostics import Diagnostic, did_you_mean, fail
from synergyc.ir.graph import Graph
from synergyc.ir.network import Network
from synergyc.ir.types import Shape
from synergyc.legalize import legalize, outline, rewrite
from synergyc.pipeline.accuracy import Accuracy, measure
from synergyc.pipeline.fitting import Bits, quantize_for
from synergyc.pipeline.samples import read_calibration, read_labels, read_samples
from synergyc.pipeline.sources import Captured, check_shape, read_model, source_of
from synergyc.quantize import Calibrated
from synergyc.quantize.quantize import WEIGHT_BITS
from synergyc.quantize.widths import weight_counts
from synergyc.targets import Board, Chip, known, load_board, load_chip

if TYPE_CHECKING:
    from synergyc.pipeline.training import Labelled

_SYNTHETIC_SAMPLES = 32
_SYNTHETIC_DEVIATION = 40.0
"""Of synthetic inputs, on the sensor's scale of -128 to 127."""


@dataclass(frozen=True)
class ModelRequest:
    """What the command line says about a model.

    ``spec`` is ``file.py:Class``, ``package.module:Class`` or a file (see ``sources.source_of``).
    ``input_shape`` is without batch axis, None where the file states it. ``weights`` None: random ones,
    ``calibrate`` None: random inputs; both always the same. ``network``: the description of a checkpoint.
    """

    spec: str
    input_shape: Shape | None = None
    weights: Path | None = None
    calibrate: Path | None = None
    bits: int | str = 8
    arguments: Mapping[str, object] = field(default_factory=dict)
    """Of the class."""
    layer_bits: Mapping[str, int] = field(default_factory=dict)
    """Of single layers, by name, where they differ from ``bits``."""
    devices: int = 1
    """How many devices of one kind may share the model, where ``bits`` are ``AUTO``."""
    network: Path | None = None

    @property
    def source(self) -> ModelSource:
        """What ``spec`` names; raises SynergyError."""
        return source_of(self.spec, self.input_shape, self.weights, self.arguments, self.network)

    @property
    def name(self) -> str:
        """A name for the model: that of its class, or of its file."""
        file, _, class_name = self.spec.rpartition(":")
        stem = class_name if file else Path(self.spec).name.partition(".")[0]
        return re.sub(r"[^a-z0-9_]", "_", stem.lower()) or "model"


@dataclass(frozen=True, eq=False)
class IntegerModel:
    """A quantized model: ``captured`` is float, as it was read; ``graph`` the same, folded and rewritten.

    ``notes`` say what was assumed.
    """

    captured: Graph
    graph: Graph
    calibrated: Calibrated
    notes: tuple[str, ...]

    @property
    def integers(self) -> Graph:
        """The model in integers."""
        return self.calibrated.integers


def board_of(device: str) -> Board:
    """Return the board called ``device``, or the first with a chip of that name; raises SynergyError."""
    boards = [load_board(name) for name in known("boards")]
    for board in boards:
        if device.lower() in (board.name.lower(), board.chip.lower()):
            return board
    names = [name for board in boards for name in (board.name, board.chip)]
    raise fail("unknown-device", f"no board or chip {device!r}", hint=did_you_mean(device, names))


def capture_model(request: ModelRequest, chip: Chip | None = None) -> Captured:
    """Return the float graph of a model as it is, and what was assumed.

    ``chip``: for which a vendor's network description is read.
    """
    chip = chip or load_chip(known("chips")[-1])
    captured = read_model(request.source, request.name, chip)
    check_shape(captured, request.input_shape, Path(request.spec.partition(":")[0]))
    return captured


def quantize_model(request: ModelRequest, board: Board | None = None) -> IntegerModel:
    """Return the model in integers, calibrated with the request's data or with random inputs.

    Raises SynergyError, before it calibrates, for layers that the chip of ``board`` cannot run.
    """
    found = capture_model(request, None if board is None else load_chip(board.chip))
    captured = found.graph
    graph = rewrite(captured)
    notes = (*found.notes, *_cpu_notes(graph))
    if found.integers is not None:
        return IntegerModel(captured, graph, Calibrated(graph, found.integers), notes)
    bits = _bits(request, graph)
    if board is not None:
        known_bits = min(WEIGHT_BITS) if isinstance(bits, str) else bits
        legalize(outline(graph, known_bits), load_chip(board.chip))
    if request.calibrate is None:
        notes = (*notes, "no calibration data given: random inputs, so accuracy means nothing")
        data: npt.NDArray[np.generic] = random_inputs(graph.input.shape, _SYNTHETIC_SAMPLES, seed=0)
    else:
        data = read_calibration(request.calibrate, graph.input)
    chips = [] if board is None else [load_chip(board.chip)] * request.devices
    return IntegerModel(captured, graph, quantize_for(graph, data, bits, chips), notes)


def _cpu_notes(graph: Graph) -> Iterator[str]:
    """Yield what is left to the CPU: before the network, and after it."""
    if graph.input.preparation is not None:
        yield f"the sensor side prepares each sample: {graph.input.preparation}"
    if graph.tail:
        yield f"left to the CPU, after the network: {', '.join(map(str, graph.tail))}"


def _bits(request: ModelRequest, graph: Graph) -> Bits:
    if isinstance(request.bits, str) or not request.layer_bits:
        return request.bits
    return {**dict.fromkeys(weight_counts(graph), request.bits), **request.layer_bits}


def network_for(model: IntegerModel, board: Board) -> Network:
    """Return the model as layers for the board's chip; raises SynergyError for what the chip cannot do."""
    return legalize(model.integers, load_chip(board.chip))


def labelled_accuracy(model: IntegerModel, network: Network, samples: Path, labels: Path) -> Accuracy:
    """Return the share of right answers on labelled inputs at each stage; raises SynergyError."""
    sensed = read_samples(samples, model.graph.input)
    right = read_labels(labels, len(sensed), network.tensor(network.outputs[0]).shape)
    return measure(model.captured, model.graph, model.integers, network, sensed, right)


def read_labelled(samples: Path, labels: Path, graph: Graph) -> Labelled:
    """Return inputs, as ``graph`` reads them, with their class numbers; raises SynergyError."""
    from synergyc.pipeline.training import Labelled

    sensed = read_samples(samples, graph.input)
    right = read_labels(labels, len(sensed), graph.node(graph.output).shape)
    return Labelled(graph.input.prepared(sensed), right)


def random_inputs(shape: Shape, count: int, seed: int) -> npt.NDArray[np.int8]:
    """Return random inputs as a sensor delivers them, int8 (count, *shape)."""
    values = np.random.default_rng(seed).normal(0, _SYNTHETIC_DEVIATION, (count, *shape))
    return np.clip(np.round(values), -128, 127).astype(np.int8)


def reasons(diagnostics: tuple[Diagnostic, ...]) -> list[dict[str, str | None]]:
    """Return diagnostics as a JSON list of what stands against a model."""
    return [
        {
            "rule": item.rule,
            "layer": item.layer,
            "message": item.message,
            "need": item.need,
            "have": item.have,
            "hint": item.hint,
            "location": None if item.location is None else str(item.location),
        }
        for item in diagnostics
    ]
