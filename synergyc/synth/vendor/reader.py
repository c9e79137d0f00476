"""From the vendor tool's files to a placed network: same processors, offsets, slots and bias bytes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from synergyc.diagnostics import Diagnostic, SynergyError, fail, file_location
from synergyc.ir.network import Layer
from synergyc.ir.types import Array
from synergyc.synth.native.control import ControlOptions
from synergyc.synth.placed import PlacedNetwork, PlacedTensor
from synergyc.synth.vendor.checks import network_problems, option_problems
from synergyc.synth.vendor.config import NetworkConfig, load_config
from synergyc.synth.vendor.options import VendorOptions
from synergyc.synth.vendor.parameters import find_file, load_parameters
from synergyc.synth.vendor.resolve import resolve
from synergyc.targets import Chip

_WORD_BYTES = 4


@dataclass(frozen=True, eq=False)
class VendorNetwork:
    """A placed network and the sample input: int64, one array for each input tensor, in their shapes.

    Attributes:
        chip: the chip, with as many processors as the options leave it.
        execution: the layers that make the known answer, in order.
        drops_channels: layers may read fewer channels than their input has.
        first_channels: by layer name, the first channel that such a layer reads, where it is not 0.
    """

    placed: PlacedNetwork
    chip: Chip
    samples: tuple[Array, ...]
    control: ControlOptions
    execution: tuple[Layer, ...]
    drops_channels: bool
    first_channels: Mapping[str, int]


def read_vendor(options: VendorOptions, chip: Chip, *, root: Sequence[Path] = ()) -> VendorNetwork:
    """Read what ``options`` name; raises SynergyError for wrong input and for unsupported features.

    ``root``: folders in which the tool's own ``tests`` folder with samples and test weights is looked for.
    """
    chip = _limited(chip, options.max_proc)
    config = load_config(options.config_file).without_first(options.skip_yaml_layers)
    _refuse(option_problems(config, options, chip))
    sample_file = options.sample_input
    if sample_file is None:
        sample_file = find_file(root, Path("tests") / f"sample_{config.dataset.lower()}.npy")
    sample = _prepared(_load_sample(sample_file), config, options)
    parameters = load_parameters(config, options, root)
    resolved = resolve(config, parameters, sample.shape, options, chip)
    placed = resolved.placed
    _refuse(network_problems(placed, resolved.execution, chip, options))
    parts = sample.reshape(len(placed.inputs), *resolved.input_shape)
    if options.fixed_input and not options.fifo:
        parts = np.stack([_pattern(tensor) for tensor in placed.inputs])
    skips = {
        f"layer{number}": layer.in_channel_skip
        for number, layer in enumerate(config.layers)
        if layer.in_channel_skip
    }
    return VendorNetwork(
        placed=placed,
        chip=chip,
        samples=tuple(parts),
        control=options.control,
        execution=resolved.execution,
        drops_channels=options.reshape_inputs,
        first_channels=skips,
    )


def _refuse(problems: Iterable[Diagnostic]) -> None:
    found = tuple(problems)
    if found:
        raise SynergyError(found)


def _limited(chip: Chip, processors: int | None) -> Chip:
    """Return the chip with fewer processors."""
    if processors is None:
        return chip
    cnn = chip.cnn
    quadrants = -(-processors // cnn.processors_per_quadrant)
    return chip.model_copy(
        update={"cnn": cnn.model_copy(update={"processors": processors, "quadrants": quadrants})}
    )


def _pattern(tensor: PlacedTensor) -> Array:
    """Return values whose words in memory are 0x55555555 and 0xAAAAAAAA in turn."""
    shape = tensor.tensor.shape
    pixels = np.arange(int(np.prod(shape[1:])))
    channels = np.arange(shape[0])[:, np.newaxis]
    words = pixels // _WORD_BYTES + 0 * channels
    if not tensor.big:
        width = tensor.processors.bit_count()
        words = (
            tensor.offset_bytes // _WORD_BYTES
            + pixels * tensor.pixel_words
            + channels // width * tensor.pass_words
        )
    pattern: Array = np.where(words % 2 == 0, 0x55, 0xAA - 256).reshape(shape)
    return pattern


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
