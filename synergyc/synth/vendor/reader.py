"""From the vendor tool's files to a placed network: same processors, offsets, slots and bias bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from synergyc.diagnostics import SynergyError, fail, file_location
from synergyc.ir.types import Array
from synergyc.synth.native.control import ControlOptions
from synergyc.synth.placed import PlacedNetwork
from synergyc.synth.vendor.config import NetworkConfig, load_config
from synergyc.synth.vendor.options import VendorOptions
from synergyc.synth.vendor.parameters import find_file, load_parameters
from synergyc.synth.vendor.resolve import resolve
from synergyc.synth.verify import check_limits
from synergyc.targets import Chip

_WORD_BYTES = 4


@dataclass(frozen=True, eq=False)
class VendorNetwork:
    """A placed network and the sample input: int64, one array for each input tensor, in their shapes.

    ``first_channels``: by layer name, the first channel that a layer reads of its input, where it is not 0.
    """

    placed: PlacedNetwork
    samples: tuple[Array, ...]
    control: ControlOptions
    first_channels: Mapping[str, int]


def read_vendor(options: VendorOptions, chip: Chip, *, root: Sequence[Path] = ()) -> VendorNetwork:
    """Read what ``options`` name; raises SynergyError for wrong input and for unsupported features.

    ``root``: folders in which the tool's own ``tests`` folder with samples and test weights is looked for.
    """
    _check_features(options, chip)
    config = load_config(options.config_file).without_first(options.skip_yaml_layers)
    sample_file = options.sample_input
    if sample_file is None:
        sample_file = find_file(root, Path("tests") / f"sample_{config.dataset.lower()}.npy")
    sample = _prepared(_load_sample(sample_file), config, options)
    parameters = load_parameters(config, options, root, binary="binary_weights" in chip.cnn.features)
    placed, shapes = resolve(config, parameters, sample.shape, options, chip)
    problems = check_limits(placed, chip)
    if problems:
        raise SynergyError(problems)
    parts = sample.reshape(len(placed.inputs), *shapes)
    skips = {
        f"layer{number}": layer.in_channel_skip
        for number, layer in enumerate(config.layers)
        if layer.in_channel_skip
    }
    return VendorNetwork(placed, tuple(parts), options.control, skips)


def _check_features(options: VendorOptions, chip: Chip) -> None:
    """Raise SynergyError for options that need what the chip's accelerator does not have."""
    needs = {
        "start_layer": ("--start-layer", options.start_layer > 0),
        "one_shot": ("--one-shot", options.control.one_shot),
        "layer_link": ("--link-layer", options.control.link_layers),
        "read_ahead": ("--read-ahead", options.read_ahead),
        "calcx4": ("--calcx4", options.calcx4),
    }
    for feature, (option, wanted) in needs.items():
        if wanted and feature not in chip.cnn.features:
            raise fail("vendor-option", f"{chip.part} has no registers for {option}")


def _prepared(sample: Array, config: NetworkConfig, options: VendorOptions) -> Array:
    """Return the sample as the options ask for: fewer channels, or continued from its first words."""
    if options.reshape_inputs:
        first = config.layers[options.start_layer]
        sample = sample[: first.in_channels or first.processors.bit_count()]
    return sample if options.synthesize_input is None else _continued(sample, options)


def _continued(sample: Array, options: VendorOptions) -> Array:
    """Return a sample in which each group of words is the group before plus a constant.

    A word holds one pixel of up to four channels, the first in the lowest byte.
    """
    step, added = options.synthesize_words, options.synthesize_input or 0
    pixels = sample.reshape(len(sample), -1)
    if len(sample) > _WORD_BYTES or step < 1 or pixels.shape[1] % step:
        raise fail(
            "vendor-option",
            "--synthesize-input needs at most 4 channels, and --synthesize-words that divide the pixels",
            have=f"{len(sample)} channels of {pixels.shape[1]} pixels, {step} words",
        )
    scale = 256 ** np.arange(len(sample))[:, np.newaxis]
    first = ((pixels[:, :step] & 0xFF) * scale).sum(axis=0)
    groups = np.arange(pixels.shape[1] // step)[:, np.newaxis]
    words = (first + groups * added).reshape(-1)
    values = words // scale & 0xFF
    signed: Array = np.where(values > 127, values - 256, values)
    return signed.reshape(sample.shape)


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
