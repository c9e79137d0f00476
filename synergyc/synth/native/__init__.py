"""The native generator: from a placed network to register values, packed weights and biases."""

from synergyc.synth.native.control import VENDOR_DEFAULTS, ControlOptions
from synergyc.synth.native.generator import ENGINE, generate, stream_buffers

__all__ = ["ENGINE", "VENDOR_DEFAULTS", "ControlOptions", "generate", "stream_buffers"]
