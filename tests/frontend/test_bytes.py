"""Models that read bytes and normalize them. Truth: torch on the same bytes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from synergyc.frontend import read_exported
from synergyc.frontend.onnx_file import read_onnx
from synergyc.ir.graph import Graph
from synergyc.ir.preparation import PreparationStep, Step
from synergyc.ir.types import Array
from synergyc.legalize import legalize, rewrite
from synergyc.quantize import quantize
from synergyc.reference import run
from synergyc.targets import load_chip
from tests.legalize.test_rewrite import floats

SHAPE = (3, 7, 9)
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def _column(values: tuple[float, ...]) -> Tensor:
    return torch.tensor(values).reshape(1, 3, 1, 1)


NORMALIZATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "to one": lambda x: x.float() / 255,
    "around zero": lambda x: x.float() / 127.5 - 1,
    "by channel": lambda x: (x.float() / 255 - _column(_MEAN)) / _column(_DEVIATION),
    "not at all": lambda x: x.float(),
}


class Net(nn.Module):
    def __init__(self, normalize: Callable[[Tensor], Tensor], stride: int = 1, *, last: bool = False) -> None:
        super().__init__()
        self.normalize, self.last = normalize, last
        self.conv = nn.Conv2d(3, 4, 3, padding=1, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        image = x.permute(0, 3, 1, 2) if self.last else x
        y: Tensor = self.conv(self.normalize(image))
        return y


def _bytes(shape: tuple[int, ...]) -> Array:
    return np.random.default_rng(0).integers(0, 256, (4, *shape)).astype(np.uint8)


def _graph(module: nn.Module, shape: tuple[int, ...], folder: Path) -> Graph:
    program = torch.export.export(module.eval(), (torch.zeros((1, *shape), dtype=torch.uint8),))
    torch.export.save(program, folder / "net.pt2")
    return rewrite(read_exported(folder / "net.pt2", "net"))


def _check(graph: Graph, module: nn.Module, data: Array) -> None:
    assert graph.input.reads_bytes
    with torch.no_grad():
        expected = np.concatenate([module(torch.from_numpy(item[None])).numpy() for item in data])
    np.testing.assert_allclose(floats(graph, data.astype(np.float32)), expected, atol=2e-4, rtol=1e-4)
    network = legalize(quantize(graph, graph.input.prepared(data)), load_chip("max78000"))
    assert len(network.layers) == 1  # the power of two is in the weights
    output = network.tensor(network.outputs[0])
    found = run(network, {"input": graph.input.prepared(data)})[output.name] / 2.0**output.fraction_bits
    assert np.abs(found - expected).max() < 0.05 * np.abs(expected).max()


@pytest.mark.parametrize("name", NORMALIZATIONS)
def test_bytes_are_normalized_before_the_network(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = Net(NORMALIZATIONS[name])
    _check(_graph(module, SHAPE, tmp_path), module, _bytes(SHAPE))


@pytest.mark.parametrize("stride", [1, 2])
def test_a_cameras_pixels_are_moved_normalized_and_folded(stride: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    module, shape = Net(NORMALIZATIONS["by channel"], stride, last=True), (7, 9, 3)
    graph = _graph(module, shape, tmp_path)
    assert graph.input.preparation is not None
    kinds = [step.kind for step in graph.input.preparation.steps]
    assert kinds[:2] == [PreparationStep.TRANSPOSE, PreparationStep.NORMALIZE]
    assert (PreparationStep.FOLD in kinds) == (stride == 2)
    _check(graph, module, _bytes(shape))


def test_onnx_models_may_read_bytes(tmp_path: Path) -> None:
    weight = np.random.default_rng(1).normal(0, 0.3, (4, 3, 3, 3)).astype(np.float32)
    constants = {
        "w": weight,
        "k": np.array(255, dtype=np.float32),
        "m": np.array(_MEAN, dtype=np.float32).reshape(1, 3, 1, 1),
    }
    nodes = [
        helper.make_node("Cast", ["x"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["f", "k"], ["a"]),
        helper.make_node("Sub", ["a", "m"], ["b"]),
        helper.make_node("Conv", ["b", "w"], ["y"], pads=[1, 1, 1, 1]),
    ]
    model = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, [1, *SHAPE])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4, *SHAPE[1:]])],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    path = tmp_path / "net.onnx"
    onnx.save(helper.make_model(model, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)

    class Same(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.conv2d(x.float() / 255 - _column(_MEAN), torch.from_numpy(weight), padding=1)

    _check(rewrite(read_onnx(path, "net")), Same(), _bytes(SHAPE))


def test_integers_are_the_real_values_rounded() -> None:
    step = Step(PreparationStep.NORMALIZE, (), (1 / 255, 0.011, -1 / 300), (0.0, -0.7, 0.9))
    data = np.arange(256, dtype=np.uint8).reshape(1, 1, 256).repeat(3, 1)
    real = step.apply(data.astype(np.float64))
    expected = np.clip(real * 128, -128, 127)
    assert np.abs(step.apply(data) - expected).max() <= 0.5 + 1e-2
