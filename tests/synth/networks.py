"""Small random networks for the tests: layers are described, weights are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from synergyc.ir.network import Layer, LayerOp, Network, Tensor
from synergyc.ir.types import Activation, EltwiseOp, Pool, PoolKind, Shape, frozen_array

MAX_2X2 = Pool(PoolKind.MAX, (2, 2), 2)
AVERAGE_2X2 = Pool(PoolKind.AVERAGE, (2, 2), 2)


@dataclass(frozen=True)
class Spec:
    """One layer: its output channels and what differs from a plain 3x3 convolution with padding."""

    out: int
    op: LayerOp = LayerOp.CONV2D
    kernel: int = 3
    pad: int = 1
    pool: Pool | None = None
    activation: Activation = Activation.NONE
    bits: int = 8
    bias: bool = True
    wide: bool = False
    flatten: bool = False
    groups: int = 1
    dilation: int = 1
    inputs: tuple[str, ...] = ()
    eltwise: EltwiseOp | None = None


def point(out: int, **changes: object) -> Spec:
    """Return a 1x1 convolution."""
    return replace(Spec(out, kernel=1, pad=0), **changes)  # type: ignore[arg-type]


def linear(out: int, **changes: object) -> Spec:
    """Return a linear layer that flattens its input."""
    return replace(
        Spec(out, LayerOp.LINEAR, kernel=1, pad=0, flatten=True),
        **changes,  # type: ignore[arg-type]
    )


def copy(**changes: object) -> Spec:
    """Return a layer without weights."""
    return replace(Spec(0, LayerOp.PASSTHROUGH, kernel=1, pad=0), **changes)  # type: ignore[arg-type]


def network(
    shape: Shape, specs: Sequence[Spec], *, outputs: Sequence[str] = (), seed: int = 0, name: str = "net"
) -> Network:
    """Return a network; layers are named l0, l1, ... and read the one before unless told otherwise."""
    rng = np.random.default_rng(seed)
    source = Tensor("input", shape, 7)
    tensors = {"input": source}
    layers: list[Layer] = []
    for index, spec in enumerate(specs):
        before = layers[-1].output.name if layers else "input"
        layer = _layer(f"l{index}", spec, [tensors[item] for item in spec.inputs or (before,)], rng)
        layers.append(layer)
        tensors[layer.output.name] = layer.output
    return Network(name, (source,), tuple(layers), tuple(outputs) or (layers[-1].output.name,))


def _layer(name: str, spec: Spec, operands: list[Tensor], rng: np.random.Generator) -> Layer:
    channels = operands[0].shape[0]
    if spec.eltwise is None:
        channels = sum(operand.shape[0] for operand in operands)
    axes = 1 if spec.op is LayerOp.CONV1D else 2
    plane = (*operands[0].shape[1:], 1, 1)[:axes]
    bare = Layer(
        name,
        spec.op,
        tuple(operand.name for operand in operands),
        Tensor(name, (1,), 7, 32 if spec.wide else 8),
        (channels, *plane),
        kernel=(spec.kernel,) * axes,
        padding=(spec.pad,) * axes,
        dilation=(spec.dilation,) * axes,
        groups=channels if spec.groups > 1 else 1,
        pool=spec.pool,
        eltwise=spec.eltwise,
        flatten=spec.flatten,
        activation=spec.activation,
        weight_bits=spec.bits,
    )
    sizes = bare.pooled_shape[1:]
    if spec.op is LayerOp.PASSTHROUGH:
        return replace(bare, output=replace(bare.output, shape=(channels, *sizes)))
    reach = spec.dilation * (spec.kernel - 1)
    out = spec.out if spec.groups == 1 else channels
    shape: Shape = (out, *(size + 2 * spec.pad - reach for size in sizes))
    weights: Shape = (out, channels // bare.groups, *bare.kernel)
    if spec.op is LayerOp.CONV_TRANSPOSE2D:
        shape = (out, *(2 * size + 2 - 2 * spec.pad for size in sizes))
        weights = (channels, out, *bare.kernel)
    if spec.op is LayerOp.LINEAR:
        shape, weights = (out,), (out, channels * sizes[0] * sizes[1])
    top = 1 << spec.bits - 1
    return replace(
        bare,
        output=replace(bare.output, shape=shape),
        weight=frozen_array(rng.integers(-top, top, weights), np.int8),
        bias=frozen_array(rng.integers(-128, 128, out), np.int8) if spec.bias else None,
    )
