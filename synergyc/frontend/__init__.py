"""Reading models: one file for each source format, all giving a float graph."""

from synergyc.frontend.load import load_module, load_weights
from synergyc.frontend.torch_export import capture, read_exported

__all__ = ["capture", "load_module", "load_weights", "read_exported"]
