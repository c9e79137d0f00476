"""Small cases worked out by hand from docs/accelerator.md; they need neither data nor vendor tool."""

from __future__ import annotations

import numpy as np
import pytest

from synergyc.emulate.accelerator import Accelerator
from synergyc.emulate.accelerator.compute import convolve, pool, requantize
from synergyc.emulate.accelerator.config import Activation, Pool
from synergyc.emulate.accelerator.memory import unpack
from synergyc.targets import load_chip

# docs/accelerator.md, 5.4: 3x4x5 HWC input, 3x3, pad 1, 4 outputs, ReLU, bias, output at 0x4000
EXAMPLE = {
    "max78000": {
        "RCNT": 0x10005,
        "CCNT": 0x10006,
        "WPTR": 0x1000,
        "MOFFS": 0x2000,
        "LCTL": 0xB20,
        "LCTL2": 0x1800,
        "MCNT": 0x18,
        "TPTR": 4,
        "POST": 0x1000,
        "ENA": 0x70007,
    },
    "max78002": {
        "RCNT": 0x18003,
        "CCNT": 0x18004,
        "STRIDE": 0x10,
        "WPTR": 0x1000,
        "MOFFS": 0x8000,
        "LCTL": 0x880B20,
        "LCTL2": 0x18000,
        "MCNT1": 0x18,
        "OCHAN": 3,
        "TPTR": 4,
        "POST": 0x1000,
        "ENA": 0x70007,
    },
}
ADDRESSES = {"max78000": (0x50100000, 0x50180000, 0x4000), "max78002": (0x51000000, 0x51400000, 0x20000)}
"""Quadrant 0, weights of processor 0, distance of two processors (docs/accelerator.md, 1)."""


@pytest.mark.parametrize("chip", ["max78000", "max78002"])
def test_worked_register_example(chip: str) -> None:
    """Output 0 copies half of channel 0, 1 shifts channel 1 right by a column, 2 subtracts channel 2.

    The only input that is not zero: channel 0 = 101 at (0, 0), channel 1 = 64 at (1, 2), channel 2 = 127 at
    (3, 4), and bias 1, 0, 2, -1:
      output 0: floor(101 * 64 / 128 + 1/2) + 1 = 51 + 1 at (0, 0), else 1
      output 1: 64 * 64 / 128 = 32 at (1, 3), else 0
      output 2: 2 - 127 < 0, ReLU: 0 at (3, 4), else 2
      output 3: -1, ReLU: 0 everywhere
    """
    cnn = load_chip(chip).cnn
    quadrant, weights, stride = ADDRESSES[chip]
    accelerator = Accelerator(cnn)
    accelerator.set_power(1)
    accelerator.write(quadrant, 4, 0x00100008)
    for name, value in EXAMPLE[chip].items():
        accelerator.write(cnn.layer_register_address(0, name, 0), 4, value)
    taps = [[(0, 4, 64)], [(1, 3, 64)], [(2, 4, -128)]]  # output, tap, weight of each processor
    for processor, entries in enumerate(taps):
        slots = bytearray(36)
        for output, tap, weight in entries:
            slots[9 * output + tap] = weight & 0xFF
        window = weights + processor * stride
        accelerator.write(window | 1, 1, 1)
        for i in range(0, 36, 4):
            accelerator.write(window + i, 4, int.from_bytes(slots[i : i + 4], "big"))
    for i, bias in enumerate((1, 0, 2, 0xFF)):
        accelerator.write(cnn.bias_address(0) + 4 * i, 4, bias)
    data = cnn.data_address(0)
    accelerator.write(data, 4, 101)
    accelerator.write(data + 4 * 7, 4, 64 << 8)
    accelerator.write(data + 4 * 19, 4, 127 << 16)
    accelerator.write(quadrant, 4, 0x00100808)
    accelerator.write(quadrant, 4, 0x00100009)
    accelerator.finish()
    expected = dict.fromkeys(range(20), 0x00020001) | {0: 0x00020034, 8: 0x00022001, 19: 0x00000001}
    assert {p: accelerator.read(data + 0x4000 + 4 * p, 4) for p in range(20)} == expected


@pytest.mark.parametrize(
    ("total", "shift", "activation", "result"),
    [  # docs/accelerator.md, 2.1
        (-192, 0, Activation.NONE, -1),
        (-193, 0, Activation.NONE, -2),
        (192, 0, Activation.NONE, 2),
        (64, 0, Activation.NONE, 1),
        (63, 0, Activation.NONE, 0),
        (-64, 0, Activation.NONE, 0),
        (-65, 0, Activation.NONE, -1),
        (1 << 27, 0, Activation.NONE, 127),
        (-(1 << 27), 0, Activation.NONE, -128),
        (-(1 << 27), 0, Activation.ABS, 127),
        (-(1 << 27), 0, Activation.RELU, 0),
        (5, 7, Activation.NONE, 5),
        (-3, 8, Activation.NONE, -6),
        (1, 15, Activation.NONE, 127),
        (-1, 15, Activation.NONE, -128),
        (1 << 21, -15, Activation.NONE, 1),
        ((1 << 21) - 1, -15, Activation.NONE, 0),
    ],
)
def test_shift_round_clamp_activate(total: int, shift: int, activation: Activation, result: int) -> None:
    assert requantize(np.array([total], np.int32), 0, shift, activation).tolist() == [result]


@pytest.mark.parametrize(
    ("window", "rounding", "result"),
    [  # docs/accelerator.md, 2.2
        ([-1, -1, -1, 0], False, 0),
        ([-2, -2, -2, 0], False, -1),
        ([1, 1, 1, 0], False, 0),
        ([-1, -1, 0, 0], True, -1),
        ([1, 1, 0, 0], True, 1),
        ([1, 0, 0, 0], True, 0),
        ([127, 127, 127, 127], True, 127),
        ([-128, -128, -128, -128], True, -128),
    ],
)
def test_average_pooling(window: list[int], rounding: bool, result: int) -> None:
    data = np.array(window, np.int8).reshape(2, 2)
    assert pool(data, Pool(2, 2, 1, 1, 1, True, rounding)).tolist() == [[result]]


def test_largest_pooling_window_does_not_overflow() -> None:
    for value in (-128, 127):
        data = np.full((16, 16), value, np.int8)
        assert pool(data, Pool(16, 16, 1, 1, 16, True, False)).tolist() == [[value]]


def test_dilated_pooling() -> None:
    """Window 2x2 with dilation 3 and 2: pixels (0, 0), (0, 2), (3, 0), (3, 2)."""
    data = np.arange(16, dtype=np.int8).reshape(4, 4)
    assert pool(data, Pool(2, 2, 3, 2, 1, False, False)).tolist() == [[14, 15]]
    assert pool(-data, Pool(2, 2, 3, 2, 1, False, False)).tolist() == [[0, -1]]


@pytest.mark.parametrize(
    ("stored", "bits", "binary", "weights"),
    [  # docs/accelerator.md, 4.1 and 2.1: field 0 in the low bits
        (0x21, 4, False, [1, 2]),
        (0xF3, 4, False, [3, -1]),
        (0x2D, 2, False, [1, -1, -2, 0]),
        (0x89, 1, False, [-1, 0, 0, -1, 0, 0, 0, -1]),
        (0x89, 1, True, [-1, 1, 1, -1, 1, 1, 1, -1]),
        (0x80, 8, False, [-128]),
    ],
)
def test_weight_fields(stored: int, bits: int, binary: bool, weights: list[int]) -> None:
    packed = np.array([[stored]], np.uint8)
    assert unpack(packed, bits, binary).reshape(-1).tolist() == weights


def test_sums_at_the_edge_of_float32() -> None:
    """1024 products of 128 * 128 make 2^24: one more would be lost in float32."""
    weights = np.full((1, 1, 1025, 1), -128, np.float32)
    weights[0, 0, 1024] = -1
    data = np.full((1, 1, 1025), -128, np.float32)
    data[0, 0, 1024] = -1
    assert convolve(data, weights).tolist() == [[[(1 << 24) + 1]]]
