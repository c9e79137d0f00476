"""The eight networks against what the vendor's generator reports of them; see ``zoo_facts``."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
import torch

from models import zoo
from synergyc.diagnostics import SynergyError
from synergyc.ir.network import Layer, LayerOp, Network
from synergyc.legalize import check_limits
from synergyc.quantize import real_input
from synergyc.reference import run
from synergyc.synth.placement import place
from synergyc.targets import load_chip
from tests.models.zoo_facts import FACTS, Facts

CASES = pytest.mark.parametrize(
    ("name", "chip", "facts"), [(*key, facts) for key, facts in FACTS.items()], ids=map("-".join, FACTS)
)


@cache
def network(name: str, chip: str) -> Network:
    return zoo.network(name, chip)


def macs_with_zeros(layer: Layer) -> int:
    """A transposed convolution reads its input with a zero after each pixel, in both directions."""
    return layer.macs * (4 if layer.op is LayerOp.CONV_TRANSPOSE2D else 1)


@CASES
def test_layers_are_those_of_the_vendors_generator(name: str, chip: str, facts: Facts) -> None:
    weighted = [layer for layer in network(name, chip).layers if layer.weight is not None]
    shapes = ["x".join(map(str, (*layer.output.shape, 1, 1)[:3])) for layer in weighted]
    assert shapes == facts.shapes.split()
    assert sum(map(macs_with_zeros, weighted)) == facts.macs
    bits = sum(layer.weight.size * layer.weight_bits for layer in weighted if layer.weight is not None)
    assert bits == 8 * facts.weight_bytes
    assert sum(layer.bias.size for layer in weighted if layer.bias is not None) == facts.bias_bytes


@CASES
def test_networks_fit_on_the_chips_that_they_fit_on(name: str, chip: str, facts: Facts) -> None:
    data = load_chip(chip)
    problems = check_limits(network(name, chip), data)
    if facts.fits:
        assert not problems
        assert len(place(network(name, chip), data).layers) >= len(network(name, chip).layers)
    else:
        assert problems
        with pytest.raises(SynergyError):
            place(network(name, chip), data)


def test_all_networks_are_there() -> None:
    assert {name for name, _ in FACTS} == set(zoo.ZOO)


@pytest.mark.parametrize("name", ["convnet5", "kws", "ressimplenet"])
def test_integers_follow_the_float_model(name: str) -> None:
    """On inputs that calibration did not see, 8-bit weights: correlation with torch's own result."""
    integers = network(name, "MAX78000")
    inputs = zoo.calibration(name, zoo.CALIBRATION_SAMPLES + 8)[zoo.CALIBRATION_SAMPLES :]
    found = run(integers, {integers.inputs[0].name: inputs})[integers.outputs[0]].reshape(8, -1)
    with torch.no_grad():
        expected = zoo.build(name, "MAX78000")(torch.from_numpy(real_input(inputs))).numpy()
    real = found * 2.0 ** -integers.layers[-1].output.fraction_bits
    assert np.corrcoef(real.reshape(-1), expected.reshape(-1))[0, 1] > 0.98
    assert math.isclose(float(np.std(real)), float(np.std(expected)), rel_tol=0.1)


def test_two_calls_give_equal_networks() -> None:
    assert str(zoo.network("convnet5", "MAX78000")) == str(network("convnet5", "MAX78000"))
