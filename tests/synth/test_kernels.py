"""Packing of weights into slots.

Truth: the worked examples of docs/accelerator.md, section 4.1, which were taken from the vendor tool's
output; and, for random shapes, an unpacker written from the definition of the byte stream.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synergyc.ir.network import Layer, LayerOp, Tensor
from synergyc.ir.types import Array, Shape, frozen_array
from synergyc.synth.geometry import geometry_of
from synergyc.synth.kernels import KernelImage, kernel_image, positions_of
from synergyc.targets import load_chip

CNN = load_chip("max78000").cnn


def layer(
    weight: Array, *, op: LayerOp = LayerOp.CONV2D, in_shape: Shape, bits: int = 8, flatten: bool = False
) -> Layer:
    kernel = weight.shape[2:] or (1, 1)
    outputs = weight.shape[1 if op is LayerOp.CONV_TRANSPOSE2D else 0]
    return Layer(
        "layer",
        op,
        ("input",),
        Tensor("layer", (outputs, 1, 1), 7),
        in_shape,
        kernel=kernel,
        padding=(0,) * len(kernel),
        weight=frozen_array(weight, np.int8),
        weight_bits=bits,
        flatten=flatten,
    )


def image(item: Layer, processors: int | None = None) -> KernelImage:
    geometry = geometry_of(item, CNN)
    return kernel_image(item, geometry, processors or (1 << geometry.out_passes.width) - 1, CNN)


def kernels_3x3(values: list[list[int]]) -> Array:
    return np.array(values).reshape(-1, 1, 3, 3)


CASES = [
    (
        "3x3, 8 bit",
        layer(kernels_3x3([list(range(1, 10)), list(range(0x11, 0x1A))]), in_shape=(1, 3, 3)),
        ["010203040506070809", "111213141516171819"],
    ),
    (
        "1x1, 8 bit",
        layer(np.arange(1, 13).reshape(12, 1, 1, 1), in_shape=(1, 3, 3)),
        ["090807060504030201", "0000000000000c0b0a"],
    ),
    (
        "3x3, 4 bit",
        layer(kernels_3x3([[1] * 9, [2] * 9, [3] * 9, [-1] * 9]), in_shape=(1, 3, 3), bits=4),
        ["21" * 9, "f3" * 9],
    ),
    (
        "3x3, 2 bit",
        layer(kernels_3x3([[1] * 9, [-1] * 9, [-2] * 9, [0] * 9]), in_shape=(1, 3, 3), bits=2),
        ["2d" * 9],
    ),
    (
        "3x3, 1 bit",
        layer(
            kernels_3x3([[value] * 9 for value in (-1, 0, 0, -1, 0, 0, 0, -1)]), in_shape=(1, 3, 3), bits=1
        ),
        ["89" * 9],
    ),
    (
        "conv1d of length 5",
        layer(
            np.array([[1, 2, 3, 4, 5], [0x11, 0x12, 0x13, 0x14, 0x15]]).reshape(2, 1, 5),
            op=LayerOp.CONV1D,
            in_shape=(1, 9),
        ),
        ["121314150102030405", "000000000000000011"],
    ),
    (
        "transposed 3x3",
        layer(kernels_3x3([list(range(1, 10))]), op=LayerOp.CONV_TRANSPOSE2D, in_shape=(1, 3, 3)),
        ["090807060504030201"],
    ),
    (
        "flatten 2x2x2 to 3, first processor",
        layer(np.arange(24).reshape(3, 8), op=LayerOp.LINEAR, in_shape=(2, 2, 2), flatten=True),
        ["100b0a090803020100", "000000000000131211"],
    ),
]


@pytest.mark.parametrize(("item", "slots"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_worked_examples(item: Layer, slots: list[str]) -> None:
    packed = image(item)
    assert [bytes(slot).hex() for slot in packed.content[0]] == slots
    assert packed.length == len(slots)
    assert packed.slots.tolist() == list(range(len(slots)))


def test_passes_of_one_processor_follow_each_other() -> None:
    # 70 inputs take two passes of 36 processors: processor 0 holds channels 0 and 36 of every output.
    outputs, inputs = np.meshgrid(np.arange(2), np.arange(70), indexing="ij")
    weight = ((70 * outputs + inputs) % 127).reshape(2, 70, 1, 1)
    packed = image(layer(weight, in_shape=(70, 2, 2)))
    assert bytes(packed.content[0, 0]).hex() == "00000000006a462400"


def test_unaligned_outputs_skip_the_slots_of_the_lanes_before() -> None:
    packed = image(layer(kernels_3x3([[1] * 9, [2] * 9]), in_shape=(1, 3, 3)), processors=0b1100)
    assert packed.slots.tolist() == [2, 3]
    assert packed.count == 4  # leading dummies count (section 4.3)


@given(
    bits=st.sampled_from([1, 2, 4, 8]),
    size=st.sampled_from([1, 3]),
    inputs=st.integers(1, 130),
    outputs=st.integers(1, 130),
    seed=st.integers(0, 1000),
)
def test_every_weight_is_where_the_stream_says(
    bits: int, size: int, inputs: int, outputs: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    top = 1 << bits - 1
    weight = rng.integers(-top, top, (outputs, inputs, size, size))
    item = layer(weight, in_shape=(inputs, 3, 3), bits=bits)
    geometry = geometry_of(item, CNN)
    packed = image(item)
    positions = positions_of(geometry, (1 << geometry.out_passes.width) - 1, CNN)
    taps, passes, width = size * size, geometry.in_passes.count, geometry.in_passes.width
    for _ in range(20):
        channel, source, tap = rng.integers(outputs), int(rng.integers(inputs)), int(rng.integers(taps))
        number = positions.channels.index(int(channel)) * passes + source // width
        group, shift = divmod(number, 8 // bits)
        place = group * taps + taps - 1 - tap  # last tap first
        slot = packed.content[source % width, packed.slots.tolist().index(place // 9)]
        field = int(slot[8 - place % 9]) >> shift * bits & (1 << bits) - 1
        assert field == int(weight[channel, source].reshape(-1)[tap]) & (1 << bits) - 1
