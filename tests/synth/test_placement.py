"""Placement: what place() returns passes the independent verifier; what does not fit is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synergyc.diagnostics import SynergyError
from synergyc.ir.network import LayerOp, Network
from synergyc.ir.types import Activation, EltwiseOp, Pool, PoolKind, frozen_array
from synergyc.synth.placed import PlacedNetwork
from synergyc.synth.placement import place
from synergyc.synth.verify import verify
from synergyc.targets import load_chip
from tests.synth.machine import wrong_outputs
from tests.synth.networks import AVERAGE_2X2, MAX_2X2, Spec, copy, linear, network, point

CHIPS = ("max78000", "max78002")
SMALL = [Spec(20), Spec(70, pool=MAX_2X2), point(100, pool=AVERAGE_2X2), Spec(12), linear(10, wide=True)]


def checked(net: Network, chip_name: str, **options: object) -> PlacedNetwork:
    chip = load_chip(chip_name)
    placed = place(net, chip, **options)  # type: ignore[arg-type]
    assert verify(placed, chip) == ()
    return placed


def refused(net: Network, chip_name: str) -> str:
    with pytest.raises(SynergyError) as error:
        place(net, load_chip(chip_name))
    assert error.value.diagnostics[0].need is not None
    assert error.value.diagnostics[0].have is not None
    return error.value.diagnostics[0].rule


@pytest.mark.parametrize("chip", CHIPS)
def test_chain_uses_maps_of_the_channel_counts(chip: str) -> None:
    placed = checked(network((3, 16, 16), SMALL), chip)
    counts = [layer.processors.bit_count() for layer in placed]
    # 70 channels take 2 passes of 36 processors, 100 take 2 of 52 (section 1, "Passes").
    assert counts == [3, 20, 36, 52, 12]
    assert placed.outputs[0].tensor.width_bits == 32
    assert 0 in placed.quadrants


def test_an_input_too_large_for_hwc_is_read_as_chw() -> None:
    placed = checked(network((3, 160, 160), [Spec(8, pool=MAX_2X2), Spec(16, pool=MAX_2X2)]), "max78000")
    assert placed.layers[0].big
    assert placed.inputs[0].big
    assert placed.layers[0].processors == 0x111


def test_large_tensors_go_to_different_instances() -> None:
    # 90x90 pixels of 4 channels are 32400 of 32768 bytes: input and output cannot share an instance.
    placed = checked(network((4, 90, 90), [Spec(8), Spec(8), Spec(8)]), "max78000")
    for layer in placed:
        assert not layer.processors & layer.output_processors


@pytest.mark.parametrize("chip", CHIPS)
def test_residual_sum_reads_both_operands_interleaved(chip: str) -> None:
    net = network(
        (3, 16, 16),
        [Spec(20), Spec(20), copy(inputs=("l0", "l1"), eltwise=EltwiseOp.ADD), Spec(8, bias=False)],
    )
    placed = checked(net, chip)
    total = next(layer for layer in placed if layer.operands == 2)
    producers = {layer.layer.name: layer for layer in placed if layer.layer.name in total.layer.inputs}
    assert {layer.write_gap for layer in producers.values()} == {1}
    offsets = [producers[name].out_offset_bytes - total.in_offset_bytes for name in total.layer.inputs]
    assert offsets == [0, 4]
    # The first operand is also read by the second convolution: only some chips can skip words.
    copies = [layer for layer in placed if layer.passthrough and layer.operands == 1]
    assert len(copies) == (1 if chip == "max78000" else 0)


def test_concatenation_lies_side_by_side() -> None:
    placed = checked(network((4, 8, 8), [Spec(16), Spec(20), Spec(8, inputs=("l0", "l1"))]), "max78000")
    assert (
        placed.layers[2].processors == placed.layers[0].output_processors | placed.layers[1].output_processors
    )


def test_concatenation_beyond_one_pass_alternates_words() -> None:
    placed = checked(network((4, 8, 8), [Spec(64), Spec(64), Spec(8, inputs=("l0", "l1"))]), "max78000")
    # The first tensor is read by the second layer as well, so it is copied between the other's words.
    assert [layer.write_gap for layer in placed] == [0, 1, 1, 0]


@pytest.mark.parametrize("chip", CHIPS)
def test_concatenation_of_unequal_parts_leaves_processors_out_or_adds_dead_channels(chip: str) -> None:
    one_pass = network((4, 8, 8), [Spec(10), Spec(13), Spec(8, inputs=("l0", "l1"))])
    assert checked(one_pass, chip).layers[2].processors == 0x3FF | 0x1FFF << 12
    beyond = network((4, 8, 8), [Spec(64), Spec(40), Spec(8, inputs=("l0", "l1"))])
    placed = checked(beyond, chip)
    assert [layer.layer.output.shape[0] for layer in placed if not layer.passthrough] == [64, 64, 8]
    for net in (one_pass, beyond):
        assert wrong_outputs(net, place(net, load_chip(chip)), load_chip(chip)) == []


@pytest.mark.parametrize("chip_name", CHIPS)
@pytest.mark.parametrize(
    ("specs", "outputs"),
    [
        ([Spec(64), Spec(40), Spec(8, inputs=("l0", "l1"))], ["l1", "l2"]),  # what is read outside stays
        ([Spec(31), Spec(33), copy(inputs=("l0", "l1"))], []),  # 65 processors with the gap
        ([Spec(6), Spec(9), copy(inputs=("l0", "l1"))], []),  # a gap that a layer without weights keeps
        ([Spec(100), Spec(20), Spec(8, inputs=("l0", "l1"))], []),  # an operand of two passes
        ([Spec(100), Spec(20), Spec(8, inputs=("l1", "l0"))], []),
        (
            [
                Spec(70),
                Spec(70),
                copy(inputs=("l0", "l1"), eltwise=EltwiseOp.ADD),
                Spec(8, inputs=("l2", "l0")),
            ],
            [],
        ),
        (
            [Spec(8), copy(pool=MAX_2X2), copy(inputs=("l0",), pool=MAX_2X2), Spec(8, inputs=("l1", "l2"))],
            [],
        ),
        ([Spec(8), copy(), Spec(8, inputs=("l0", "l1"))], []),  # a tensor beside its own copy
    ],
)
def test_concatenations_that_dense_copies_make_possible(
    specs: list[Spec], outputs: list[str], chip_name: str
) -> None:
    net = network((4, 8, 8), specs, outputs=outputs)
    chip = load_chip(chip_name)
    assert wrong_outputs(net, checked(net, chip_name), chip) == []


@pytest.mark.parametrize("chip_name", CHIPS)
@pytest.mark.parametrize("order", [("l3", "l2"), ("l2", "l3")])
def test_dilated_sequences_are_combined_with_others(order: tuple[str, str], chip_name: str) -> None:
    """The hardware writes dilated convolutions from before their output on, here between another's words."""
    specs = [
        Spec(8, LayerOp.CONV1D, pad=0),
        Spec(8, LayerOp.CONV1D, kernel=9, pad=0),
        Spec(8, LayerOp.CONV1D, kernel=9, pad=0),
        Spec(8, LayerOp.CONV1D, pad=0, dilation=8, inputs=("l0",)),
        copy(inputs=order, eltwise=EltwiseOp.ADD),
        Spec(6, LayerOp.CONV1D, kernel=1, pad=0, inputs=("l3", "l4")),
    ]
    net = network((6, 40), specs)
    chip = load_chip(chip_name)
    assert wrong_outputs(net, checked(net, chip_name), chip) == []


def test_averaging_after_a_sum_leaves_a_number_for_the_extra_layer() -> None:
    specs = [Spec(8), Spec(8), copy(inputs=("l0", "l1"), eltwise=EltwiseOp.ADD), point(8, pool=AVERAGE_2X2)]
    placed = checked(network((3, 8, 8), specs), "max78002")
    assert [layer.hardware_layer for layer in placed] == [0, 1, 2, 4]


@pytest.mark.parametrize("chip", CHIPS)
def test_transposed_and_one_dimensional_convolutions(chip: str) -> None:
    up = Spec(12, LayerOp.CONV_TRANSPOSE2D)
    assert checked(network((8, 6, 6), [up, Spec(4)]), chip).outputs[0].tensor.shape == (4, 12, 12)
    flat = Spec(20, LayerOp.CONV1D, kernel=5, pad=2)
    checked(network((4, 100), [flat, replace(flat, pool=Pool(PoolKind.MAX, (2, 1), 2))]), chip)


@pytest.mark.parametrize("chip", CHIPS)
@pytest.mark.parametrize("side", [8, 9, 12])
@pytest.mark.parametrize(
    "pool", [Pool(PoolKind.MAX, (2, 2), 1), Pool(PoolKind.MAX, (2, 2), 2), AVERAGE_2X2], ids=str
)
def test_transposed_convolutions_pool_first(chip: str, side: int, pool: Pool) -> None:
    """Pooling strides stand in no register of their own there; the vendor's programs are the same."""
    up = Spec(12, LayerOp.CONV_TRANSPOSE2D, pool=pool)
    checked(network((8, side, side), [up, Spec(4)]), chip)


@pytest.mark.parametrize("chip", CHIPS)
def test_widely_dilated_convolutions_leave_room_for_what_they_write_around_their_output(chip: str) -> None:
    wide = Spec(20, LayerOp.CONV1D, kernel=3, pad=0, dilation=11)
    placed = checked(network((4, 200), [wide, wide]), chip)
    # The rows of 11 values before the output are written as well (section 5.7).
    assert all(layer.out_offset_bytes >= 4 * 11 for layer in placed)


def test_depthwise_layers_keep_their_processors() -> None:
    deep = Spec(0, groups=2)
    placed = checked(network((3, 8, 8), [Spec(70), deep, point(12), deep]), "max78002")
    assert all(layer.processors == layer.output_processors for layer in placed if layer.layer.groups > 1)
    assert refused_rules(network((3, 8, 8), [deep]), "max78000") == {"groups"}


def refused_rules(net: Network, chip: str) -> set[str]:
    with pytest.raises(SynergyError) as error:
        place(net, load_chip(chip))
    return {item.rule for item in error.value.diagnostics}


def test_networks_beside_each_other_share_no_weights_and_no_biases() -> None:
    one = checked(network((3, 16, 16), SMALL), "max78000")
    two = checked(network((3, 16, 16), SMALL, seed=1), "max78000", beside=[one])
    three = checked(network((3, 16, 16), SMALL, seed=2), "max78000", beside=[one, two])
    for first, second in ((one, two), (one, three), (two, three)):
        starts = {layer.weight_slot for layer in first} & {layer.weight_slot for layer in second}
        assert not starts & {0}
        assert not {b for layer in first for b in layer.bias} & {b for layer in second for b in layer.bias}


def test_weight_start_is_respected() -> None:
    placed = checked(network((3, 16, 16), SMALL), "max78000", weight_start=101)
    assert min(layer.weight_slot for layer in placed) == 104


def test_weights_are_spread_over_the_processors() -> None:
    # 8 layers of 16 to 100 outputs need 800 slots in 16 processors, of which one has 768.
    specs = [spec for _ in range(8) for spec in (Spec(100, bias=False), point(16, bias=False))]
    placed = checked(network((16, 4, 4), specs), "max78000")
    assert placed.quadrants != (0,)


@pytest.mark.parametrize(
    ("shape", "specs", "rule"),
    [
        ((64, 100, 100), [Spec(64)], "data-memory"),
        ((64, 8, 8), [Spec(600, bias=False), Spec(600, bias=False), Spec(8)], "weight-memory"),
        ((3, 8, 8), [Spec(600)], "bias-memory"),
        ((3, 4, 4), [point(4, bias=False)] * 33, "layer-count"),
        ((3, 17, 17), [linear(10)], "flatten-pixels"),
        ((1100, 2, 2), [Spec(4)], "channels"),
        ((3, 1030, 1), [point(4)], "rows"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_limit(
    shape: tuple[int, int, int], specs: list[Spec], rule: str
) -> None:
    assert refused(network(shape, specs), "max78000") == rule


def test_the_larger_chip_takes_what_the_smaller_refuses() -> None:
    net = network((64, 8, 8), [Spec(300, bias=False), Spec(200, bias=False), Spec(8)])
    assert refused(net, "max78000") == "weight-memory"
    checked(net, "max78002")


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"output_shift": 16}, "output-shift"),
        ({"padding": (3, 3)}, "padding"),
        ({"dilation": (2, 2)}, "dilation"),
        ({"pool": Pool(PoolKind.MAX, (17, 17), 2)}, "pool-size"),
        ({"pool": Pool(PoolKind.MAX, (2, 2), 2, (2, 2))}, "pool-dilation"),
        ({"groups": 3}, "groups"),
    ],
)
def test_operators_that_the_chip_lacks_are_refused(change: dict[str, object], rule: str) -> None:
    net = network((3, 40, 40), [Spec(3)])
    layer = replace(net.layers[0], **change)  # type: ignore[arg-type]
    assert rule in refused_rules(replace(net, layers=(layer,)), "max78000")


SPECS = st.lists(
    st.one_of(
        st.builds(
            Spec,
            out=st.integers(1, 150),
            pool=st.sampled_from([None, None, MAX_2X2, AVERAGE_2X2]),
            bits=st.sampled_from([1, 2, 4, 8]),
            bias=st.booleans(),
        ),
        st.builds(point, st.integers(1, 150)),
        st.just(copy(pool=Pool(PoolKind.MAX, (3, 3), 1))),
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    specs=SPECS,
    channels=st.integers(1, 80),
    rows=st.integers(8, 24),
    columns=st.integers(8, 24),
    seed=st.integers(),
)
def test_random_chains_pass_the_verifier(
    specs: list[Spec], channels: int, rows: int, columns: int, seed: int
) -> None:
    chain: list[Spec] = []
    size, width = min(rows, columns), channels
    for spec in specs:
        shrink = 1 if spec.pool is None else 2
        many = spec.op is LayerOp.PASSTHROUGH and width > 64
        if size // shrink < 2 or many:
            continue
        size, width = size // shrink - (spec.op is LayerOp.PASSTHROUGH), spec.out or width
        chain.append(spec)
    net = network((channels, rows, columns), [*chain, point(5, wide=True)], seed=abs(seed) % 1000)
    for name in CHIPS:
        chip = load_chip(name)
        try:
            placed = place(net, chip)
        except SynergyError as error:
            rules = {item.rule for item in error.diagnostics}
            assert rules <= {"weight-memory", "data-memory", "bias-memory"}
            continue
        assert verify(placed, chip) == ()


def test_equal_weights_are_shared_where_they_do_not_fit_otherwise() -> None:
    # Two layers of 500 slots in all processors are more than 768; equal ones need 500.
    chip = load_chip("max78000")
    net = network((64, 6, 6), [Spec(500, bias=False)])
    first = net.layers[0]
    second = replace(first, name="l1", output=replace(first.output, name="l1"), activation=Activation.RELU)
    twice = replace(net, layers=(first, second), outputs=("l0", "l1"))
    placed = checked(twice, "max78000")
    assert placed.layers[0].weight_slot == placed.layers[1].weight_slot
    assert wrong_outputs(twice, placed, chip) == []
    other = replace(second, weight=frozen_array(np.asarray(second.weight) // 2, np.int8))
    assert refused(replace(twice, layers=(first, other)), "max78000") == "weight-memory"
