"""One model for one device, without an app file: from its source to an integer network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from synergyc import quantize
from synergyc.diagnostics import Diagnostic, did_you_mean, fail, file_location
from synergyc.ir import store
from synergyc.ir.graph import Graph
from synergyc.ir.network import Network
from synergyc.ir.types import Shape
from synergyc.legalize import legalize, outline, rewrite
from synergyc.pipeline.models import Accuracy, measured_accuracy, read_calibration, read_labels, read_samples
from synergyc.targets import Board, known, load_board, load_chip

_SYNTHETIC_SAMPLES = 32
_SYNTHETIC_DEVIATION = 40.0
"""Of synthetic inputs, on the sensor's scale of -128 to 127."""


@dataclass(frozen=True)
class ModelRequest:
    """What the command line says about a model.

    ``spec`` is ``file.py:Class`` or ``package.module:Class``. ``input_shape`` is without batch axis.
    ``weights`` None: random ones, ``calibrate`` None: random inputs; both always the same.
    """

    spec: str
    input_shape: Shape
    weights: Path | None = None
    calibrate: Path | None = None
    bits: int | Mapping[str, int] = 8
    arguments: Mapping[str, object] = field(default_factory=dict)
    """Of the class."""


@dataclass(frozen=True, eq=False)
class IntegerModel:
    """A quantized model: ``graph`` is float, folded; ``integers`` are the same in integers.

    ``notes`` say what was assumed.
    """

    graph: Graph
    integers: Graph
    notes: tuple[str, ...]


def board_of(device: str) -> Board:
    """Return the board called ``device``, or the first with a chip of that name; raises SynergyError."""
    boards = [load_board(name) for name in known("boards")]
    for board in boards:
        if device.lower() in (board.name.lower(), board.chip.lower()):
            return board
    names = [name for board in boards for name in (board.name, board.chip)]
    raise fail("unknown-device", f"no board or chip {device!r}", hint=did_you_mean(device, names))


def capture_model(request: ModelRequest) -> tuple[Graph, tuple[str, ...]]:
    """Return the float graph of a model, batch normalization folded, and notes about what was assumed."""
    import torch

    from synergyc import frontend

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = frontend.load_module(request.spec, Path(), request.arguments)
    notes = []
    if request.weights is None:
        notes.append("no weights given: the class's own initial weights, from a fixed random seed")
    else:
        frontend.load_weights(module, request.weights)
    name = request.spec.rpartition(":")[2].lower()
    return rewrite(frontend.capture(module, request.input_shape, name)), tuple(notes)


def quantize_model(request: ModelRequest, board: Board | None = None) -> IntegerModel:
    """Return the model in integers, calibrated with the request's data or with random inputs.

    Raises SynergyError, before it calibrates, for layers that the chip of ``board`` cannot run.
    """
    graph, notes = capture_model(request)
    if board is not None:
        legalize(outline(graph, request.bits), load_chip(board.chip))
    if request.calibrate is None:
        notes = (*notes, "no calibration data given: random inputs, so accuracy means nothing")
        data: npt.NDArray[np.generic] = random_inputs(graph.input.shape, _SYNTHETIC_SAMPLES, seed=0)
    else:
        data = read_calibration(request.calibrate, graph.input)
    return IntegerModel(graph, quantize.quantize(graph, data, request.bits), notes)


def network_for(model: IntegerModel, board: Board) -> Network:
    """Return the model as layers for the board's chip; raises SynergyError for what the chip cannot do."""
    return legalize(model.integers, load_chip(board.chip))


def labelled_accuracy(model: IntegerModel, network: Network, samples: Path, labels: Path) -> Accuracy:
    """Return the share of right answers on labelled inputs, float and integer; raises SynergyError."""
    inputs = read_samples(samples, model.graph.input)
    accuracy = measured_accuracy(model.graph, network, inputs, read_labels(labels, len(inputs)))
    if accuracy is None:
        raise fail("accuracy", "accuracy needs a model with at least two outputs")
    return accuracy


def write_network(network: Network, path: Path) -> None:
    """Write ``network`` as safetensors; raises SynergyError if that is not possible."""
    try:
        path.write_bytes(store.dump(network))
    except OSError as error:
        raise fail(
            "output", f"file cannot be written: {error.strerror}", location=file_location(path)
        ) from error


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
