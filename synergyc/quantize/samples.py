"""Input samples: real values in [-1, 1) and the 8-bit integers that a sensor delivers for them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from synergyc.diagnostics import Diagnostic, SynergyError, fail
from synergyc.ir.types import Array, Shape, describe_shape

INPUT_FRACTION_BITS = 7
"""Inputs are real values in [-1, 1) times 128 (ai8x-training README, "Data Format for Training")."""


def quantize_input(values: Array) -> npt.NDArray[np.int8]:
    """Return real values as int8: ``floor(128 * x + 1/2)``, clipped to [-128, 127].

    Raises SynergyError for NaN.
    """
    if np.isnan(values).any():
        raise fail("input-value", "input values must be numbers, not NaN")
    scaled = np.floor(values.astype(np.float64) * (1 << INPUT_FRACTION_BITS) + 0.5)
    return np.clip(scaled, -128, 127).astype(np.int8)


def real_input(values: Array) -> npt.NDArray[np.float32]:
    """Return int8 samples as the real values they stand for, float32; floating-point ones as they are."""
    if np.issubdtype(values.dtype, np.integer):
        return (values / (1 << INPUT_FRACTION_BITS)).astype(np.float32)
    return values.astype(np.float32)


def checked_calibration(values: Array, shape: Shape) -> Array:
    """Return calibration inputs (N, *shape) as float32; raises SynergyError for what cannot calibrate."""
    if not (np.issubdtype(values.dtype, np.floating) or values.dtype == np.int8):
        raise fail("calibration", f"calibration data must be floating-point or int8, not {values.dtype}")
    problems = []
    if values.shape[1:] != shape:
        problems.append(
            Diagnostic(
                "calibration",
                "calibration data has a wrong shape",
                need=f"N x {describe_shape(shape)}",
                have=describe_shape(values.shape),
            )
        )
    if len(values) == 0 if values.ndim else True:
        problems.append(
            Diagnostic("calibration", "calibration data is empty", hint="about 100 typical inputs are enough")
        )
    if not np.isfinite(values).all():
        problems.append(Diagnostic("calibration", "calibration data must be finite, not NaN or infinite"))
    elif values.size and np.issubdtype(values.dtype, np.floating) and np.abs(values).max() > 1:
        problems.append(
            Diagnostic(
                "calibration",
                "calibration data must lie in [-1, 1]",
                need="-1 to 1",
                have=f"{values.min():g} to {values.max():g}",
                hint="scale inputs as in training; the accelerator's input is 8-bit with 7 fraction bits",
            )
        )
    if problems:
        raise SynergyError(problems)
    return real_input(values)
