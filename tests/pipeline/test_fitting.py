"""Widths that fit: the chip's own placement says whether; more devices leave wider weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from synergyc.diagnostics import SynergyError
from synergyc.frontend import capture
from synergyc.ir.graph import Graph
from synergyc.legalize import legalize, rewrite
from synergyc.pipeline.fitting import quantize_for, widths_for
from synergyc.pipeline.single import random_inputs
from synergyc.quantize import quantize
from synergyc.quantize.widths import weight_counts
from synergyc.synth.placement import place
from synergyc.targets import Chip, load_chip


def little(slots: int) -> Chip:
    """Return a MAX78000 with less weight memory, so that a small network is too large for it."""
    chip = load_chip("max78000")
    cnn = chip.cnn.model_copy(update={"weight_slots": slots, "large_weight_slots": slots})
    return chip.model_copy(update={"cnn": cnn})


@pytest.fixture(scope="module")
def graph() -> Graph:
    torch.manual_seed(0)
    blocks = [part for _ in range(4) for part in (nn.Conv2d(40, 40, 3, padding=1), nn.ReLU())]
    return rewrite(capture(nn.Sequential(nn.Conv2d(2, 40, 1), nn.ReLU(), *blocks), (2, 4, 4), "net"))


DATA = random_inputs((2, 4, 4), 16, seed=0)


def bits(widths: dict[str, int], graph: Graph) -> int:
    counts = weight_counts(graph)
    return sum(counts[name] * width for name, width in widths.items())


def test_a_model_that_fits_keeps_8_bits(graph: Graph) -> None:
    assert set(widths_for(graph, DATA, [little(200)]).values()) == {8}


def test_narrowed_widths_fit_and_no_more_is_narrowed_than_that(graph: Graph) -> None:
    chip = little(90)  # on average, 8-bit weights take 102 slots of every processor
    with pytest.raises(SynergyError):
        place(legalize(quantize(graph, DATA), chip), chip)
    widths = widths_for(graph, DATA, [chip])
    assert set(widths) == set(weight_counts(graph))
    assert min(widths.values()) < 8
    integers = quantize_for(graph, DATA, "auto", [chip]).integers
    place(legalize(integers, chip), chip)


def test_more_devices_leave_wider_weights(graph: Graph) -> None:
    one = widths_for(graph, DATA, [little(60)])
    two = widths_for(graph, DATA, [little(60)] * 2)
    assert bits(two, graph) >= bits(one, graph)


def test_what_cannot_fit_is_refused_with_what_it_needs(graph: Graph) -> None:
    with pytest.raises(SynergyError) as caught:
        widths_for(graph, DATA, [little(4)])
    (found,) = caught.value.diagnostics
    assert (found.rule, found.need) == ("weight-memory", f"{2 * 40 + 4 * 40 * 40 * 9:,} weights")
    assert found.hint


def test_a_layer_that_is_too_large_with_8_bits_is_narrowed(graph: Graph) -> None:
    """Each 40x40x3x3 layer takes 40 slots with 8 bits; in 30 there is room for none of them."""
    widths = widths_for(graph, DATA, [little(30)] * 2)
    assert max(width for name, width in widths.items() if name != "0") <= 4


def test_given_widths_are_taken_as_they_are(graph: Graph) -> None:
    made = quantize_for(graph, DATA, {"0": 4}, [])
    widths = [
        node.operator.requantization.weight_bits  # type: ignore[union-attr]
        for node in made.integers
        if node.name in weight_counts(graph)
    ]
    assert widths == [4, 8, 8, 8, 8]
