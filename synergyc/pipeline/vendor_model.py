"""Checkpoints of the vendor's training tool, with the vendor's description of the network, as models.

A quantized checkpoint gives its integers as they are. From float ones, also of quantization-aware training,
only the real weights are taken, and quantized as those of any other model: the training tool scales weights
and undoes it behind each layer, so that its function is that of the real weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from synergyc.config import CheckpointModel
from synergyc.diagnostics import SynergyError, fail, file_location
from synergyc.ir.graph import Convolution, Graph, Linear, Node
from synergyc.ir.network import Layer, LayerOp, Network
from synergyc.ir.types import Array, Origin, Shape, describe_shape, frozen_array
from synergyc.legalize.lift import lift
from synergyc.synth.vendor.checkpoint import Checkpoint, load_checkpoint
from synergyc.synth.vendor.config import NetworkConfig, load_config
from synergyc.synth.vendor.options import VendorOptions
from synergyc.synth.vendor.parameters import Parameters, load_parameters
from synergyc.synth.vendor.resolve import resolve
from synergyc.targets import Chip

_WRAPPER = "module."
_NORM_EPSILON = 1e-5
"""Of the batch normalization in ai8x-training (ai8x.py, nn.BatchNorm default)."""


@dataclass(frozen=True, eq=False)
class VendorModel:
    """``graph`` is float; ``integers`` are the checkpoint's own, None if it has none."""

    graph: Graph
    integers: Graph | None


def read_vendor_model(model: CheckpointModel, input_shape: Shape | None, chip: Chip) -> VendorModel:
    """Return the model in a checkpoint, in the form that ``chip`` runs.

    ``input_shape``: of one sample. Raises SynergyError for unreadable files, for a checkpoint without network
    description, and for what only the vendor's own tool can express.
    """
    checkpoint = load_checkpoint(model.file)
    if model.network is None:
        raise _undescribed(model, checkpoint)
    if input_shape is None:
        raise fail(
            "capture-input",
            "the network description does not say the shape of the input",
            location=file_location(model.network),
            hint="state it: --input C,H,W, or samples: FILE.npy in the app file",
        )
    options = VendorOptions(config_file=model.network, checkpoint_file=model.file, ignore_streaming=True)
    config = load_config(model.network)
    weights = _weights(checkpoint)
    quantized = all(np.array_equal(array, np.round(array)) for array in weights.values())
    parameters = load_parameters(config, options, ()) if quantized else _outlines(config, weights, model)
    resolved = resolve(config, parameters, input_shape, options, chip)
    layers = tuple(_named(layer, index) for index, layer in enumerate(resolved.execution))
    inputs = tuple(item.tensor for item in resolved.placed.inputs)
    outputs = tuple(item.tensor.name for item in resolved.placed.outputs)
    network = Network(config.arch, inputs, layers, outputs)
    _check(network, model)
    lifted = lift(network)
    if quantized:
        return VendorModel(lifted.real, lifted.integers)
    return VendorModel(_with_real_weights(lifted.real, checkpoint, weights), None)


def _weights(checkpoint: Checkpoint) -> dict[str, Array]:
    """Return the weights of convolutions and linear layers, by key.

    Some checkpoints hold every layer twice, once as part of a wrapper called ``module``: the first counts.
    """
    found: dict[str, Array] = {}
    seen: set[str] = set()
    for key, array in checkpoint.parameters.items():
        name = key.removeprefix(_WRAPPER)
        if key.endswith(".weight") and array.ndim > 1 and name not in seen:
            seen.add(name)
            found[key] = array
    return found


def _undescribed(model: CheckpointModel, checkpoint: Checkpoint) -> SynergyError:
    found = ", ".join(
        f"{key.removesuffix('.weight')} {describe_shape(array.shape)}"
        for key, array in _weights(checkpoint).items()
    )
    return fail(
        "checkpoint-network",
        f"a checkpoint of {checkpoint.arch or 'an unnamed architecture'} holds weights only, not how its"
        f" layers are joined, pooled and padded; it has {found or 'no layers'}",
        location=file_location(model.file),
        hint="add the network description: --network NET.yaml, or network: NET.yaml in the app file;"
        " or give the model's class with --weights",
    )


def _outlines(
    config: NetworkConfig, weights: Mapping[str, Array], model: CheckpointModel
) -> dict[int, Parameters]:
    """Return zeros in the shapes of float weights, for the layers that have some."""
    indices = [index for index, layer in enumerate(config.layers) if layer.op is not LayerOp.PASSTHROUGH]
    if len(indices) != len(weights):
        raise fail(
            "vendor-weights",
            "the checkpoint has weights for another number of layers than the network",
            location=file_location(model.file),
            need=f"{len(indices)} layers",
            have=f"{len(weights)} layers",
        )
    return {
        index: Parameters(np.zeros(array.shape, dtype=np.int64), None, 8, 0)
        for index, array in zip(indices, weights.values(), strict=True)
    }


def _named(layer: Layer, index: int) -> Layer:
    """Return the layer with an origin, which the vendor's description does not have, and narrow arrays."""
    origin = Origin(layer.name or f"layer{index}")
    weight = None if layer.weight is None else frozen_array(layer.weight, np.int8)
    bias = None if layer.bias is None else frozen_array(layer.bias, np.int8)
    return replace(layer, origins=layer.origins or (origin,), weight=weight, bias=bias)


def _check(network: Network, model: CheckpointModel) -> None:
    """Raise SynergyError for what only a placement of the vendor's kind can express."""
    shapes = {tensor.name: tensor.shape for tensor in network.inputs}
    for layer in network.layers:
        operands = [shapes[name] for name in layer.inputs]
        channels = operands[0][0] if layer.eltwise else sum(shape[0] for shape in operands)
        if channels != layer.in_shape[0] or len(set(layer.inputs)) != len(layer.inputs):
            raise fail(
                "vendor-unsupported",
                "the layer reads a part of a tensor, or one tensor as several",
                location=file_location(model.network or model.file),
                layer=layer.name,
                hint="build it with synergyc synth, which keeps the description's own placement",
            )
        shapes[layer.output.name] = layer.output.shape
    counts = len(network.inputs), len(network.outputs)
    if counts != (1, 1):
        raise fail(
            "capture-signature",
            f"the network must take one tensor and return one, not {counts[0]} and {counts[1]}",
            location=file_location(model.network or model.file),
        )


def _with_real_weights(graph: Graph, checkpoint: Checkpoint, weights: Mapping[str, Array]) -> Graph:
    """Return ``graph`` with the checkpoint's float weights, in order, batch normalization folded."""
    keys = iter(weights)
    nodes = []
    for node in graph.nodes:
        if isinstance(node.operator, Convolution | Linear):
            key = next(keys)
            node = replace(node, operator=_real(node, checkpoint, key, weights[key]))
        nodes.append(node)
    return replace(graph, nodes=tuple(nodes))


def _real(node: Node, checkpoint: Checkpoint, key: str, weight: Array) -> Convolution | Linear:
    operator = node.operator
    assert isinstance(operator, Convolution | Linear)  # noqa: S101 - the caller's condition
    values = checkpoint.parameters
    stem = key.removesuffix(".weight")
    norm = f"{stem.rsplit('.', maxsplit=1)[0]}.bn"
    transposed = isinstance(operator, Convolution) and operator.transposed
    channels = weight.shape[1] if transposed else weight.shape[0]
    bias = values.get(f"{stem}.bias", np.zeros(channels)).astype(np.float64)
    factor = np.ones(channels)
    if f"{norm}.running_mean" in values:
        # the training tool divides normalized values by four (ai8x.py, QuantizationAwareModule.forward)
        factor = values.get(f"{norm}.weight", np.ones(channels)) / np.sqrt(
            values[f"{norm}.running_var"].astype(np.float64) + _NORM_EPSILON
        )
        bias = (bias - values[f"{norm}.running_mean"]) * factor + values.get(f"{norm}.bias", 0.0)
        factor, bias = factor / 4, bias / 4
    shaped = factor.reshape((1, -1, 1, 1) if transposed else (-1, *(1,) * (weight.ndim - 1)))
    return replace(
        operator,
        weight=frozen_array(weight * shaped, np.float32),
        bias=frozen_array(bias, np.float32) if bias.any() else None,
    )
