"""The demo model through all stages from PyTorch to integers, on images that training never saw."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from synergyc.export.onnx import run_onnxruntime, to_onnx
from synergyc.frontend import capture, load_module, load_weights
from synergyc.ir.graph import Graph
from synergyc.ir.network import LayerOp, Network
from synergyc.ir.types import Array, PoolKind
from synergyc.legalize import legalize
from synergyc.quantize import fold_batch_norm, quantize, real_input
from synergyc.reference import run
from synergyc.targets import load_chip

MODELS = Path(__file__).parents[2] / "models"
DATA = MODELS / "data"


@pytest.fixture(scope="module")
def model() -> torch.nn.Module:
    loaded = load_module("digits.py:DigitsNet", MODELS)
    load_weights(loaded, DATA / "digits.safetensors")
    return loaded


@pytest.fixture(scope="module")
def graph(model: torch.nn.Module) -> Graph:
    return fold_batch_norm(capture(model, (1, 28, 28), "digits"))


@pytest.fixture(scope="module")
def network(graph: Graph) -> Network:
    return integer_network(graph, 8)


@pytest.fixture(scope="module")
def images() -> Array:
    return np.asarray(np.load(DATA / "digits_test.npy"))


@pytest.fixture(scope="module")
def labels() -> Array:
    return np.asarray(np.load(DATA / "digits_test_labels.npy"))


def integer_network(graph: Graph, bits: int) -> Network:
    calibration = np.load(DATA / "digits_calibration.npy")
    return legalize(quantize(graph, calibration, bits), load_chip("max78000"))


def accuracy(network: Network, images: Array, labels: Array) -> float:
    (name,) = network.outputs
    return float((run(network, {"input": images})[name].argmax(axis=1) == labels).mean())


def test_float_accuracy(model: torch.nn.Module, images: Array, labels: Array) -> None:
    with torch.no_grad():
        scores = model(torch.from_numpy(real_input(images)))
    assert float((scores.argmax(1).numpy() == labels).mean()) >= 0.97


@pytest.mark.parametrize(("bits", "allowed_loss"), [(8, 0.005), (4, 0.02)])
def test_integer_accuracy(
    model: torch.nn.Module, graph: Graph, images: Array, labels: Array, bits: int, allowed_loss: float
) -> None:
    with torch.no_grad():
        scores = model(torch.from_numpy(real_input(images)))
    float_accuracy = float((scores.argmax(1).numpy() == labels).mean())
    assert accuracy(integer_network(graph, bits), images, labels) >= float_accuracy - allowed_loss


def test_integers_equal_onnxruntime_bit_by_bit(network: Network, images: Array) -> None:
    inputs = {"input": images[:50]}
    (name,) = network.outputs
    np.testing.assert_array_equal(run(network, inputs)[name], run_onnxruntime(to_onnx(network), inputs)[name])


def test_any_cut_gives_the_same_result(network: Network, images: Array) -> None:
    (name,) = network.outputs
    whole = run(network, {"input": images[:20]})[name]
    for cut in range(len(network.layers) - 1):
        between = run(network.segment(0, cut), {"input": images[:20]})
        rest = network.segment(cut + 1, len(network.layers) - 1)
        np.testing.assert_array_equal(run(rest, between)[name], whole)


def test_layers_exercise_what_the_example_promises(network: Network) -> None:
    channels = [layer.in_shape[0] for layer in network.layers]
    assert max(channels) > 64
    assert max(layer.output.shape[0] for layer in network.layers) > 64
    assert {layer.pool.kind for layer in network.layers if layer.pool} == {PoolKind.MAX, PoolKind.AVERAGE}
    assert {(1, 1), (3, 3)} <= {layer.kernel for layer in network.layers if layer.op is LayerOp.CONV2D}
    last = network.layers[-1]
    assert (last.op, last.flatten, last.wide, last.output.shape) == (LayerOp.LINEAR, True, True, (10,))


def test_sensor_data_is_small_and_of_the_sensors_type(images: Array, labels: Array) -> None:
    assert images.dtype == np.int8
    assert images.shape == (len(labels), 1, 28, 28)
    assert len(labels) >= 200
    assert set(labels.tolist()) == set(range(10))
    assert all(path.stat().st_size < 300_000 for path in DATA.glob("digits*"))


def test_test_images_are_not_among_the_calibration_images(images: Array) -> None:
    calibration = {image.tobytes() for image in np.load(DATA / "digits_calibration.npy")}
    assert not calibration & {image.tobytes() for image in images}


def test_the_drawn_images_are_those_of_the_data_files(images: Array, labels: Array) -> None:
    """The script's split and drawing reproduce the committed test set from scikit-learn's digits."""
    sklearn_datasets = pytest.importorskip("sklearn.datasets", reason="needs the extra 'models'")
    from models.train_digits import TEST, plain

    source = sklearn_datasets.load_digits()
    order = np.random.default_rng(0).permutation(len(source.target))[:TEST]
    np.testing.assert_array_equal(plain(source.images[order]), images)
    np.testing.assert_array_equal(source.target[order], labels)
