"""Random layers on both generations, against loops over the documented arithmetic.

Truth: tests/emulate/accelerator/naive.py, Python integers written from docs/accelerator.md 2; registers and
memory contents from encoder.py, written from docs/accelerator.md 3 to 5.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synergyc.emulate.accelerator import Accelerator
from synergyc.targets import load_chip
from tests.emulate.accelerator import encoder, naive
from tests.emulate.accelerator.encoder import Integers, Layer

CHIPS = st.sampled_from(["max78000", "max78002"])


def emulate(chip: str, layer: Layer, data: Integers, weights: Integers, bias: Integers) -> Integers:
    cnn = load_chip(chip).cnn
    accelerator = Accelerator(cnn)
    encoder.configure(accelerator, cnn, layer)
    if not layer.passthrough:
        encoder.load_weights(accelerator, cnn, layer, weights)
        encoder.load_bias(accelerator, cnn, bias)
    encoder.load_data(accelerator, cnn, layer, data)
    encoder.start(accelerator, cnn, layer)
    assert accelerator.running
    accelerator.finish()
    assert accelerator.irq
    found = encoder.read_output(accelerator, cnn, layer)
    traced = accelerator.layers[0].output
    if layer.passes == 1:
        assert np.array_equal(traced, found)
    return found


def compare(chip: str, layer: Layer, seed: int) -> None:
    rng = np.random.default_rng(seed)
    data = rng.integers(-128, 128, (layer.operands, layer.channels, layer.rows, layer.cols))
    low = -(1 << (layer.bits - 1))
    taps = layer.rows * layer.cols if layer.flatten else layer.kernel[0] * layer.kernel[1]
    weights = rng.integers(low, -low if layer.bits > 1 else 1, (layer.outputs, layer.channels, taps))
    bias = rng.integers(-128, 128, layer.outputs) * layer.bias
    found = emulate(chip, layer, data, weights, bias)
    assert np.array_equal(found, naive.run(layer, data, weights, bias)), layer


@st.composite
def convolutions(draw: st.DrawFn) -> Layer:
    pool = draw(st.sampled_from([(1, 1), (2, 2), (3, 2), (1, 4)]))
    kernel = draw(st.sampled_from([(3, 3), (1, 1)]))
    layer = Layer(
        channels=draw(st.sampled_from([1, 3, 4, 7, 17, 36, 64])),
        rows=draw(st.integers(5, 9)),
        cols=draw(st.integers(5, 9)),
        outputs=draw(st.sampled_from([1, 2, 4, 5, 20])),
        kernel=kernel,
        pad=draw(st.tuples(st.integers(0, 2), st.integers(0, 2))) if kernel == (3, 3) else (0, 0),
        pool=pool,
        stride=draw(st.integers(1, 3)),
        average=draw(st.booleans()),
        bits=draw(st.sampled_from([8, 4, 2, 1])),
        shift=draw(st.integers(-15, 15)),
        activation=draw(st.sampled_from(["", "relu", "abs"])),
        first_slot=draw(st.sampled_from([0, 4, 40])),
        bias=draw(st.booleans()),
    )
    small = min(layer.pooled) + 2 * min(layer.pad) < 3
    return dataclasses.replace(layer, pad=(2, 2)) if small and kernel == (3, 3) else layer


@settings(max_examples=25)
@given(CHIPS, convolutions(), st.integers(0, 2**32 - 1))
def test_convolutions(chip: str, layer: Layer, seed: int) -> None:
    compare(chip, layer, seed)


@settings(max_examples=25)
@given(CHIPS, st.integers(1, 9), st.integers(0, 2), st.sampled_from([8, 4, 2, 1]), st.integers(0, 2**32 - 1))
def test_one_dimensional_convolutions(chip: str, length: int, pad: int, bits: int, seed: int) -> None:
    layer = Layer(5, 14, 1, 6, (length, 1), (min(pad, length - 1), 0), bits=bits, shift=-1, bias=True)
    compare(chip, layer, seed)


@settings(max_examples=25)
@given(CHIPS, st.integers(2, 4), st.sampled_from([(3, 3), (1, 1)]), st.booleans(), st.integers(0, 2**32 - 1))
def test_several_passes(chip: str, passes: int, kernel: tuple[int, int], wide: bool, seed: int) -> None:
    pad = (1, 1) if kernel == (3, 3) else (0, 0)
    compare(chip, Layer(12 * passes, 5, 4, 6, kernel, pad, passes=passes, wide=wide, bias=True), seed)


@settings(max_examples=25)
@given(CHIPS, st.sampled_from([0, 1, 2]), st.sampled_from([0, 1, 2]), st.integers(0, 2**32 - 1))
def test_transposed_convolutions(chip: str, pad_rows: int, pad_cols: int, seed: int) -> None:
    compare(chip, Layer(3, 4, 5, 4, pad=(pad_rows, pad_cols), transposed=True, shift=-2), seed)


@settings(max_examples=25)
@given(
    CHIPS,
    st.sampled_from(["add", "sub", "or", "xor"]),
    st.integers(2, 16),
    st.sampled_from([(1, 1), (2, 2)]),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_elementwise(
    chip: str, function: str, operands: int, pool: tuple[int, int], pool_first: bool, seed: int
) -> None:
    layer = Layer(
        6, 4, 6, pool=pool, stride=pool[0], operands=operands, eltwise=function, pool_first=pool_first
    )
    compare(chip, layer, seed)


@settings(max_examples=25)
@given(CHIPS, st.sampled_from(["add", "sub"]), st.booleans(), st.integers(0, 2**32 - 1))
def test_elementwise_before_a_convolution(chip: str, function: str, pool_first: bool, seed: int) -> None:
    layer = Layer(
        5, 6, 6, 3, pad=(1, 1), pool=(2, 2), stride=2, operands=2, eltwise=function, pool_first=pool_first
    )
    compare(chip, layer, seed)


@settings(max_examples=25)
@given(CHIPS, st.sampled_from([1, 2, 3]), st.sampled_from([8, 4, 2, 1]), st.integers(0, 2**32 - 1))
def test_flatten(chip: str, passes: int, bits: int, seed: int) -> None:
    layer = Layer(8 * passes, 5, 4, 7, (1, 1), passes=passes, bits=bits, flatten=True, wide=True)
    compare(chip, layer, seed)


@settings(max_examples=25)
@given(CHIPS, st.integers(1, 16), st.integers(1, 16), st.integers(1, 16), st.booleans(), st.integers(0, 999))
def test_pooling_alone(
    chip: str, pool_rows: int, pool_cols: int, stride: int, average: bool, seed: int
) -> None:
    compare(chip, Layer(18, 17, 16, pool=(pool_rows, pool_cols), stride=stride, average=average), seed)


@pytest.mark.parametrize("chip", ["max78000", "max78002"])
def test_sums_beyond_float32_are_exact(chip: str) -> None:
    """1024 channels of 3x3: sums up to 2^28, sixteen times what float32 holds exactly."""
    layer = Layer(1024, 3, 3, 2, passes=16, wide=True)
    data = np.full((1, 1024, 3, 3), 127)
    data[0, ::2] = -128
    weights = np.full((2, 1024, 9), -128)
    weights[1, ::2] = 127
    weights[1, 0, 0] = 126
    bias = np.zeros(2, np.int64)
    found = emulate(chip, layer, data, weights, bias)
    assert np.array_equal(found, naive.run(layer, data, weights, bias))
    assert abs(int(found[1, 0, 0])) > 1 << 27
