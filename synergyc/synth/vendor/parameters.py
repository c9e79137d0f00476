"""Weights and biases of the layers, from a checkpoint or from the tool's own test arrays (section 7.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from synergyc.diagnostics import fail, file_location
from synergyc.ir.network import LayerOp
from synergyc.ir.types import Array
from synergyc.synth.vendor.checkpoint import Checkpoint, load_checkpoint
from synergyc.synth.vendor.config import NetworkConfig
from synergyc.synth.vendor.entry import BINARY, LayerConfig
from synergyc.synth.vendor.options import VendorOptions


@dataclass(frozen=True, eq=False)
class Parameters:
    """What one layer multiplies: ``weight`` as in the file; ``bits`` -1: weights are -1 or +1."""

    weight: Array
    bias: Array | None
    bits: int
    output_shift: int


def load_parameters(
    config: NetworkConfig, options: VendorOptions, root: Sequence[Path]
) -> dict[int, Parameters]:
    """Return the parameters by layer; raises SynergyError for missing or unsuitable files.

    ``root``: folders in which the tool's ``tests`` folder is looked for.
    """
    tested = config.arch == "test"
    own = _from_arrays(config, options, root) if tested else _from_checkpoint(config, options)
    return _with_shared(config, own)


def find_file(root: Sequence[Path], name: Path) -> Path:
    """Return ``name`` inside the first folder that has it; raises SynergyError."""
    for folder in root:
        if (folder / name).is_file():
            return folder / name
    raise fail("vendor-file", "file not found", location=file_location(name))


def _weighted(config: NetworkConfig) -> list[int]:
    """Return the layers that have weights of their own."""
    return [
        index
        for index, layer in enumerate(config.layers)
        if layer.op is not LayerOp.PASSTHROUGH and not layer.bypass and layer.weight_source is None
    ]


def _with_shared(config: NetworkConfig, own: dict[int, Parameters]) -> dict[int, Parameters]:
    """Add the layers that take the weights of another one; raises SynergyError if that has none."""
    for index, layer in enumerate(config.layers):
        if layer.weight_source is None or layer.op is LayerOp.PASSTHROUGH:
            continue  # layers without weights have nothing to share
        if layer.weight_source not in own:
            raise fail(
                "vendor-value",
                f"weight_source must be an earlier layer with weights, not {layer.weight_source}",
                location=layer.location,
            )
        source = own[layer.weight_source]
        own[index] = replace(source, bits=layer.quantization or source.bits)
    return own


def _from_checkpoint(config: NetworkConfig, options: VendorOptions) -> dict[int, Parameters]:
    if options.checkpoint_file is None:
        raise fail("vendor-option", "option --checkpoint-file is required")
    path = options.checkpoint_file
    checkpoint = load_checkpoint(path)
    if checkpoint.arch and checkpoint.arch.lower() != config.arch.lower():
        raise fail(
            "vendor-arch",
            f"architecture must be {checkpoint.arch!r} as in the checkpoint, not {config.arch!r}",
            location=file_location(config.path),
        )
    keys = [
        key for key in checkpoint.parameters if key.rsplit(".", maxsplit=1)[-1] == "weight" and "." in key
    ]
    keys = _folded(keys, checkpoint, options)[options.skip_checkpoint_layers :]
    indices = _weighted(config)
    if len(keys) < len(indices):
        raise fail(
            "vendor-weights",
            "the checkpoint has weights for fewer layers than the network",
            location=file_location(path),
            need=f"{len(indices)} layers",
            have=f"{len(keys)} layers",
        )
    return {
        index: _checkpoint_layer(checkpoint, key, config.layers[index], options, index)
        for index, key in zip(indices, keys, strict=False)
    }


def _folded(keys: Sequence[str], checkpoint: Checkpoint, options: VendorOptions) -> list[str]:
    """Return the keys of weights; raises SynergyError for batch normalization that is not folded."""
    plain = [key for key in keys if checkpoint.parameters[key].ndim > 1]
    if len(plain) < len(keys) and not options.ignore_bn:
        first = next(key for key in keys if key not in plain)
        raise fail(
            "vendor-weights",
            f"{first} is a vector: batch normalization must be folded into the layer before it",
            location=file_location(options.checkpoint_file or ""),
            hint="the vendor's quantize.py folds it; --ignore-bn leaves it out, which changes the network",
        )
    return plain


def _checkpoint_layer(
    checkpoint: Checkpoint, key: str, layer: LayerConfig, options: VendorOptions, index: int
) -> Parameters:
    """Return one layer's parameters; the network's own numbers go before those of the checkpoint.

    Where the network gives no width, the checkpoint's holds. (The vendor's tool takes 1 bit for weights that
    are all 0, and -1/+1 weights where all are; both give other results: section 8, pitfall 1.)
    """
    values, path = checkpoint.parameters, options.checkpoint_file or Path()
    name = key.rsplit(".", maxsplit=1)[0]
    module = name.rsplit(".", maxsplit=1)[0] if "." in name else name
    stored_bits = int(np.ravel(values.get(f"{module}.weight_bits", 0))[0]) or 8
    bits = layer.quantization or stored_bits
    weight = _integers(values[key], key, path)
    _check_range(weight, bits, key, path)
    bias = None
    if f"{name}.bias" in values and not options.drops_bias(index):
        # The training side scales biases by 2**(bits - 1) (section 7.2).
        bias = np.floor(values[f"{name}.bias"] / 2 ** (stored_bits - 1)).astype(np.int64)
        _check_range(bias, 8, f"{name}.bias", path)
    shift = layer.output_shift
    if shift is None:
        stored = values.get(f"{module}.output_shift")
        shift = int(stored.reshape(-1)[0]) if stored is not None else 0
    return Parameters(weight, bias, bits, shift)


def _integers(values: Array, key: str, path: Path) -> Array:
    whole: Array = np.nan_to_num(values).astype(np.int64)
    if (whole != values).any():
        raise fail(
            "vendor-range",
            f"values of {key} are not whole numbers",
            location=file_location(path),
            need=f"{float(values.min()):g}..{float(values.max()):g}",
            have="integers of 1 to 8 bits",
            hint="the checkpoint is not quantized: the vendor's quantize.py, or synergyc quantize",
        )
    return whole


def _check_range(values: Array, bits: int, key: str, path: Path) -> None:
    low, high = (-1, 1) if bits == BINARY else (-(1 << bits - 1), (1 << bits - 1) - 1)
    if values.size and (values.min() < low or values.max() > high or (bits == BINARY and not values.all())):
        raise fail(
            "vendor-range",
            f"values of {key} do not fit {abs(bits)} bits",
            location=file_location(path),
            need=f"{values.min()}..{values.max()}",
            have=f"{low}..{high}",
            hint="was the checkpoint quantized?",
        )


def _from_arrays(
    config: NetworkConfig, options: VendorOptions, root: Sequence[Path]
) -> dict[int, Parameters]:
    """Return the tool's test weights: arrays one after the other in a file, cut down to the width asked."""
    if not _weighted(config):
        return {}
    name = f"{config.weights}.npy" if config.weights else f"weights_{config.dataset.lower()}.npy"
    weights = _arrays(options.weight_input or find_file(root, Path("tests") / name))
    if len(weights) == 1:
        weights = list(weights[0])
    biases = []
    if options.bias_input is not None:
        biases = _arrays(options.bias_input)
    elif config.bias is not None:
        biases = _arrays(find_file(root, Path("tests") / f"bias_{config.bias}.npy"))
    result = {}
    for number, index in enumerate(_weighted(config)):
        if number >= len(weights):
            raise fail(
                "vendor-weights", f"no weights for layer {index}", location=config.layers[index].location
            )
        layer = config.layers[index]
        bits = layer.quantization or 8
        bias = biases[number] if number < len(biases) and not options.drops_bias(index) else None
        weight = _reduced(weights[number].astype(np.int64), bits)
        if layer.op is LayerOp.CONV_TRANSPOSE2D:
            # Test arrays are in the order of the hardware: undo what taps_of does.
            weight = weight[..., ::-1, ::-1]
            weight = weight if layer.groups > 1 else weight.swapaxes(0, 1)
        result[index] = Parameters(weight, bias, bits, layer.output_shift or 0)
    return result


def _arrays(path: Path) -> list[Array]:
    found: list[Array] = []
    if not path.is_file():
        raise fail("vendor-file", "file not found", location=file_location(path))
    with path.open("rb") as file:
        while file.peek(1):
            try:
                found.append(np.load(file, allow_pickle=False))
            except (ValueError, EOFError):
                break
    if not found:
        raise fail("vendor-file", "holds no arrays", location=file_location(path))
    return found


def _reduced(weight: Array, bits: int) -> Array:
    """Shift test weights down until they fit ``bits``; negative numbers count from -1, as in the tool."""
    if bits == BINARY:
        return np.where(weight >= 0, 1, -1)
    largest = max(abs(int(value) + int(value < 0)) for value in (weight.min(), weight.max()))
    needed = largest.bit_length() + 1
    reduced: Array = weight >> max(0, needed - bits)
    return reduced
