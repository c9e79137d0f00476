"""Small layers and networks for the planner's tests; weights are zeros, only shapes matter here."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from synergyc.ir.network import Layer, LayerOp, Network, Tensor
from synergyc.ir.types import EltwiseOp, Pool, PoolKind, Shape


def make_layer(
    op: LayerOp,
    in_shape: Shape,
    out_channels: int,
    kernel: int = 1,
    *,
    name: str = "layer",
    inputs: tuple[str, ...] | None = None,
    pad: int = 0,
    pool: int = 0,
    stride: int = 0,
    dilation: int = 1,
    operands: int = 1,
    pool_first: bool = True,
    flatten: bool = False,
    groups: int = 1,
    weight_bits: int = 8,
    wide: bool = False,
) -> Layer:
    """Return a layer; ``pool`` is the side of its window and, unless given, its stride; 0 for none."""
    axes = len(in_shape) - 1 if op is not LayerOp.LINEAR else 2
    window = (pool, pool) if axes == 2 else (pool, 1)
    draft = Layer(
        name=name,
        op=op,
        inputs=inputs or tuple(f"in{i}" for i in range(operands)),
        output=Tensor(name, (out_channels,), 7, 32 if wide else 8),
        in_shape=in_shape,
        kernel=(kernel,) * axes,
        padding=(pad,) * axes,
        dilation=(dilation,) * axes,
        groups=groups,
        weight_bits=weight_bits,
        pool=Pool(PoolKind.MAX, window, stride or pool) if pool else None,
        eltwise=EltwiseOp.ADD if operands > 1 else None,
        pool_first=pool_first,
        flatten=flatten,
    )
    return _complete(draft, out_channels, in_shape[0] // groups)


def _complete(draft: Layer, out_channels: int, in_channels: int) -> Layer:
    """Return ``draft`` with the output shape that PyTorch gives, and with weights."""
    sizes = draft.pooled_shape[1:]
    out = tuple(
        2 * size + 2 - 2 * pad
        if draft.op is LayerOp.CONV_TRANSPOSE2D
        else size + 2 * pad - (kernel - 1) * dilation
        for size, pad, kernel, dilation in zip(
            sizes, draft.padding, draft.kernel, draft.dilation, strict=False
        )
    )
    shape = (out_channels,) if draft.op is LayerOp.LINEAR else (out_channels, *out)
    pixels = int(np.prod(sizes)) if draft.flatten else 1
    weight = np.zeros((out_channels, in_channels * pixels, *draft.kernel), np.int8)
    return replace(
        draft,
        output=replace(draft.output, shape=shape),
        weight=None if draft.op is LayerOp.PASSTHROUGH else weight,
    )


def make_network(name: str, layers: tuple[Layer, ...], inputs: tuple[Tensor, ...]) -> Network:
    """Return a network whose last layer gives the result."""
    return Network(name, inputs, layers, (layers[-1].name,))
