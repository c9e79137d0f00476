"""The vendor tool's input files for a placed network (sections 7.2 and 7.3)."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from ruamel.yaml import YAML

from synergyc.diagnostics import fail
from synergyc.ir.network import LayerOp
from synergyc.ir.types import Activation, PoolKind
from synergyc.synth.izer.tool import NATIVE
from synergyc.synth.placed import PlacedLayer, PlacedNetwork

_ARCH = "network"
_ACTIVATIONS = {Activation.NONE: "None", Activation.RELU: "ReLU", Activation.ABS: "Abs"}


DESCRIPTION_HEAD = f"arch: {_ARCH}\n"
"""How each network description of ours begins."""


def network_yaml(placed: PlacedNetwork) -> str:
    """Return the network description; everything is stated, nothing is left to the tool's defaults."""
    layers = [_layer(placed, index) for index in range(len(placed.layers))]
    # A chip that starts elsewhere counts layers that are not there.
    dummies = [{"processors": 1, "op": "passthrough", "out_offset": 0}] * placed.first_layer
    stream = io.StringIO()
    YAML(typ="safe", pure=True).dump({"arch": _ARCH, "dataset": _ARCH, "layers": [*dummies, *layers]}, stream)
    return stream.getvalue()


def checkpoint_bytes(placed: PlacedNetwork) -> bytes:
    """Return a checkpoint with the parameters of all layers that have some."""
    import torch

    state: dict[str, Any] = {}
    for layer in placed:
        inner = layer.layer
        if inner.weight is None or layer.bypass:
            continue
        key = f"layer{layer.hardware_layer}"
        state[f"{key}.output_shift"] = torch.tensor([float(inner.output_shift)])
        state[f"{key}.weight_bits"] = torch.tensor([float(inner.weight_bits)])
        state[f"{key}.op.weight"] = torch.tensor(np.asarray(inner.weight, dtype=np.float32))
        if inner.bias is not None:
            scale = 2 ** (inner.weight_bits - 1)
            state[f"{key}.op.bias"] = torch.tensor(np.asarray(inner.bias, dtype=np.float32) * scale)
    stream = io.BytesIO()
    torch.save({"epoch": 0, "arch": _ARCH, "state_dict": state}, stream)
    return stream.getvalue()


def sample_bytes(placed: PlacedNetwork) -> bytes:
    """Return an input of zeros: it decides sizes, not register values."""
    shape = placed.inputs[0].tensor.shape
    channels = shape[0] * len(placed.inputs)
    stream = io.BytesIO()
    np.save(stream, np.zeros((channels, *shape[1:]), dtype=np.int64))
    return stream.getvalue()


def _layer(placed: PlacedNetwork, index: int) -> dict[str, Any]:
    layer = placed.layers[index]
    inner = layer.layer
    entry: dict[str, Any] = {
        "name": inner.name,
        "processors": layer.processors,
        "output_processors": layer.output_processors,
        "in_offset": layer.in_offset_bytes,
        "out_offset": layer.out_offset_bytes,
        "op": str(inner.op),
        "output_width": inner.output.width_bits,
        "flatten": inner.flatten,
        "write_gap": layer.write_gap,
        "read_gap": layer.read_gap,
        "output": inner.output.name in {tensor.tensor.name for tensor in placed.outputs},
        **_pool(layer),
        **_sources(placed, index),
    }
    if layer.big:
        entry["data_format"] = "CHW"
    if inner.eltwise is not None:
        entry.update(eltwise=str(inner.eltwise), operands=layer.operands, pool_first=inner.pool_first)
    switches = {
        "streaming": layer.streaming,
        "readahead": layer.read_ahead,
        "tcalc": layer.grouped_passes,
        "calcx4": layer.fourfold,
        "bypass": layer.bypass,
    }
    entry.update({key: True for key, on in switches.items() if on})
    if not layer.passthrough:
        entry.update(_convolution(layer))
    return entry


def _convolution(layer: PlacedLayer) -> dict[str, Any]:
    inner = layer.layer
    entry: dict[str, Any] = {
        "activate": _ACTIVATIONS[inner.activation],
        "quantization": "binary" if layer.binary else inner.weight_bits,
        "output_shift": inner.output_shift,
        "groups": inner.groups,
    }
    if inner.op is LayerOp.LINEAR:
        return entry
    if len(set(inner.padding)) > 1:
        raise fail(
            "izer-unsupported",
            "the vendor's tool has one padding for rows and columns",
            layer=inner.name,
            have="x".join(map(str, inner.padding)),
            hint=NATIVE,
        )
    entry["pad"] = inner.padding[0]
    if inner.op is LayerOp.CONV1D:
        entry.update(kernel_size=inner.kernel[0], dilation=inner.dilation[0])
    else:
        entry["kernel_size"] = f"{inner.kernel[0]}x{inner.kernel[1]}"
    return entry


def _pool(layer: PlacedLayer) -> Mapping[str, Any]:
    pool = layer.layer.pool
    if pool is None:
        return {}
    key = "avg_pool" if pool.kind is PoolKind.AVERAGE else "max_pool"
    entry: dict[str, Any] = {key: list(pool.window), "pool_stride": pool.stride}
    if pool.dilation != (1, 1):
        entry["pool_dilation"] = list(pool.dilation)
    return entry


def _sources(placed: PlacedNetwork, index: int) -> Mapping[str, Any]:
    """Return which earlier layers are read, where it is not just the one before."""
    names = [layer.layer.output.name for layer in placed.layers[:index]]
    inputs = [tensor.tensor.name for tensor in placed.inputs]
    wanted = list(placed.layers[index].layer.inputs)
    if index == 0 and wanted == inputs:
        return {}
    if len(inputs) > 1 and any(name in inputs for name in wanted):
        raise fail(
            "izer-unsupported",
            "the vendor's tool takes several inputs in the first layer only",
            layer=placed.layers[index].layer.name,
            hint=NATIVE,
        )
    if index and wanted == [names[-1]]:
        return {}
    numbers = [-1 if name in inputs else placed.first_layer + names.index(name) for name in wanted]
    return {"in_sequences": numbers}
