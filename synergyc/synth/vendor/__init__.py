"""The vendor tool's own input: YAML network, checkpoint, sample, options."""

from synergyc.synth.vendor.options import VendorOptions, parse_options
from synergyc.synth.vendor.reader import VendorNetwork, read_vendor

__all__ = ["VendorNetwork", "VendorOptions", "parse_options", "read_vendor"]
