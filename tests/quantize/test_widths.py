"""Mixed precision: what is measured is true, and what is chosen fits with little error."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from synergyc.frontend import capture
from synergyc.quantize import calibrate, quantize
from synergyc.quantize.calibrate import float_values, output_error
from synergyc.quantize.widths import fitted_widths, sensitivities, weight_counts
from tests.quantize.test_quantize import CASES, float_graph, inputs


def test_a_sensitivity_is_the_error_of_that_layer_alone() -> None:
    """Truth: the whole network quantized with that one width; for the last layer nothing else changes."""
    kind, shape = CASES[0]
    _, graph = float_graph(kind, shape)
    images = inputs(shape, count=16)
    expected = float_values(graph, images)[graph.output]
    found = sensitivities(graph, images, (8, 2))
    last = list(weight_counts(graph))[-1]
    for bits in (8, 2):
        alone = output_error(quantize(graph, images, {last: bits}), images, expected)
        assert found[last, bits] == pytest.approx(alone)
    assert all(found[name, 2] > found[name, 8] for name in weight_counts(graph))


def test_every_layer_and_width_is_measured() -> None:
    _, graph = float_graph(*CASES[1])
    found = sensitivities(graph, inputs(CASES[1][1]))
    assert set(found) == {(name, bits) for name in weight_counts(graph) for bits in (8, 4, 2, 1)}


ERRORS = {
    ("robust", 8): 0.0,
    ("robust", 4): 0.001,
    ("robust", 2): 0.01,
    ("delicate", 8): 0.0,
    ("delicate", 4): 0.5,
    ("delicate", 2): 0.9,
}
COUNTS = {"robust": 1000, "delicate": 1000}


@pytest.mark.parametrize(
    ("size_bits", "expected"),
    [
        (16_000, {"robust": 8, "delicate": 8}),
        (12_000, {"robust": 4, "delicate": 8}),
        (10_000, {"robust": 2, "delicate": 8}),
        (9_000, {"robust": 4, "delicate": 4}),
        (6_000, {"robust": 2, "delicate": 4}),
        (4_000, {"robust": 2, "delicate": 2}),
        (3_000, None),
    ],
)
def test_robust_layers_are_narrowed_first(size_bits: int, expected: Mapping[str, int] | None) -> None:
    def fits(widths: Mapping[str, int]) -> bool:
        return sum(widths[name] * COUNTS[name] for name in COUNTS) <= size_bits

    assert fitted_widths(ERRORS, COUNTS, fits) == expected


@given(data=st.data(), count=st.integers(1, 6))
def test_widths_fit_and_none_is_narrower_than_it_need_be(data: st.DataObject, count: int) -> None:
    names = [f"n{index}" for index in range(count)]
    counts = {name: data.draw(st.integers(1, 500)) for name in names}
    errors = {(name, bits): data.draw(st.floats(0, 1)) for name in names for bits in (8, 4, 2, 1)}
    limit = data.draw(st.integers(0, 8 * sum(counts.values())))

    def fits(widths: Mapping[str, int]) -> bool:
        return sum(widths[name] * counts[name] for name in names) <= limit

    widths = fitted_widths(errors, counts, fits)
    if widths is None:
        assert limit < sum(counts.values())
        return
    assert fits(widths)
    for name, bits in widths.items():
        if bits < 8:
            assert not fits({**widths, name: 8})


def test_equalization_is_taken_where_it_helps() -> None:
    """Channels whose weights differ a hundredfold leave nothing of the small ones in 4 bits (DFQ, fig. 2)."""
    torch.manual_seed(0)
    first, second = nn.Conv2d(2, 8, 3, bias=False), nn.Conv2d(8, 8, 3)
    module = nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), nn.Conv2d(8, 2, 1))
    with torch.no_grad():
        factors = torch.logspace(-1, 1, 8)
        first.weight.mul_(factors[:, None, None, None])
        second.weight.div_(factors[:, None, None])
    graph = capture(module, (2, 8, 8), "net")
    images = inputs((2, 8, 8))
    expected = float_values(graph, images)[graph.output]
    chosen = calibrate(graph, images, 4)
    plain = output_error(quantize(graph, images, 4), images, expected)
    assert output_error(chosen.integers, images, expected) < plain / 2
    assert chosen.real is not graph
    assert calibrate(graph, images, 8).real is graph
