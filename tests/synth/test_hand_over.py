"""Segments that the placement accepts can be handed tensors as they lie: words are not rearranged on the way.

Truth: the byte positions of the two programs, and the integer reference for what a second chip makes of them.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synergyc import reference
from synergyc.diagnostics import SynergyError
from synergyc.firmware.layout import pack_tensor, same_layout, unpack_tensor
from synergyc.ir.network import Network
from synergyc.ir.types import Array
from synergyc.plan.space import is_segment, legal_cuts
from synergyc.synth.native import generate
from synergyc.synth.placement import place
from synergyc.synth.program import Program, TensorLayout
from synergyc.targets import Chip, load_chip
from tests.synth.machine import Machine, random_inputs
from tests.synth.networks import MAX_2X2, Spec, network
from tests.synth.shapes import NETWORKS

SMALL, LARGE = load_chip("max78000"), load_chip("max78002")
CHIPS = st.sampled_from([SMALL, LARGE])
BUDGET_S = 0.2
"""Of the constraint solver: what it does not find in time is not placed."""


@st.composite
def large_maps(draw: st.DrawFn) -> Network:
    """Few channels of many pixels: where one lies in the accelerator's memory is decided by its size."""
    side = draw(st.integers(85, 125))
    first = Spec(draw(st.integers(1, 12)))
    others = [Spec(draw(st.integers(1, 17)), pool=draw(st.sampled_from([None, MAX_2X2]))) for _ in range(2)]
    return network((draw(st.integers(1, 4)), side, side), [first, *others])


def programs_of(net: Network, cut: int, chips: tuple[Chip, Chip]) -> tuple[Program, Program] | None:
    """Return the programs on either side of a cut; None if a segment does not fit its chip."""
    parts = (net.segment(0, cut), net.segment(cut + 1, len(net.layers) - 1))
    try:
        placed = [place(part, chip, budget_s=BUDGET_S) for part, chip in zip(parts, chips, strict=True)]
    except SynergyError:
        return None
    one, other = (generate(item, chip) for item, chip in zip(placed, chips, strict=True))
    return one, other


def both_ends(one: Program, other: Program) -> list[tuple[TensorLayout, TensorLayout]]:
    """Return the tensors that ``other`` reads, as ``one`` has them and as ``other`` wants them."""
    known = {layout.tensor.name: layout for layout in (*one.inputs, *one.outputs)}
    return [(known[layout.tensor.name], layout) for layout in other.inputs]


def _assert_that_ends_agree(net: Network, chips: tuple[Chip, Chip], data: st.DataObject) -> None:
    last = len(net.layers) - 1
    cuts = [
        cut
        for cut in legal_cuts(net, several=True)
        if is_segment(net, 0, cut) and is_segment(net, cut + 1, last)
    ]
    found = programs_of(net, data.draw(st.sampled_from(cuts)), chips) if cuts else None
    for made, read in both_ends(*found) if found else ():
        assert same_layout(made, read), (chips[0].name, chips[1].name, made.tensor.name)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(net=NETWORKS, chips=st.tuples(CHIPS, CHIPS), data=st.data())
def test_networks_of_every_form_can_be_cut(
    net: Network, chips: tuple[Chip, Chip], data: st.DataObject
) -> None:
    _assert_that_ends_agree(net, chips, data)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(net=large_maps(), data=st.data())
def test_large_maps_can_be_cut(net: Network, data: st.DataObject) -> None:
    """From the larger chip to the smaller one, whose memory they fit word by word, streaming, or not."""
    _assert_that_ends_agree(net, (LARGE, SMALL), data)


@pytest.mark.parametrize("channels", [4, 8])
def test_a_map_that_is_too_large_for_the_memory_streams(channels: int) -> None:
    """96 x 96 pixels take 36 KiB of a memory instance, which has 32 KiB on MAX78000.

    An input from a sensor would lie there channel by channel, as no layer writes.
    """
    net = network((1, 96, 96), [Spec(channels), Spec(8, pool=MAX_2X2), Spec(4, pool=MAX_2X2)])
    one, other = (net.segment(0, 0), net.segment(1, 2))
    as_sensed = Network(other.name, other.inputs, other.layers, other.outputs)
    assert place(as_sensed, SMALL).inputs[0].big
    found = programs_of(net, 0, (LARGE, SMALL))
    assert found is not None
    first, second = found
    assert second.fifo_ports
    ((made, read),) = both_ends(first, second)
    assert same_layout(made, read)
    between = _run(first, LARGE, random_inputs(one))
    words = pack_tensor(made, between[made.tensor.name])
    received = unpack_tensor(read, np.array(words, dtype="<u4").tobytes())
    results = _run(second, SMALL, {read.tensor.name: received})
    expected = reference.run(net, {name: values[np.newaxis] for name, values in random_inputs(net).items()})
    for name, values in expected.items():
        assert np.array_equal(results[name], values[0])


def _run(program: Program, chip: Chip, inputs: Mapping[str, Array]) -> dict[str, Array]:
    machine = Machine(chip)
    machine.bring_up([program])
    return machine.run(program, inputs)
