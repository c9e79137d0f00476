"""The verifier finds placements that break a rule: each case breaks one thing in a sound placement."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from synergyc.ir.network import LayerOp
from synergyc.ir.types import EltwiseOp
from synergyc.synth.placed import BiasPlace, PlacedNetwork
from synergyc.synth.placement import place
from synergyc.synth.verify import verify
from synergyc.targets import Chip, load_chip
from tests.synth.networks import MAX_2X2, Spec, copy, network, point

CHIP = load_chip("max78000")
Change = Callable[[PlacedNetwork], PlacedNetwork]


def sound(chip: Chip = CHIP) -> PlacedNetwork:
    specs = [
        Spec(20),
        Spec(20),
        copy(inputs=("l0", "l1"), eltwise=EltwiseOp.ADD),
        Spec(70, pool=MAX_2X2),
        point(9),
    ]
    return place(network((3, 16, 16), specs), chip)


def changed(index: int, **fields: Any) -> Change:
    """Return a change of one layer; values may be functions of the old value."""

    def apply(placed: PlacedNetwork) -> PlacedNetwork:
        layers = list(placed.layers)
        values = {
            name: value(getattr(layers[index], name)) if callable(value) else value
            for name, value in fields.items()
        }
        layers[index] = replace(layers[index], **values)
        return replace(placed, layers=tuple(layers))

    return apply


def overlapping(placed: PlacedNetwork) -> PlacedNetwork:
    """Let the last layer write where it reads."""
    last = placed.layers[-1]
    return changed(-1, out_offset_bytes=last.in_offset_bytes, output_processors=0x1FF)(placed)


CASES: list[tuple[str, Change, str]] = [
    ("map with a processor too many", changed(0, processors=0xF), "processor-map"),
    ("output map too small", changed(-1, output_processors=0xFF), "processor-map"),
    ("odd offset", changed(0, in_offset_bytes=2), "offset"),
    ("negative offset", changed(0, in_offset_bytes=-4), "offset"),
    ("odd slot", changed(0, weight_slot=2), "weight-slot"),
    ("unaligned multi-pass output", changed(-2, output_processors=lambda old: old << 1), "output-alignment"),
    (
        "copy to other processors",
        changed(2, output_processors=lambda old: old & ~1 | 1 << 40),
        "passthrough-map",
    ),
    ("read gap", changed(1, read_gap=1), "read-gap"),
    ("write gap too wide", changed(0, write_gap=16), "write-gap"),
    ("order of layers", changed(1, hardware_layer=7), "layer-order"),
    ("quadrants", lambda placed: replace(placed, quadrants=(1,)), "quadrants"),
    ("CHW map", changed(0, big=True), "chw-map"),
    ("output beyond the instance", changed(0, out_offset_bytes=32768 - 64), "data-memory"),
    ("output over the input", overlapping, "data-overlap"),
    ("reads another place", changed(1, in_offset_bytes=lambda old: old + 8), "data-lost"),
    ("operand without its gap", changed(1, write_gap=0), "data-lost"),
    ("operand written too early", changed(1, out_offset_bytes=lambda old: old - 4), "data-lost"),
    ("weights on those of another layer", changed(4, weight_slot=0), "weight-overlap"),
    ("weights beyond the memory", changed(1, weight_slot=764), "weight-memory"),
    ("biases without a place", changed(0, bias=()), "bias-place"),
    ("biases in an unused quadrant", changed(0, bias=(BiasPlace(3, 0),)), "bias-place"),
    ("biases beyond the memory", changed(0, bias=(BiasPlace(0, 500),)), "bias-memory"),
]


def test_the_placement_to_break_is_sound() -> None:
    assert verify(sound(), CHIP) == ()


@pytest.mark.parametrize(("change", "rule"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_broken_placements_are_found(change: Change, rule: str) -> None:
    assert rule in {item.rule for item in verify(change(sound()), CHIP)}


def test_biases_on_those_of_another_layer_are_found() -> None:
    placed = sound()
    same = placed.layers[0].bias
    assert "bias-overlap" in {item.rule for item in verify(changed(1, bias=same)(placed), CHIP)}


def test_an_output_that_is_said_to_lie_elsewhere_is_found() -> None:
    placed = sound()
    moved = replace(placed.outputs[0], offset_bytes=placed.outputs[0].offset_bytes + 4)
    assert "data-lost" in {item.rule for item in verify(replace(placed, outputs=(moved,)), CHIP)}


def test_weights_count_as_the_hardware_stores_them() -> None:
    # Five taps two apart take nine (section 5.7): 5 outputs fill slots 0 to 4, the next layer begins at 8.
    wide = Spec(5, LayerOp.CONV1D, kernel=5, pad=0, dilation=2)
    placed = place(network((2, 40), [wide, Spec(1, LayerOp.CONV1D, kernel=1, pad=0)]), CHIP)
    assert placed.layers[1].weight_slot == 8
    assert "weight-overlap" in {item.rule for item in verify(changed(0, weight_slot=4)(placed), CHIP)}


def test_places_for_biases_that_are_not_there_are_found() -> None:
    placed = place(network((3, 8, 8), [Spec(4, bias=False)]), CHIP)
    found = verify(changed(0, bias=(BiasPlace(0, 0),))(placed), CHIP)
    assert [item.rule for item in found] == ["bias-place"]
