"""Mutated placements: what the verifier accepts gives the same result, bit by bit; the rest it rejects.

Truth: the integer reference, against the emulated accelerator, which follows registers and memory only. So a
rule that the verifier lacks shows as a placement that it accepts and that computes something else.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from synergyc.diagnostics import SynergyError
from synergyc.ir.network import Network
from synergyc.synth.placed import BiasPlace, PlacedLayer, PlacedNetwork
from synergyc.synth.placement import place
from synergyc.synth.verify import verify
from synergyc.targets import load_chip
from tests.synth.machine import wrong_outputs
from tests.synth.shapes import NETWORKS

STEPS = st.sampled_from([-4096, -256, -64, -8, -4, 4, 8, 64, 256, 4096])


@st.composite
def mutations(draw: st.DrawFn, placed: PlacedNetwork) -> PlacedNetwork:
    """Return ``placed`` with one thing moved."""
    index = draw(st.integers(0, len(placed.layers) - 1))
    layer = placed.layers[index]
    kinds = ["in_offset", "out_offset", "output_processors", "processors", "write_gap", "tensor"]
    kinds += [] if layer.passthrough else ["weight_slot", "bias"]
    kind = draw(st.sampled_from(kinds))
    if kind == "tensor":
        return _moved_tensor(draw, placed)
    layers = list(placed.layers)
    layers[index] = _mutated(draw, layer, kind)
    return replace(placed, layers=tuple(layers))


def _mutated(draw: st.DrawFn, layer: PlacedLayer, kind: str) -> PlacedLayer:
    if kind == "in_offset":
        return replace(layer, in_offset_bytes=max(0, layer.in_offset_bytes + draw(STEPS)))
    if kind == "out_offset":
        return replace(layer, out_offset_bytes=max(0, layer.out_offset_bytes + draw(STEPS)))
    if kind == "processors":
        return replace(layer, processors=_shifted(draw, layer.processors))
    if kind == "output_processors":
        return replace(layer, output_processors=_shifted(draw, layer.output_processors))
    if kind == "write_gap":
        return replace(layer, write_gap=draw(st.integers(0, 3)))
    if kind == "weight_slot":
        return replace(layer, weight_slot=4 * draw(st.integers(0, 40)))
    return replace(layer, bias=(BiasPlace(draw(st.integers(0, 3)), draw(st.integers(0, 40))),))


def _shifted(draw: st.DrawFn, bits: int) -> int:
    shift = draw(st.sampled_from([-16, -4, -1, 1, 4, 16]))
    moved = bits << shift if shift > 0 else bits >> -shift
    return moved & ((1 << 64) - 1) or 1


def _moved_tensor(draw: st.DrawFn, placed: PlacedNetwork) -> PlacedNetwork:
    side = draw(st.sampled_from(["inputs", "outputs"]))
    tensors = placed.inputs if side == "inputs" else placed.outputs
    moved = (replace(tensors[0], offset_bytes=max(0, tensors[0].offset_bytes + draw(STEPS))), *tensors[1:])
    return replace(placed, inputs=moved) if side == "inputs" else replace(placed, outputs=moved)


@pytest.mark.parametrize("chip_name", ["max78000", "max78002"])
@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(net=NETWORKS, data=st.data())
def test_what_the_verifier_accepts_computes_the_same(
    chip_name: str, net: Network, data: st.DataObject
) -> None:
    chip = load_chip(chip_name)
    try:
        placed = place(net, chip)
    except SynergyError:
        return
    mutant = data.draw(mutations(placed))
    note(f"{net}{placed}{mutant}")
    if verify(mutant, chip) == ():
        assert wrong_outputs(net, mutant, chip) == []


def test_the_mutations_are_not_all_accepted_and_not_all_rejected() -> None:
    chip = load_chip("max78000")
    seen: set[bool] = set()

    @settings(max_examples=60, deadline=None, database=None, derandomize=True)
    @given(net=NETWORKS, data=st.data())
    def look(net: Network, data: st.DataObject) -> None:
        try:
            placed = place(net, chip)
        except SynergyError:
            return
        seen.add(verify(data.draw(mutations(placed)), chip) == ())

    look()
    assert seen == {True, False}
