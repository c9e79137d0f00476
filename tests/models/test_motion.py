"""The motion model: its committed files, and its accuracy on the recordings where they are installed."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from synergyc.frontend import capture, load_module, load_weights
from synergyc.ir.graph import Convolution, Graph, Linear
from synergyc.ir.types import Array
from synergyc.legalize import rewrite
from synergyc.pipeline.integer_files import read_trained
from synergyc.quantize import calibrate, real_input
from synergyc.quantize.calibrate import integer_values

MODELS = Path(__file__).parents[2] / "models"
DATA = MODELS / "data"

needs_recordings = pytest.mark.skipif(
    find_spec("sktime") is None, reason="needs the recordings of the package sktime"
)


@pytest.fixture(scope="module")
def model() -> torch.nn.Module:
    loaded = load_module("motion.py:MotionNet", MODELS)
    load_weights(loaded, DATA / "motion.safetensors")
    return loaded


@pytest.fixture(scope="module")
def graph(model: torch.nn.Module) -> Graph:
    return rewrite(capture(model, (6, 32), "motion"))


def right(graph: Graph, samples: Array, labels: Array) -> float:
    outputs = integer_values(graph, samples)[graph.output].reshape(len(samples), -1)
    return float((outputs.argmax(axis=1) == labels).mean())


def test_committed_integers_are_of_the_model_and_narrow_in_the_middle(graph: Graph) -> None:
    integers = read_trained(DATA / "motion_integers.safetensors", graph)
    widths = [
        node.operator.requantization.weight_bits
        for node in integers
        if isinstance(node.operator, Convolution | Linear) and node.operator.requantization
    ]
    assert widths == [8, 2, 2, 8]


def test_committed_samples_are_the_made_up_ones() -> None:
    from models.train_motion import made_up

    np.testing.assert_array_equal(np.load(DATA / "motion_samples.npy"), made_up(32))


@needs_recordings
def test_float_and_integers_agree_on_recordings(model: torch.nn.Module, graph: Graph) -> None:
    """The bars: half a point of the float model at 8 bits, 1.5 at 4, and 1 at 2 bits after training."""
    from models.train_motion import read, windows

    samples, labels = windows(*read("TEST"))
    with torch.no_grad():
        scores = model(torch.from_numpy(real_input(samples))).numpy()
    float_accuracy = float((scores.argmax(axis=1) == labels).mean())
    assert float_accuracy >= 0.97
    calibration, _ = windows(*read("TRAIN"))
    for bits, allowed_loss in ((8, 0.005), (4, 0.015)):
        integers = calibrate(graph, calibration, bits).integers
        assert right(integers, samples, labels) >= float_accuracy - allowed_loss
    trained = read_trained(DATA / "motion_integers.safetensors", graph)
    assert right(trained, samples, labels) >= float_accuracy - 0.01


@needs_recordings
def test_test_recordings_are_not_those_of_training() -> None:
    from models.train_motion import read, split

    (train, labels), (test, _) = read("TRAIN"), read("TEST")
    assert not {recording.tobytes() for recording in train} & {recording.tobytes() for recording in test}
    used, held = split(labels, 0)
    assert not set(used) & set(held)
    assert set(used) | set(held) == set(range(len(labels)))
    assert np.bincount(labels[held]).tolist() == [3, 3, 3, 3]


def test_sensor_values_clip_at_full_scale() -> None:
    from models.train_motion import sensed

    values = np.array([-99.0, -16.0, 0.06, 0.07, 15.9, 99.0])
    np.testing.assert_array_equal(sensed(values), [-128, -128, 0, 1, 127, 127])
