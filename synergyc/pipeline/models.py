"""From an app's model to its integer network: capture, fold, calibrate, legalize, and what it is worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from synergyc.config import App, CheckpointModel, ModuleModel
from synergyc.diagnostics import SynergyError, fail
from synergyc.ir.graph import Graph
from synergyc.ir.network import Network
from synergyc.ir.types import Shape
from synergyc.legalize import legalize, outline, rewrite
from synergyc.pipeline.accuracy import Accuracy, measure
from synergyc.pipeline.fitting import quantize_for
from synergyc.pipeline.integer_files import read_trained
from synergyc.pipeline.samples import read_array, read_calibration, read_labels, read_samples
from synergyc.pipeline.sources import read_model
from synergyc.targets import Chip


@dataclass(frozen=True, eq=False)
class PreparedModel:
    """An app's model in its two forms, with the samples that check it.

    ``graph`` is float with batch normalization folded, ``captured`` the same before that, ``integers`` the
    quantized graph; ``sensed`` are samples as the sensor delivers them, int8 (N, *shape of the sensor);
    ``labels`` are class numbers (N,).
    """

    app: str
    captured: Graph
    graph: Graph
    integers: Graph
    network: Network
    sensed: npt.NDArray[np.int8]
    labels: npt.NDArray[np.int64] | None = None

    @cached_property
    def accuracy(self) -> Accuracy | None:
        """What its forms get right, None without labels; it takes a run of all samples."""
        if self.labels is None:
            return None
        return measure(self.captured, self.graph, self.integers, self.network, self.sensed, self.labels)

    @cached_property
    def samples(self) -> npt.NDArray[np.int8]:
        """Samples as the network reads them, int8 (N, *input shape)."""
        return self.graph.input.prepared(self.sensed)


def prepare(app: App, chips: Sequence[Chip]) -> PreparedModel:
    """Return the integer network of ``app`` and its samples; raises SynergyError for what is wrong with them.

    Layers must be legal on at least one of ``chips``; whether a segment fits on a device is the planner's
    question.
    """
    captured = read_model(app.model, app.name, chips[0], _samples_shape(app))
    graph = rewrite(captured.graph)
    if captured.integers is not None:
        integers = captured.integers
    else:
        if app.quantize is not None and not isinstance(app.quantize.bits, str):
            legalize_for(outline(graph, app.quantize.bits), chips)  # before calibration, which may take long
        integers = quantized(app, graph, chips)
    network = legalize_for(integers, chips)
    sensed = _sensed(app, graph)
    output = network.tensor(network.outputs[0]).shape
    labels = None if app.labels is None else read_labels(app.labels, len(sensed), output)
    return PreparedModel(app.name, captured.graph, graph, integers, network, sensed, labels)


def _samples_shape(app: App) -> Shape | None:
    """Return the shape of one sample, for models that do not state that of their input."""
    if isinstance(app.model, CheckpointModel):
        return None if app.samples is None else tuple(read_array(app.samples).shape[1:])
    if isinstance(app.model, ModuleModel) and app.quantize is not None and app.quantize.calibrate is not None:
        return tuple(read_array(app.quantize.calibrate).shape[1:])
    return None


def quantized(app: App, graph: Graph, chips: Sequence[Chip]) -> Graph:
    """Return ``graph`` in integers: as trained, or calibrated with the app's own data.

    ``chips`` are those that may share the model (for widths that are chosen automatically).
    """
    if app.quantize is None:
        raise fail(
            "no-calibration",
            f"app {app.name!r} needs calibration data",
            hint="quantize: {calibrate: inputs.npy}",
        )
    if app.quantize.trained is not None:
        return read_trained(app.quantize.trained, graph)
    if app.quantize.calibrate is None:
        raise ValueError("quantize must name calibration data or trained integers")
    calibration = read_calibration(app.quantize.calibrate, graph.input)
    return quantize_for(graph, calibration, app.quantize.bits, chips).integers


def legalize_for(graph: Graph, chips: Sequence[Chip]) -> Network:
    """Return the integer graph as a network whose layers are legal on one of ``chips``, first come."""
    problems: SynergyError | None = None
    for chip in {chip.name: chip for chip in chips}.values():
        try:
            return legalize(graph, chip)
        except SynergyError as error:
            problems = problems or error
    if problems is None:
        raise ValueError("chips must not be empty")
    raise problems


def _sensed(app: App, graph: Graph) -> npt.NDArray[np.int8]:
    if app.samples is None:
        raise fail(
            "no-samples",
            f"app {app.name!r} needs samples that its replay sensor delivers",
            hint="samples: test.npy with int8 or float values of shape (N, channels, height, width)",
        )
    return read_samples(app.samples, graph.input)
