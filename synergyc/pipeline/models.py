"""From an app's model to its integer network: capture, fold, calibrate, legalize, and what it is worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from synergyc import quantize, reference
from synergyc.config import App, CheckpointModel, ModuleModel
from synergyc.diagnostics import SynergyError, fail, file_location
from synergyc.ir.graph import Graph, GraphInput
from synergyc.ir.network import Network
from synergyc.ir.preparation import LARGEST_BYTE
from synergyc.ir.types import Array, Shape, describe_shape
from synergyc.legalize import legalize, outline, rewrite
from synergyc.pipeline.accuracy import BATCH, Accuracy, measure
from synergyc.pipeline.fitting import quantize_for
from synergyc.pipeline.integer_files import read_trained
from synergyc.pipeline.sources import read_model
from synergyc.quantize.samples import checked_calibration
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
    labels = None if app.labels is None else read_labels(app.labels, len(sensed))
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


def reference_outputs(network: Network, samples: npt.NDArray[np.int8]) -> Array:
    """Return the network's single output (N, *shape), int8 or int32, for int8 samples."""
    name = network.inputs[0].name
    batches = [samples[start : start + BATCH] for start in range(0, len(samples), BATCH)]
    return np.concatenate([reference.run(network, {name: batch})[network.outputs[0]] for batch in batches])


def read_array(path: Path) -> Array:
    """Read a ``.npy`` file without executing anything in it; raises SynergyError if it is damaged."""
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        if "pickle" in reason:  # numpy then advises to execute them
            reason = "it has another format, or holds Python objects"
        raise fail(
            "array-file", f"not a readable .npy file: {reason}", location=file_location(path)
        ) from error
    if not isinstance(array, np.ndarray):
        raise fail("array-file", "file must hold one array, not an archive", location=file_location(path))
    return array


def _sensed(app: App, graph: Graph) -> npt.NDArray[np.int8]:
    if app.samples is None:
        raise fail(
            "no-samples",
            f"app {app.name!r} needs samples that its replay sensor delivers",
            hint="samples: test.npy with int8 or float values of shape (N, channels, height, width)",
        )
    return read_samples(app.samples, graph.input)


def read_samples(path: Path, source: GraphInput) -> npt.NDArray[np.int8]:
    """Return the inputs in ``path`` as a sensor delivers them, int8 (N, *shape); raises SynergyError.

    That is before the preparation that ``source`` may ask for.
    """
    values, shape = read_array(path), source.source_shape
    if values.ndim == 0 or values.shape[1:] != shape or not len(values):
        raise fail(
            "samples-shape",
            "samples have a wrong shape",
            location=file_location(path),
            need=f"N x {describe_shape(shape)}, N at least 1",
            have=describe_shape(values.shape),
        )
    kind = np.uint8 if source.reads_bytes else np.int8
    if values.dtype == kind:
        return values
    if not np.issubdtype(values.dtype, np.floating):
        raise fail(
            "samples-type",
            f"samples must be {kind.__name__} or floating-point, not {values.dtype}",
            location=file_location(path),
        )
    lowest, highest = (0.0, LARGEST_BYTE) if source.reads_bytes else (-1.0, 1.0)
    if not (lowest <= values.min() and values.max() <= highest):  # NaN neither
        raise fail(
            "samples-value",
            f"samples must lie in [{lowest:g}, {highest:g}]",
            location=file_location(path),
            need=f"{lowest:g} to {highest:g}",
            have=f"{values.min():g} to {values.max():g}",
            hint="prepare samples as calibration data, as in training",
        )
    return np.round(values).astype(np.uint8) if source.reads_bytes else quantize.quantize_input(values)


def read_calibration(path: Path, source: GraphInput) -> Array:
    """Return calibration data in ``path`` as the network reads it, float32; raises SynergyError."""
    values, shape = read_array(path), source.source_shape
    if values.shape[1:] == shape:
        values, shape = source.prepared(values), source.shape
    try:
        return checked_calibration(values, shape)
    except SynergyError as error:
        place = file_location(path)
        raise SynergyError(replace(item, location=place) for item in error.diagnostics) from error


def read_labels(path: Path, count: int) -> npt.NDArray[np.int64]:
    """Return the class numbers in ``path``, one for each of ``count`` samples; raises SynergyError."""
    labels = read_array(path)
    if labels.shape != (count,) or not np.issubdtype(labels.dtype, np.integer):
        raise fail(
            "labels-shape",
            "labels must be one class number for each sample",
            location=file_location(path),
            need=f"{count} integers",
            have=f"{describe_shape(labels.shape)} of {labels.dtype}",
        )
    return labels.astype(np.int64)
