"""Rewriting: models with operators that the accelerator lacks, against torch, and their layers bit by bit.

Truth of the float graphs: the module itself, run by torch. Truth of the layers: the integer graph, operator
by operator.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as f

from synergyc.diagnostics import SynergyError
from synergyc.frontend import capture
from synergyc.ir.graph import Graph
from synergyc.ir.types import Array
from synergyc.legalize import legalize, outline, rewrite
from synergyc.legalize.rewrite import maps
from synergyc.quantize import quantize, quantize_input
from synergyc.quantize.evaluate import evaluate_float
from synergyc.reference import run
from synergyc.targets import known, load_chip
from tests.legalize.graphs import graph_output, images
from tests.legalize.rewrite_cases import CASES, Case, Model


def floats(graph: Graph, data: Array) -> Array:
    """Return the float graph's output for samples as the sensor delivers them."""
    values = {graph.input.name: graph.input.prepared(data)}
    for node in graph:
        values[node.name] = evaluate_float(node, [values[name] for name in node.inputs])
    result = values[graph.output]
    for function in graph.tail:
        result = function.apply(result)
    return result


@pytest.mark.parametrize("name", CASES)
def test_rewriting_changes_no_result(name: str) -> None:
    case = CASES[name]
    torch.manual_seed(0)
    module = Model(case).eval()
    for part in module.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            assert part.running_mean is not None
            assert part.running_var is not None
            nn.init.normal_(part.running_mean)
            nn.init.uniform_(part.running_var, 0.5, 2.0)
    graph = rewrite(capture(module, case.shape, "net"))
    data = images(case.shape, seed=1)
    with torch.no_grad():
        expected = module(torch.from_numpy(data)).numpy()
    np.testing.assert_allclose(floats(graph, data), expected, rtol=1e-4, atol=2e-5)
    prepared = graph.input.prepared(data)
    integers = quantize(graph, prepared)
    for chip in ("max78000", "max78002"):
        network = legalize(integers, load_chip(chip))
        (output,) = network.outputs
        found = run(network, {"input": quantize_input(prepared)})[output]
        assert np.array_equal(
            found.reshape(len(found), -1), graph_output(integers, prepared).reshape(len(found), -1)
        )


@pytest.mark.parametrize("chip", known("chips"))
def test_rewriting_aims_at_operators_that_every_chip_has(chip: str) -> None:
    limits = load_chip(chip).cnn.limits
    assert max(limits.conv2d_kernels) == maps.TAPS
    assert limits.conv1d_max_kernel == maps.LONGEST
    assert limits.padding == maps.MAX_PAD
    assert limits.pool_window == limits.pool_stride == maps.POOL_WINDOW


@pytest.mark.parametrize("pool", [lambda x: x.mean(2, keepdim=True), lambda x: f.avg_pool2d(x, (20, 2))])
def test_windows_that_one_stride_cannot_divide_are_left_to_the_limits(pool: Callable[..., Tensor]) -> None:
    """Parts of the rows would be so far apart that columns were skipped."""
    case = Case((3, 20, 4), (), pool)
    graph, data = rewrite(capture(Model(case), case.shape, "net")), images(case.shape, seed=1)
    np.testing.assert_allclose(floats(graph, data), pool(torch.from_numpy(data)).numpy(), atol=1e-6)
    with pytest.raises(SynergyError, match="pool-window"):
        legalize(outline(graph), load_chip("max78002"))
