"""Allocation of weight slots and bias bytes: the rules of docs/accelerator.md, sections 4.4 and 4.5."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synergyc.diagnostics import SynergyError
from synergyc.ir.network import Layer, LayerOp, Tensor
from synergyc.ir.types import frozen_array
from synergyc.synth.biases import BiasRequest, allocate_biases, bias_columns
from synergyc.synth.kernels import KernelImage
from synergyc.synth.memories import WeightRequest, allocate_weights
from synergyc.synth.packing import Column, packed
from synergyc.synth.placed import BiasPlace, PlacedLayer
from synergyc.targets import load_chip

SMALL, LARGE = load_chip("max78000").cnn, load_chip("max78002").cnn
ALL = (1 << 64) - 1


def request(processors: int, length: int, *, depthwise: bool = False) -> WeightRequest:
    rng = np.random.default_rng(length)
    content = rng.integers(0, 256, (processors.bit_count(), length, 9)).astype(np.uint8)
    return WeightRequest(
        "layer", processors, KernelImage(np.arange(length), content, length, length), depthwise
    )


def test_layers_in_all_processors_come_first_and_starts_are_multiples_of_four() -> None:
    requests = [request(0xF, 5), request(ALL, 6), request(0xFF, 7)]
    assert allocate_weights(requests, SMALL) == (8, 0, 16)


def test_first_fit_fills_the_gaps_of_other_processors() -> None:
    requests = [request(0xF, 100), request(0xF0, 8), request(0xFF, 4), request(0xF0, 80)]
    assert allocate_weights(requests, SMALL) == (0, 0, 100, 8)


def test_equal_weights_are_stored_once() -> None:
    assert allocate_weights([request(1, 5), request(2, 9), request(1, 5)], SMALL) == (0, 0, 0)


def test_start_is_rounded_up() -> None:
    assert allocate_weights([request(1, 5)], SMALL, start=37) == (40,)


def test_large_processors_are_filled_from_the_end() -> None:
    # A layer of 1 processor and 5 slots ends up at 5112 on the larger chip (section 4.4).
    # The next one's last slot is a multiple of 4 below it, and its first one is rounded down.
    assert allocate_weights([request(1, 5), request(1, 4), request(3, 4)], LARGE) == (5112, 5104, 0)


def test_depthwise_kernels_stay_inside_one_physical_memory() -> None:
    requests = [request(0xF0, 1020), request(0xF0, 8, depthwise=True)]
    assert allocate_weights(requests, LARGE) == (0, 1024)


def test_full_weight_memory_is_reported() -> None:
    with pytest.raises(SynergyError, match="weights do not fit") as error:
        allocate_weights([request(ALL, 700), request(1, 100)], SMALL)
    assert error.value.diagnostics[0].need == "100 consecutive slots"


def biased(count: int, *, flatten: bool = False, outputs: int | None = None, value: int = 1) -> PlacedLayer:
    layer = Layer(
        f"b{count}",
        LayerOp.LINEAR,
        ("input",),
        Tensor("layer", (count,), 7),
        (4, 1, 1),
        weight=frozen_array(np.zeros((count, 4)), np.int8),
        bias=frozen_array(np.full(count, value), np.int8),
        flatten=flatten,
    )
    return PlacedLayer(layer, 0, 0xF, outputs or (1 << count) - 1, 0, 0)


def places(layers: list[PlacedLayer], quadrants: tuple[int, ...] = (0, 1)) -> list[BiasPlace]:
    requests = [BiasRequest(layer, quadrants) for layer in layers]
    return [place for (place,) in allocate_biases(requests, SMALL)]


def test_largest_biases_come_first_into_the_emptiest_quadrant() -> None:
    found = places([biased(10), biased(30), biased(20), biased(5)])
    assert found == [BiasPlace(1, 20), BiasPlace(0, 0), BiasPlace(1, 0), BiasPlace(0, 30)]


def test_flattening_layers_come_first_on_the_first_generation() -> None:
    assert places([biased(30), biased(10, flatten=True)])[1] == BiasPlace(0, 0)


def test_equal_biases_are_stored_once() -> None:
    assert places([biased(10), biased(10)]) == [BiasPlace(0, 0)] * 2


def test_unaligned_outputs_have_leading_dummies() -> None:
    assert bias_columns(biased(2, outputs=0b1100), SMALL) == {0: [None, None, 1, 1]}


def test_full_bias_memory_is_reported() -> None:
    with pytest.raises(SynergyError, match="biases do not fit") as error:
        places([biased(300, value=1), biased(300, value=2)], quadrants=(0,))
    assert error.value.diagnostics[0].have == "212 of 512 bytes"


def _sums(sizes: Sequence[int], chosen: Sequence[int], memories: int) -> list[int]:
    pairs = list(zip(sizes, chosen, strict=True))
    return [sum(size for size, memory in pairs if memory == item) for item in range(memories)]


def test_biases_are_shared_out_where_the_rule_of_the_emptiest_quadrant_finds_no_room() -> None:
    # Only 300 + 212 and 200 + 200 + 112 fill two quadrants; the rule puts 212 and 200 together.
    sizes = (300, 212, 200, 200, 112)
    found = places([biased(size, value=index + 1) for index, size in enumerate(sizes)])
    assert _sums(sizes, [place.quadrant for place in found], 2) == [512, 512]


@pytest.mark.parametrize(
    ("sizes", "quadrants", "said"),
    [((300, 300, 300), 2, "no arrangement exists"), (range(103, 120), 4, "the search budget ran out")],
)
def test_biases_without_room_say_whether_that_is_proven(
    sizes: Sequence[int], quadrants: int, said: str
) -> None:
    with pytest.raises(SynergyError, match=said):
        places([biased(size, value=index + 1) for index, size in enumerate(sizes)], tuple(range(quadrants)))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=6), st.integers(1, 3))
def test_packing_finds_what_trying_everything_finds(sizes: list[int], memories: int) -> None:
    columns = [Column(size, tuple(range(memories))) for size in sizes]
    found, finished = packed(columns, dict.fromkeys(range(memories), 0), 15)
    choices = product(range(memories), repeat=len(sizes))
    assert finished
    assert (found is not None) == any(max(_sums(sizes, choice, memories)) <= 15 for choice in choices)
    if found is not None:
        assert max(_sums(sizes, found, memories)) <= 15


def test_depthwise_biases_are_transposed_in_broadcast_mode() -> None:
    # Worked example of section 4.5: 6 channels, biases 1 to 6.
    layer = Layer(
        "depthwise",
        LayerOp.CONV2D,
        ("input",),
        Tensor("depthwise", (6, 4, 4), 7),
        (6, 4, 4),
        kernel=(3, 3),
        padding=(1, 1),
        groups=6,
        weight=frozen_array(np.zeros((6, 1, 3, 3)), np.int8),
        bias=frozen_array(np.arange(1, 7), np.int8),
    )
    columns = bias_columns(PlacedLayer(layer, 0, 0x3F, 0x3F, 0, 0), LARGE)
    assert [value or 0 for value in columns[0]] == [1, 5, 0, 0, 2, 6, 0, 0, 3, 0, 0, 0, 4]
