"""Networks for tests: layers with random integers, as hypothesis draws them."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from synergyc.ir.network import Layer, LayerOp, Network, Tensor
from synergyc.ir.types import Activation, Array, Pool, PoolKind, Shape, frozen_array


def random_int8(shape: Shape, seed: int = 0, bits: int = 8) -> Array:
    """Return evenly distributed integers of ``bits`` bits as int8."""
    low, high = -(1 << (bits - 1)), 1 << (bits - 1)
    return frozen_array(np.random.default_rng(seed).integers(low, high, shape), np.int8)


def single(layer: Layer, input_shape: Shape) -> Network:
    """Return a network of one layer that reads ``x`` (all its inputs have ``input_shape``)."""
    inputs = tuple(Tensor(name, input_shape, 7) for name in dict.fromkeys(layer.inputs))
    return Network("one", inputs, (layer,), (layer.name,))


def conv2d(
    shape: Shape = (3, 8, 8),
    outputs: int = 4,
    kernel: int = 3,
    padding: int = 1,
    *,
    seed: int = 0,
    bias: bool = True,
    wide: bool = False,
    bits: int = 8,
    **more: Any,
) -> Layer:
    """Return a conv2d layer ``y`` of ``x``; ``more`` are further fields of Layer."""
    groups = more.get("groups", 1)
    pool: Pool | None = more.get("pool")
    sizes = [
        size if pool is None else (size - window) // pool.stride + 1
        for size, window in zip(shape[1:], pool.window if pool else (1, 1), strict=True)
    ]
    made = tuple(size + 2 * padding - kernel + 1 for size in sizes)
    fields: dict[str, Any] = {
        "name": "y",
        "op": LayerOp.CONV2D,
        "inputs": ("x",),
        "output": Tensor("y", (outputs, *made), 7, 32 if wide else 8),
        "in_shape": shape,
        "kernel": (kernel, kernel),
        "padding": (padding, padding),
        "weight": random_int8((outputs, shape[0] // groups, kernel, kernel), seed, bits),
        "bias": random_int8((outputs,), seed + 1) if bias else None,
        "weight_bits": bits,
        "output_shift": -2,
    }
    return Layer(**{**fields, **more})


@st.composite
def conv2d_layers(draw: st.DrawFn, *, wide: bool | None = None) -> Layer:
    """Return convolutions of all kernel sizes, paddings, pools, widths, shifts and activations."""
    kernel = draw(st.sampled_from([1, 3]))
    pool = draw(
        st.none()
        | st.builds(
            Pool,
            st.sampled_from(PoolKind),
            st.tuples(st.integers(1, 3), st.integers(1, 3)),
            st.integers(1, 3),
        )
    )
    bits = draw(st.sampled_from([8, 4, 2, 1]))
    is_wide = draw(st.booleans()) if wide is None else wide
    return conv2d(
        (draw(st.integers(1, 70)), draw(st.integers(9, 12)), draw(st.integers(9, 12))),
        draw(st.integers(1, 6)),
        kernel,
        draw(st.integers(0, kernel - 1)),
        seed=draw(st.integers(0, 1 << 16)),
        bias=draw(st.booleans()),
        wide=is_wide,
        bits=bits,
        pool=pool,
        output_shift=draw(st.integers(-15 + bits - 8 + 8 - bits, 15 - (8 - bits))),
        activation=Activation.NONE if is_wide else draw(st.sampled_from(Activation)),
    )
