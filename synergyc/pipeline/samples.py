"""Arrays of an app: samples, calibration data and labels, read and checked against the model's input."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from synergyc.diagnostics import Diagnostic, SynergyError, fail, file_location
from synergyc.ir.graph import GraphInput
from synergyc.ir.preparation import LARGEST_BYTE
from synergyc.ir.types import Array, Shape, describe_shape
from synergyc.quantize.samples import checked_calibration, quantize_input


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
    return np.round(values).astype(np.uint8) if source.reads_bytes else quantize_input(values)


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


def read_labels(path: Path, count: int, output: Shape) -> npt.NDArray[np.int64]:
    """Return the class numbers in ``path``, one for each of ``count`` samples; raises SynergyError.

    ``output`` is the shape of the model's output: it must be a list of scores, one for each class.
    """
    labels = read_array(path)
    if labels.shape != (count,) or not np.issubdtype(labels.dtype, np.integer):
        raise fail(
            "labels-shape",
            "labels must be one class number for each sample",
            location=file_location(path),
            need=f"{count} integers",
            have=f"{describe_shape(labels.shape)} of {labels.dtype}",
        )
    problems = list(label_problems(labels, output))
    if problems:
        raise SynergyError(replace(item, location=file_location(path)) for item in problems)
    return labels.astype(np.int64)


def label_problems(labels: Array, output: Shape) -> Iterator[Diagnostic]:
    """Yield what stands against comparing class numbers with an output of the shape ``output``."""
    classes = max(output)
    if classes < 2 or classes != math.prod(output):
        yield Diagnostic(
            "labels-output",
            f"labels are class numbers, and the model's output is no list of class scores:"
            f" its shape is {describe_shape(output)}",
            hint="leave the labels out",
        )
    elif len(labels) and not (labels.min() >= 0 and labels.max() < classes):
        yield Diagnostic(
            "labels-range",
            "labels must be class numbers of the model's outputs",
            need=f"0 to {classes - 1}",
            have=f"{labels.min()} to {labels.max()}",
        )
