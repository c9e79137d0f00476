"""Accuracy by stage: what torch says of the same samples; faults that are put in are found in their place."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from synergyc.diagnostics import SynergyError
from synergyc.ir.graph import Convolution, Graph
from synergyc.ir.network import Network
from synergyc.ir.types import Shape, frozen_array
from synergyc.legalize import legalize
from synergyc.pipeline.accuracy import Accuracy, measure
from synergyc.pipeline.expectation import Expected, accuracies
from synergyc.pipeline.samples import read_labels
from synergyc.quantize import calibrate, real_input
from synergyc.targets import load_chip
from tests.pipeline import small

SAMPLES, LABELS = small.data(90, 2)


def integers(bits: int = 8) -> Graph:
    return calibrate(small.graph(), small.calibration(), bits).integers


def network(graph: Graph) -> Network:
    return legalize(graph, load_chip("max78000"))


def measured(folded: Graph, graph: Graph, layers: Network) -> Accuracy:
    return measure(small.captured(), folded, graph, layers, SAMPLES, LABELS)


def test_stages_are_those_of_torch_and_of_the_integers() -> None:
    graph = integers()
    found = measured(small.graph(), graph, network(graph))
    with torch.no_grad():
        answers = small.trained()(torch.from_numpy(real_input(SAMPLES))).argmax(1).numpy()
    assert found.shares["float"] == found.shares["folded"] == float((answers == LABELS).mean()) > 0.9
    assert found.shares["fake_quantized"] == found.shares["reference"]
    assert found.answers.shape == (4, 90)
    assert not [item for item in found.differences if item.after in {"folded", "reference"}]


def test_narrow_weights_are_named_as_the_layer_that_rounding_changes() -> None:
    graph = calibrate(small.graph(), small.calibration(), {"skip": 1}).integers
    (found,) = measured(small.graph(), graph, network(graph)).differences
    assert (found.before, found.after, found.layer) == ("folded", "fake_quantized", "skip")
    assert found.error > 2.0 ** -graph.fraction_bits["skip"]


def test_a_wrong_fold_is_found() -> None:
    node = small.graph().node("first_0")
    assert isinstance(node.operator, Convolution)
    assert node.operator.bias is not None
    wrong = replace(node.operator, bias=frozen_array(node.operator.bias + 1))
    nodes = tuple(replace(item, operator=wrong) if item is node else item for item in small.graph())
    graph = integers()
    found = measured(replace(small.graph(), nodes=nodes), graph, network(graph)).differences[0]
    assert (found.before, found.after, found.layer) == ("float", "folded", "first.2")


def test_a_wrong_weight_in_a_layer_is_found_and_counted() -> None:
    graph = integers()
    layers = network(graph)
    index = [layer.name for layer in layers.layers].index("skip")
    weight = layers.layers[index].weight
    assert weight is not None
    wrong = replace(layers.layers[index], weight=frozen_array(-weight))
    broken = replace(layers, layers=(*layers.layers[:index], wrong, *layers.layers[index + 1 :]))
    found = measured(small.graph(), graph, broken)
    difference = found.differences[-1]
    assert (difference.before, difference.after, difference.layer) == ("fake_quantized", "reference", "skip")
    assert difference.answers == int((found.answers[2] != found.answers[3]).sum())


@pytest.mark.parametrize("output", [(1,), (1, 1, 1), (2, 8, 8), (4, 4)])
def test_values_and_maps_are_no_class_scores(output: Shape, tmp_path: Path) -> None:
    np.save(tmp_path / "labels.npy", np.zeros(3, np.int64))
    with pytest.raises(SynergyError) as caught:
        read_labels(tmp_path / "labels.npy", 3, output)
    (problem,) = caught.value.diagnostics
    assert (problem.rule, str(problem.location)) == ("labels-output", str(tmp_path / "labels.npy"))


def test_stages_are_counted_on_the_samples_that_devices_delivered() -> None:
    """Lost runs, and samples that are replayed again, count for the float model as for the devices."""
    expected = Expected(
        *(network(integers()), SAMPLES[:3], SAMPLES[:3], np.zeros((3, 5))),
        answers={"float": np.array([1, 0, 0]), "reference": np.array([1, 1, 0])},
        labels=np.array([1, 0, 2]),
        elements=np.arange(5),
        result_bytes=5,
        own_input=False,
    )
    found = accuracies(expected, [(0, 1), (1, 1), (0, 1), (0, 1)])
    assert found == {"float": 1.0, "reference": 0.75, "emulated": 0.75}
    assert accuracies(expected, []) is None
    assert accuracies(replace(expected, labels=None), [(0, 1)]) is None


def test_labels_count_the_scores(tmp_path: Path) -> None:
    np.save(tmp_path / "labels.npy", np.array([0, 5, 2]))
    for output in ((6,), (6, 1, 1)):
        assert list(read_labels(tmp_path / "labels.npy", 3, output)) == [0, 5, 2]
    with pytest.raises(SynergyError, match="labels-range"):
        read_labels(tmp_path / "labels.npy", 3, (5,))


@pytest.mark.parametrize("bits", [8, 4, 2, 1])
def test_integers_in_floating_point_are_the_reference_at_every_width(bits: int) -> None:
    graph = integers(bits)
    found = measured(small.graph(), graph, network(graph))
    np.testing.assert_array_equal(found.answers[2], found.answers[3])
