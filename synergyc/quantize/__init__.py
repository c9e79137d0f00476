"""From a float graph to integers: folding, calibration, rounding."""

from synergyc.quantize.fold import fold_batch_norm
from synergyc.quantize.quantize import quantize
from synergyc.quantize.samples import quantize_input, real_input

__all__ = ["fold_batch_norm", "quantize", "quantize_input", "real_input"]
