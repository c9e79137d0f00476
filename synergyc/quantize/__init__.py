"""From a float graph to integers: folding, calibration, rounding, and training that knows of it (``qat``)."""

from synergyc.ir.fold import fold_batch_norm
from synergyc.quantize.calibrate import Calibrated, calibrate
from synergyc.quantize.equalize import equalize
from synergyc.quantize.quantize import quantize
from synergyc.quantize.samples import quantize_input, real_input

__all__ = [
    "Calibrated",
    "calibrate",
    "equalize",
    "fold_batch_norm",
    "quantize",
    "quantize_input",
    "real_input",
]
