"""Models of many styles compile: legal layers, placed on one MAX78000, equal to onnxruntime bit by bit."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from synergyc.pipeline.planning import fits
from synergyc.pipeline.single import ModelRequest, board_of, network_for, quantize_model, random_inputs
from synergyc.pipeline.verify import Agreement, compare_onnxruntime
from synergyc.quantize import real_input
from synergyc.targets import load_chip
from tests.legalize.test_rewrite import floats
from tests.varied.networks import INPUTS

BOARD = board_of("MAX78000")


@pytest.mark.parametrize("kind", INPUTS, ids=lambda kind: kind.__name__)
def test_models_compile(kind: type[nn.Module]) -> None:
    request = ModelRequest(f"{kind.__module__}:{kind.__name__}", INPUTS[kind])
    model = quantize_model(request, BOARD)
    network = network_for(model, BOARD)
    assert fits((network,), load_chip(BOARD.chip)) == ()
    samples = random_inputs(model.graph.input.shape, 2, seed=1)
    assert compare_onnxruntime(network, samples) is not Agreement.DIFFERENT
    source = random_inputs(INPUTS[kind], 2, seed=2)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        expected = kind().eval()(torch.from_numpy(real_input(source))).numpy()
    found = floats(model.graph, real_input(source))
    assert abs(found.reshape(expected.shape) - expected).max() < 1e-3 * max(1.0, abs(expected).max())
