"""Memory needs against what the vendor's tool allots.

Known values: weight slots of each processor, processors and passes as ai8x-synthesis ab4f4c0 prints them for
its networks mnist-chw-ai85, kws20-v3-hwc, cifar100-simple, camvid-unet-large and ai87-cifar100-effnet2.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from synergyc.ir.network import Layer, LayerOp, Network, Tensor
from synergyc.ir.types import EltwiseOp, Shape
from synergyc.legalize import check_together, memory
from synergyc.targets import load_chip
from tests.ir.networks import conv2d, single

CNN = load_chip("max78000").cnn
CONV, LINE, UP, FULL = LayerOp.CONV2D, LayerOp.CONV1D, LayerOp.CONV_TRANSPOSE2D, LayerOp.LINEAR


def layer(
    op: LayerOp, shape: Shape, outputs: int, kernel: tuple[int, ...], bits: int = 8, groups: int = 1
) -> Layer:
    return Layer(
        name="y",
        op=op,
        inputs=("x",),
        output=Tensor("y", (outputs, *shape[1:]), 7),
        in_shape=shape,
        kernel=kernel,
        padding=(0,) * len(kernel),
        dilation=(1,) * len(kernel),
        groups=groups,
        weight=np.ones((outputs, shape[0] // groups, *kernel), np.int8),
        weight_bits=bits,
        flatten=op is FULL and shape[1:] != (1, 1),
    )


@pytest.mark.parametrize(
    ("made", "slots", "processors", "passes"),
    [
        (layer(CONV, (1, 28, 28), 60, (3, 3)), 60, 1, 1),
        (layer(CONV, (56, 8, 8), 12, (3, 3)), 12, 56, 1),
        (layer(FULL, (12, 4, 4), 10, (1, 1)), 18, 12, 1),
        (layer(LINE, (128, 128), 100, (1,)), 24, 64, 2),
        (layer(LINE, (100, 128), 96, (3,)), 64, 52, 2),
        (layer(LINE, (100, 14), 64, (6,)), 86, 52, 2),
        (layer(FULL, (64, 4), 21, (1, 1)), 10, 64, 1),
        (layer(CONV, (16, 32, 32), 20, (3, 3), 4), 10, 16, 1),
        (layer(CONV, (20, 32, 32), 20, (3, 3), 2), 5, 20, 1),
        (layer(CONV, (96, 4, 4), 512, (1, 1), 4), 57, 48, 2),
        (layer(CONV, (512, 2, 2), 128, (1, 1), 4), 57, 64, 8),
        (layer(CONV, (128, 1, 1), 100, (1, 1), 4), 12, 64, 2),
        (layer(UP, (112, 6, 6), 56, (3, 3)), 112, 56, 2),
        (layer(CONV, (192, 16, 16), 192, (3, 3), 8, 192), 3, 64, 3),
        (layer(CONV, (192, 16, 16), 96, (1, 1)), 32, 64, 3),
        (layer(FULL, (1024, 1, 1), 100, (1, 1)), 185, 64, 16),
    ],
)
def test_slots_and_processors_are_the_vendors(made: Layer, slots: int, processors: int, passes: int) -> None:
    assert memory.weight_slots(made, CNN) == slots
    assert memory.processors_per_pass(made.in_shape[0], CNN) == processors
    assert memory.passes(made.in_shape[0], CNN) == passes


@pytest.mark.parametrize(("channels", "processors"), [(64, 64), (65, 36), (70, 36), (100, 52), (192, 64)])
def test_passes_share_channels_in_whole_instances(channels: int, processors: int) -> None:
    """Examples of ai8x-synthesis, README "Multi-pass"; 70 and 100 channels by its tests."""
    assert memory.processors_per_pass(channels, CNN) == processors


def network(*layers: Layer) -> Network:
    """Return the layers with weights that differ: equal ones are shared."""
    named = tuple(
        replace(made, name=f"l{i}", weight=None if made.weight is None else made.weight + np.int8(i))
        for i, made in enumerate(layers)
    )
    return Network("net", (), named, ())


def test_equal_weights_count_once() -> None:
    wide = layer(CONV, (33, 4, 4), 10, (3, 3))
    assert memory.fullest_processor_slots(Network("net", (), (wide, wide), ()), CNN) == 10


def test_layers_on_most_processors_lie_behind_one_another() -> None:
    wide = layer(CONV, (33, 4, 4), 10, (3, 3))
    assert memory.weight_slots(wide, CNN) == 10
    assert memory.fullest_processor_slots(network(wide, wide), CNN) == 12 + 10


def test_layers_on_few_processors_can_lie_beside_one_another() -> None:
    narrow = layer(CONV, (32, 4, 4), 10, (3, 3))
    assert memory.fullest_processor_slots(network(narrow, narrow), CNN) == 10
    assert memory.fullest_processor_slots(network(*[narrow] * 6), CNN) == 30


def test_a_network_without_weights_needs_none() -> None:
    add = Layer(
        "a", LayerOp.PASSTHROUGH, ("x", "y"), Tensor("a", (2, 2, 2), 7), (2, 2, 2), eltwise=EltwiseOp.ADD
    )
    assert memory.fullest_processor_slots(network(add), CNN) == 0
    assert memory.weight_slots(add, CNN) == 0


def test_biases_of_zero_take_no_memory() -> None:
    some = conv2d(outputs=4)
    assert memory.bias_bytes(some) == 4
    assert memory.bias_bytes(replace(some, bias=np.zeros(4, np.int8))) == 0
    assert memory.bias_bytes(replace(some, bias=None)) == 0


def test_data_memory_counts_four_channels_to_a_word() -> None:
    """70 channels in two passes: 2 words for each pixel; 32-bit outputs take 4 words."""
    some = conv2d((70, 5, 6), 70, wide=True)
    assert memory.input_bytes(some, CNN) == 30 * 2 * 4
    assert memory.output_bytes(some, CNN) == 30 * 2 * 4 * 4
    both = Layer("y", LayerOp.PASSTHROUGH, ("a", "b"), some.output, (70, 5, 6), eltwise=EltwiseOp.ADD)
    assert memory.input_bytes(both, CNN) == 30 * 2 * 2 * 4


def test_networks_together_need_the_sum_of_their_memories() -> None:
    chip = load_chip("max78000")
    one, two = (single(conv2d((64, 8, 8), 400, seed=seed), (64, 8, 8)) for seed in range(2))
    assert check_together([one], chip) == check_together([one, one], chip) == ()  # equal weights are shared
    found = check_together([one, two], chip)
    assert [(item.rule, item.need) for item in found] == [("weight-memory", "840")]  # 7 passes of 60 outputs
