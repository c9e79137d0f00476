"""Networks resident together: they take turns on the emulated accelerator and stay bit-exact.

Truth: the integer reference. Between runs only registers are written; weights are loaded once.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, permutations

import pytest

from synergyc.diagnostics import SynergyError
from synergyc.ir.network import LayerOp, Network
from synergyc.ir.types import EltwiseOp
from synergyc.synth.native import generate
from synergyc.synth.occupancy import weight_slots
from synergyc.synth.placed import PlacedNetwork
from synergyc.synth.resident import _place_in_order, data_apart, place_beside, place_resident, switch_words
from synergyc.synth.switch import switch_steps
from synergyc.synth.verify import verify
from synergyc.targets import Chip, load_chip
from tests.synth.machine import Machine, differing, random_inputs
from tests.synth.networks import AVERAGE_2X2, MAX_2X2, Spec, copy, linear, network, point

CHIPS = ("max78000", "max78002")


def example_networks() -> list[Network]:
    """Return networks that have little in common: plain, residual with averages, one-dimensional."""
    plain = network((3, 12, 12), [Spec(20), Spec(70, pool=MAX_2X2), linear(10, wide=True)], name="plain")
    mixed = [
        Spec(8, bits=4),
        Spec(8),
        copy(inputs=("l0", "l1"), eltwise=EltwiseOp.ADD),
        point(100, pool=AVERAGE_2X2),
    ]
    sequence = [Spec(20, LayerOp.CONV1D, kernel=5, pad=2), Spec(6, LayerOp.CONV1D, kernel=3, pad=0)]
    return [
        plain,
        network((4, 8, 8), mixed, seed=1, name="mixed"),
        network((4, 30), sequence, seed=2, name="sequence"),
    ]


def slots_of(placed: PlacedNetwork, chip: Chip) -> set[tuple[int, int]]:
    return {
        (processor, int(slot))
        for layer in placed
        if not layer.passthrough
        for processor in range(chip.cnn.processors)
        if layer.processors >> processor & 1
        for slot in weight_slots(layer, chip.cnn)
    }


@pytest.mark.parametrize("chip_name", CHIPS)
def test_networks_take_turns_without_loading_weights_again(chip_name: str) -> None:
    chip = load_chip(chip_name)
    networks = example_networks()
    placed = place_resident(networks, chip)
    assert [item.name for item in placed] == ["plain", "mixed", "sequence"]
    programs = [generate(item, chip) for item in placed]
    machine = Machine(chip)
    machine.bring_up(programs)
    for turn, index in enumerate((0, 1, 2, 1, 0, 2, 0, 0)):
        others = [program for other, program in enumerate(programs) if other != index]
        before = machine.words_written
        machine.execute(switch_steps(programs[index], others, chip.cnn))
        words = machine.words_written - before
        beside = [item for other, item in enumerate(placed) if other != index]
        assert 0 < words <= switch_words(placed[index], beside, chip)
        inputs = random_inputs(networks[index], turn)
        assert differing(machine.run(programs[index], inputs), networks[index], inputs) == []


@pytest.mark.parametrize("chip_name", CHIPS)
def test_nothing_that_stays_is_shared(chip_name: str) -> None:
    chip = load_chip(chip_name)
    placed = place_resident(example_networks(), chip)
    for index, one in enumerate(placed):
        assert verify(one, chip) == ()
        for two in placed[index + 1 :]:
            assert not slots_of(one, chip) & slots_of(two, chip)


@pytest.mark.parametrize("chip_name", CHIPS)
def test_more_networks_join_those_that_are_there(chip_name: str) -> None:
    """What was placed alone stays as it is, and still runs right in turn with those that came later."""
    chip = load_chip(chip_name)
    networks = example_networks()
    there = place_resident(networks[:1], chip)
    more = place_beside(networks[1:], there, chip)
    assert more is not None
    placed = (*there, *more)
    for one, two in combinations(placed, 2):
        assert not slots_of(one, chip) & slots_of(two, chip)
    programs = [generate(item, chip) for item in placed]
    machine = Machine(chip)
    machine.bring_up(programs)
    for turn, index in enumerate((0, 1, 2, 0)):
        assert verify(placed[index], chip) == ()
        others = [program for other, program in enumerate(programs) if other != index]
        machine.execute(switch_steps(programs[index], others, chip.cnn))
        inputs = random_inputs(networks[index], turn)
        assert differing(machine.run(programs[index], inputs), networks[index], inputs) == []


def test_a_network_that_finds_no_room_beside_others_does_not_join_them() -> None:
    chip = load_chip("max78000")
    big = [Spec(400, bias=False), point(4)]
    first, second = (network((64, 4, 4), big, seed=seed, name=f"net{seed}") for seed in range(2))
    assert place_beside([second], place_resident([first], chip), chip) is None


def test_layers_of_their_own_where_the_chip_can_start_anywhere() -> None:
    placed = place_resident(example_networks(), load_chip("max78002"))
    numbers = [layer.hardware_layer for item in placed for layer in item]
    assert len(set(numbers)) == len(numbers)
    # Then a switch writes control word and layer count of each quadrant, nothing else (section 4.7).
    chip = load_chip("max78002")
    programs = [generate(item, chip) for item in placed]
    assert len(switch_steps(programs[0], programs[1:], chip.cnn)) == 2 * len(placed[0].quadrants)


def test_more_layers_than_there_are_registers_are_shared() -> None:
    chip = load_chip("max78002")
    deep = network((3, 4, 4), [point(3, bias=False)] * 100, name="deep")
    other = network((3, 4, 4), [point(3, bias=False)] * 60, seed=1, name="other")
    placed = place_resident([deep, other], chip)
    assert [item.first_layer for item in placed] == [0, 0]
    assert switch_words(placed[0], placed[1:], chip) > 60


def test_equal_registers_are_not_written_again() -> None:
    chip = load_chip("max78000")
    one = network((3, 8, 8), [Spec(4)], name="one")
    placed = place_resident([one, replace(one, name="two")], chip)
    programs = [generate(item, chip) for item in placed]
    writes = switch_steps(programs[0], programs[1:], chip.cnn)
    # Weights and biases lie elsewhere (MCNT, POST); all else is equal.
    assert len(writes) == 2 + 2


def test_what_does_not_fit_together_names_the_networks() -> None:
    chip = load_chip("max78000")
    big = [Spec(400, bias=False), point(4)]
    networks = [network((64, 4, 4), big, seed=seed, name=f"net{seed}") for seed in range(2)]
    place_resident(networks[:1], chip)
    with pytest.raises(SynergyError) as error:
        place_resident(networks, chip)
    assert error.value.diagnostics[0].rule == "weight-memory"
    assert "net0 and net1 together" in error.value.diagnostics[0].message
    assert "no arrangement exists" in error.value.diagnostics[0].message


def test_networks_that_fit_only_if_placed_at_once_are_placed_at_once() -> None:
    # In none of the six orders do the greedy strategies find room for the last one.
    chip = load_chip("max78000")

    def chain(name: str, channels: int, *pairs: tuple[int, int]) -> Network:
        specs = [spec for out, back in pairs for spec in (Spec(out, bias=False), point(back, bias=False))]
        return network((channels, 4, 4), specs, name=name)

    networks = [
        chain("one", 16, (400, 24)),
        chain("two", 48, (300, 32)),
        chain("three", 48, (150, 24), (150, 32)),
    ]
    assert all(_place_in_order(networks, order, chip, {}) is None for order in permutations(range(3)))
    placed = place_resident(networks, chip)
    programs = [generate(item, chip) for item in placed]
    machine = Machine(chip)
    machine.bring_up(programs)
    for index in (0, 1, 2, 0):
        machine.execute(switch_steps(programs[index], programs, chip.cnn))
        inputs = random_inputs(networks[index])
        assert differing(machine.run(programs[index], inputs), networks[index], inputs) == []


@pytest.mark.parametrize("chip_name", CHIPS)
def test_a_network_that_streams_is_resident_beside_others(chip_name: str) -> None:
    chip = load_chip(chip_name)
    large = [Spec(16), Spec(32, pool=MAX_2X2), Spec(20, pool=MAX_2X2)]
    networks = [*example_networks()[:2], network((3, 200, 150), large, name="large")]
    placed = place_resident(networks, chip)
    assert [item.fifo for item in placed] == [False, False, True]
    programs = [generate(item, chip) for item in placed]
    machine = Machine(chip)
    machine.bring_up(programs)
    for index in (2, 0, 2, 1):
        machine.execute(switch_steps(programs[index], programs, chip.cnn))
        inputs = random_inputs(networks[index], index)
        assert differing(machine.run(programs[index], inputs), networks[index], inputs) == []


def test_no_networks_need_no_place() -> None:
    assert place_resident([], load_chip("max78000")) == ()


def test_input_may_be_loaded_while_an_output_waits_only_if_they_lie_apart() -> None:
    cnn = load_chip("max78000").cnn
    placed = place_resident(example_networks(), load_chip("max78000"))
    first = placed[0]
    moved = replace(first.outputs[0], offset_bytes=first.inputs[0].end_bytes, processors=1)
    apart = replace(first, outputs=(moved,))
    assert data_apart(apart, first, cnn)
    touching = replace(moved, offset_bytes=first.inputs[0].end_bytes - 4)
    assert not data_apart(replace(first, outputs=(touching,)), first, cnn)
    elsewhere = replace(touching, processors=1 << 60)
    assert data_apart(replace(first, outputs=(elsewhere,)), first, cnn)
