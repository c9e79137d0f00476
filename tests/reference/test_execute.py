"""Whole layers against torch's integer convolutions on int64, and the checks of inputs."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from synergyc.diagnostics import SynergyError
from synergyc.ir.network import Layer, LayerOp, Network, Tensor
from synergyc.ir.types import Activation, Array, EltwiseOp, Pool, PoolKind
from synergyc.reference import run, run_layers
from tests.ir.networks import conv2d, conv2d_layers, random_int8, single


def as_torch(values: Array) -> torch.Tensor:
    """Return integers as an int64 tensor of its own."""
    return torch.from_numpy(values.astype(np.int64))


def finished(layer: Layer, sums: torch.Tensor) -> Array:
    """Return raw int64 products as the layer's output, by the exact formula and Python's own integers."""
    assert layer.weight is not None
    total = sums.numpy().astype(object)
    if layer.bias is not None:
        total = total + 128 * layer.bias.astype(object).reshape(-1, *(1,) * (total.ndim - 2))
    if layer.wide:
        return np.asarray(total.astype(np.int64))
    step = Fraction(2) ** (layer.output_shift + 8 - layer.weight_bits) / 128
    rounded = np.vectorize(lambda value: min(max((value * step + Fraction(1, 2)) // 1, -128), 127))(total)
    values = rounded.astype(np.int64)
    if layer.activation is Activation.RELU:
        values = np.maximum(values, 0)
    if layer.activation is Activation.ABS:
        values = np.minimum(np.abs(values), 127)
    return np.asarray(values)


def pooled(layer: Layer, data: Array) -> torch.Tensor:
    """Return the layer's pooled input, int64, by torch (sums are exact in float64)."""
    values = as_torch(data).double()
    if layer.pool is None:
        return values.long()
    window, stride = layer.pool.window, layer.pool.stride
    if layer.pool.kind is PoolKind.MAX:
        return functional.max_pool2d(values, window, stride).long()
    sums = functional.avg_pool2d(values, window, stride, divisor_override=1).long()
    return torch.div(sums, window[0] * window[1], rounding_mode="trunc")


@given(layer=conv2d_layers(), seed=st.integers(0, 1 << 16))
def test_conv2d_equals_torch(layer: Layer, seed: int) -> None:
    assert layer.weight is not None
    data = random_int8((2, *layer.in_shape), seed)
    weight = as_torch(layer.weight)
    sums = functional.conv2d(pooled(layer, data), weight, padding=layer.padding)
    result = run(single(layer, layer.in_shape), {"x": data})["y"]
    assert result.dtype == (np.int32 if layer.wide else np.int8)
    np.testing.assert_array_equal(result, finished(layer, sums))


@given(
    kernel=st.integers(1, 9), padding=st.integers(0, 2), dilation=st.integers(1, 3), seed=st.integers(0, 999)
)
def test_conv1d_equals_torch(kernel: int, padding: int, dilation: int, seed: int) -> None:
    length = 40 + 2 * padding - (kernel - 1) * dilation
    layer = Layer(
        name="y",
        op=LayerOp.CONV1D,
        inputs=("x",),
        output=Tensor("y", (5, length), 7),
        in_shape=(3, 40),
        kernel=(kernel,),
        padding=(padding,),
        dilation=(dilation,),
        weight=random_int8((5, 3, kernel), seed),
        bias=random_int8((5,), seed + 1),
        output_shift=-3,
    )
    data = random_int8((2, 3, 40), seed + 2)
    weight = as_torch(random_int8((5, 3, kernel), seed))
    sums = functional.conv1d(as_torch(data), weight, padding=padding, dilation=dilation)
    np.testing.assert_array_equal(run(single(layer, (3, 40)), {"x": data})["y"], finished(layer, sums))


@given(padding=st.integers(0, 2), groups=st.sampled_from([1, 4]), seed=st.integers(0, 999))
def test_transposed_convolution_equals_torch(padding: int, groups: int, seed: int) -> None:
    weight = random_int8((4, 8 // groups, 3, 3), seed)
    layer = Layer(
        name="y",
        op=LayerOp.CONV_TRANSPOSE2D,
        inputs=("x",),
        output=Tensor("y", (8, 12 - 2 * padding, 14 - 2 * padding), 7),
        in_shape=(4, 5, 6),
        kernel=(3, 3),
        padding=(padding, padding),
        groups=groups,
        weight=weight,
        bias=random_int8((8,), seed + 1),
        output_shift=-4,
        activation=Activation.RELU,
    )
    data = random_int8((2, 4, 5, 6), seed + 2)
    sums = functional.conv_transpose2d(
        as_torch(data).double(),  # exact: sums stay far below 2**53
        as_torch(weight).double(),
        stride=2,
        padding=padding,
        output_padding=1,
        groups=groups,
    )
    np.testing.assert_array_equal(
        run(single(layer, (4, 5, 6)), {"x": data})["y"], finished(layer, sums.long())
    )


@given(seed=st.integers(0, 999))
def test_depthwise_convolution_equals_torch(seed: int) -> None:
    layer = conv2d((6, 7, 9), 6, seed=seed, groups=6)
    data = random_int8((3, 6, 7, 9), seed + 2)
    assert layer.weight is not None
    weight = as_torch(layer.weight)
    sums = functional.conv2d(as_torch(data), weight, padding=1, groups=6)
    np.testing.assert_array_equal(run(single(layer, (6, 7, 9)), {"x": data})["y"], finished(layer, sums))


@pytest.mark.parametrize(("shape", "flatten"), [((4, 3, 5), True), ((4, 6), True), ((60,), False)])
def test_linear_reads_values_in_the_order_of_torch(shape: tuple[int, ...], flatten: bool) -> None:
    count = int(np.prod(shape))
    weight = random_int8((7, count), 1)
    layer = Layer(
        name="y",
        op=LayerOp.LINEAR,
        inputs=("x",),
        output=Tensor("y", (7,), 7, 32),
        in_shape=shape if flatten else (count, 1, 1),
        weight=weight,
        flatten=flatten,
    )
    data = random_int8((9, *shape), 2)
    expected = as_torch(data).flatten(1) @ as_torch(weight).T
    np.testing.assert_array_equal(run(single(layer, shape), {"x": data})["y"], expected.numpy())


def _two_operands(**fields: object) -> Layer:
    base: dict[str, object] = {
        "name": "y",
        "op": LayerOp.PASSTHROUGH,
        "inputs": ("a", "b"),
        "output": Tensor("y", (2, 1, 1), 7),
        "in_shape": (2, 1, 2),
        "eltwise": EltwiseOp.ADD,
        "pool": Pool(PoolKind.MAX, (1, 2), 1),
    }
    return Layer(**{**base, **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(("pool_first", "expected"), [(True, [110, -20]), (False, [60, -60])])
def test_pooling_before_or_after_combining(pool_first: bool, expected: list[int]) -> None:
    """Worked by hand: max(100, 0) + max(-40, 10) = 110, but max(100 - 40, 0 + 10) = 60."""
    a = np.array([[[[100, 0]], [[-20, -100]]]], dtype=np.int8)
    b = np.array([[[[-40, 10]], [[-40, 0]]]], dtype=np.int8)
    result = run(single(_two_operands(pool_first=pool_first), (2, 1, 2)), {"a": a, "b": b})["y"]
    assert result.ravel().tolist() == expected


def test_combining_clips_before_a_following_convolution() -> None:
    """Worked by hand: 100 + 100 clips to 127, times -1 is -127; unclipped it would give -128."""
    layer = conv2d((1, 1, 1), 1, 1, 0, bias=False, inputs=("a", "b"), eltwise=EltwiseOp.ADD, output_shift=7)
    layer = replace(layer, weight=np.array([[[[-1]]]], dtype=np.int8))
    data = np.full((1, 1, 1, 1), 100, dtype=np.int8)
    assert run(single(layer, (1, 1, 1)), {"a": data, "b": data})["y"].item() == -127


def test_several_inputs_without_eltwise_are_joined_by_channel() -> None:
    layer = Layer("y", LayerOp.PASSTHROUGH, ("a", "b"), Tensor("y", (4, 2, 2), 7), (4, 2, 2))
    a, b = random_int8((3, 2, 2, 2), 1), random_int8((3, 2, 2, 2), 2)
    result = run(single(layer, (2, 2, 2)), {"a": a, "b": b})["y"]
    np.testing.assert_array_equal(result, np.concatenate([a, b], axis=1))


def test_narrow_weights_are_scaled_up_by_the_hardware() -> None:
    """A 4-bit weight w acts as the 8-bit weight 16 w: ai8x-synthesis README, "Quantization"."""
    narrow = conv2d((2, 4, 4), 3, bits=4, bias=False, output_shift=-2)
    assert narrow.weight is not None
    plain = replace(narrow, weight=(narrow.weight * 16).astype(np.int8), weight_bits=8)
    data = random_int8((2, 2, 4, 4), 3)
    np.testing.assert_array_equal(
        run(single(narrow, (2, 4, 4)), {"x": data})["y"], run(single(plain, (2, 4, 4)), {"x": data})["y"]
    )


def two_layers() -> Network:
    first = conv2d((3, 6, 6), 4, name="a", output=Tensor("a", (4, 6, 6), 7))
    second = conv2d((4, 6, 6), 2, inputs=("a",))
    return Network("two", (Tensor("x", (3, 6, 6), 7),), (first, second), ("y",))


def test_layers_are_returned_in_order_and_agree_with_segments() -> None:
    network, data = two_layers(), random_int8((2, 3, 6, 6))
    tensors = run_layers(network, {"x": data})
    assert list(tensors) == ["x", "a", "y"]
    first = run(network.segment(0, 0), {"x": data})
    second = run(network.segment(1, 1), first)
    np.testing.assert_array_equal(second["y"], tensors["y"])
    np.testing.assert_array_equal(run(network, {"x": data})["y"], tensors["y"])


def test_batches_agree_with_single_images() -> None:
    """The batch is computed in pieces; no piece may depend on another."""
    layer = conv2d((40, 20, 20), 8)
    data = random_int8((20, 40, 20, 20))
    network = single(layer, (40, 20, 20))
    together = run(network, {"x": data})["y"]
    for index in (0, 7, 19):
        np.testing.assert_array_equal(run(network, {"x": data[index : index + 1]})["y"][0], together[index])


@pytest.mark.parametrize(
    ("inputs", "messages"),
    [
        ({}, ["input 'x' is missing"]),
        ({"x": np.zeros((1, 3, 6, 6), np.int16)}, ["must be int8, not int16"]),
        ({"x": np.zeros((1, 3, 6, 5), np.int8)}, ["wrong shape"]),
        ({"x": np.zeros((0, 3, 6, 6), np.int8)}, ["wrong shape"]),
        ({"x": np.zeros((3, 6), np.float32)}, ["must be int8, not float32", "wrong shape"]),
        ({"x": np.zeros((1, 3, 6, 6), np.int8), "z": np.zeros(1, np.int8)}, ["has no input 'z'"]),
    ],
)
def test_wrong_inputs_are_refused(inputs: dict[str, Array], messages: list[str]) -> None:
    with pytest.raises(SynergyError) as caught:
        run(two_layers(), inputs)
    assert len(caught.value.diagnostics) == len(messages)
    for diagnostic, message in zip(caught.value.diagnostics, messages, strict=True):
        assert diagnostic.rule == "reference-input"
        assert message in diagnostic.message


def test_different_batch_sizes_are_refused() -> None:
    inputs = {"a": np.zeros((1, 2, 1, 2), np.int8), "b": np.zeros((2, 2, 1, 2), np.int8)}
    with pytest.raises(SynergyError, match="same batch size"):
        run(single(_two_operands(), (2, 1, 2)), inputs)


def test_a_wrong_output_shape_is_refused() -> None:
    layer = replace(conv2d((3, 8, 8)), output=Tensor("y", (4, 7, 8), 7))
    with pytest.raises(SynergyError, match="output must be 4x7x8, not 4x8x8"):
        run(single(layer, (3, 8, 8)), {"x": random_int8((1, 3, 8, 8))})
