"""The accelerator's integer arithmetic, exact: what every later stage is compared with."""

from synergyc.reference.execute import run, run_layer, run_layers

__all__ = ["run", "run_layer", "run_layers"]
