"""From the vendor tool's files to a placed network: same processors, offsets, slots and bias bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from synergyc.diagnostics import SynergyError, fail, file_location
from synergyc.ir.types import Array
from synergyc.synth.native.control import ControlOptions
from synergyc.synth.placed import PlacedNetwork
from synergyc.synth.vendor.config import load_config
from synergyc.synth.vendor.options import VendorOptions
from synergyc.synth.vendor.parameters import find_file, load_parameters
from synergyc.synth.vendor.resolve import resolve
from synergyc.synth.verify import check_limits
from synergyc.targets import Chip


@dataclass(frozen=True, eq=False)
class VendorNetwork:
    """A placed network and the sample input: int64, one array for each input tensor, in their shapes."""

    placed: PlacedNetwork
    samples: tuple[Array, ...]
    control: ControlOptions


def read_vendor(options: VendorOptions, chip: Chip, *, root: Sequence[Path] = ()) -> VendorNetwork:
    """Read what ``options`` name; raises SynergyError for wrong input and for unsupported features.

    ``root``: folders in which the tool's own ``tests`` folder with samples and test weights is looked for.
    """
    config = load_config(options.config_file).without_first(options.skip_yaml_layers)
    sample_file = options.sample_input
    if sample_file is None:
        sample_file = find_file(root, Path("tests") / f"sample_{config.dataset.lower()}.npy")
    sample = _load_sample(sample_file)
    parameters = load_parameters(config, options, root, binary="binary_weights" in chip.cnn.features)
    placed, shapes = resolve(config, parameters, sample.shape, options, chip)
    problems = check_limits(placed, chip)
    if problems:
        raise SynergyError(problems)
    parts = sample.reshape(len(placed.inputs), *shapes)
    return VendorNetwork(placed, tuple(parts), options.control)


def _load_sample(path: Path) -> Array:
    try:
        sample: Array = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise fail("vendor-sample", f"not a readable array: {error}", location=file_location(path)) from error
    if sample.dtype != np.int64 or sample.ndim not in {2, 3} or not sample.size:
        raise fail(
            "vendor-sample",
            f"sample must be int64 of 2 or 3 axes, not {sample.dtype} of {sample.ndim}",
            location=file_location(path),
        )
    if sample.min() < -128 or sample.max() > 127:
        raise fail(
            "vendor-sample",
            "sample values must fit 8 bits",
            location=file_location(path),
            need=f"{sample.min()}..{sample.max()}",
            have="-128..127",
        )
    return sample
