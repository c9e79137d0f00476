"""What the CPU does at a model's end, from torch and from ONNX. Truth: torch, and onnxruntime."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional as f

from synergyc.diagnostics import SynergyError
from synergyc.frontend import capture, layouts
from synergyc.frontend.onnx_file import read_onnx
from synergyc.legalize import legalize, rewrite
from synergyc.quantize import quantize
from synergyc.targets import load_chip, most_channels
from tests.legalize.graphs import images
from tests.legalize.test_rewrite import floats

SHAPE = (3, 6, 8)

ENDINGS: dict[str, Callable[[Tensor], Tensor]] = {
    "softmax": lambda x: x.softmax(1),
    "log-softmax of a vector": lambda x: f.log_softmax(x.flatten(1), 1),
    "classes of pixels": lambda x: x.argmax(1),
    "classes, axis kept": lambda x: x.argmax(1, keepdim=True),
    "places of maxima": lambda x: x.max(1)[1],
    "maxima": lambda x: x.max(dim=1, keepdim=True)[0],
    "boxes": lambda x: x.permute(0, 2, 3, 1).reshape(1, -1, 2).softmax(-1),
    "part of a sigmoid": lambda x: torch.sigmoid(x)[:, 1:3, ::2],
    "rows of a tanh": lambda x: torch.tanh(x).flatten(1)[:, 3:],
    "enlarged by 3": lambda x: f.interpolate(x, scale_factor=3.0),
    "made smaller": lambda x: f.interpolate(torch.tanh(x), size=(3, 4)),
    "made smaller unevenly": lambda x: f.interpolate(x, size=(2, 4)),
    "sigmoid, enlarged": lambda x: f.interpolate(torch.sigmoid(x), scale_factor=2.0),
    "bilinear": lambda x: f.interpolate(x, scale_factor=2.0, mode="bilinear").argmax(1),
    "bilinear by corners": lambda x: f.interpolate(x, size=(11, 9), mode="bilinear", align_corners=True),
    "shuffled": lambda x: torch.tanh(f.pixel_shuffle(x, 2)),
    "unshuffled": lambda x: f.pixel_unshuffle(x, 2),
    "other rows": lambda x: x.reshape(1, 2, 12, 8),
}


class Net(nn.Module):
    def __init__(self, ending: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.conv, self.ending = nn.Conv2d(3, 4, 3, padding=1), ending

    def forward(self, x: Tensor) -> Tensor:
        return self.ending(self.conv(x))


def _module(name: str) -> Net:
    torch.manual_seed(0)
    return Net(ENDINGS[name]).eval()


@pytest.mark.parametrize("name", ENDINGS)
def test_endings_are_torchs(name: str) -> None:
    module, data = _module(name), images(SHAPE, count=3)
    graph = rewrite(capture(module, SHAPE, "net"))
    assert graph.tail
    with torch.no_grad():
        expected = np.concatenate([module(torch.from_numpy(item[None])).numpy() for item in data])
    np.testing.assert_allclose(floats(graph, data), expected, atol=2e-6)
    network = legalize(quantize(graph, data), load_chip("max78000"))
    assert network.result.shape == expected.shape[1:]
    assert len(network.layers) == 1


@pytest.mark.parametrize(
    "shrink",
    [
        lambda x: f.interpolate(x, scale_factor=0.5),
        lambda x: f.interpolate(x, size=(4, 4)),
        lambda x: f.interpolate(x, scale_factor=0.5, mode="bilinear"),
        lambda x: f.interpolate(x, scale_factor=0.25, mode="bilinear"),
        lambda x: f.interpolate(x, size=(4, 4), mode="bilinear"),
        lambda x: f.interpolate(x.flatten(2), scale_factor=0.5, mode="linear").reshape(1, -1, 6, 12),
    ],
    ids=["by 2", "by 3", "bilinear by 2", "bilinear by 4", "bilinear by 3", "linear"],
)
def test_maps_get_smaller_at_the_head(shrink: Callable[[Tensor], Tensor]) -> None:
    """By layers: nothing is left to the CPU."""

    class Smaller(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.conv(shrink(x))
            return y

    torch.manual_seed(0)
    module, data = Smaller().eval(), images((3, 12, 12), count=3)
    graph = rewrite(capture(module, (3, 12, 12), "net"))
    assert graph.tail == ()
    with torch.no_grad():
        expected = np.concatenate([module(torch.from_numpy(item[None])).numpy() for item in data])
    np.testing.assert_allclose(floats(graph, data), expected, atol=2e-6)
    legalize(quantize(graph, graph.input.prepared(data)), load_chip("max78000"))


@pytest.mark.parametrize(
    "name", ["softmax", "boxes", "bilinear", "bilinear by corners", "shuffled", "maxima"]
)
def test_exported_endings_are_torchs(name: str, tmp_path: Path) -> None:
    module, data = _module(name), images(SHAPE, count=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        example = torch.zeros(1, *SHAPE)
        torch.onnx.export(module, (example,), tmp_path / "net.onnx", dynamo=False, opset_version=17)
    with torch.no_grad():
        expected = module(torch.from_numpy(data)).numpy()
    graph = rewrite(read_onnx(tmp_path / "net.onnx", "net"))
    np.testing.assert_allclose(floats(graph, data), expected, atol=2e-6)


@pytest.mark.parametrize(
    ("kind", "attributes", "constants"),
    [
        ("DepthToSpace", {"blocksize": 2, "mode": "DCR"}, ()),
        ("DepthToSpace", {"blocksize": 2, "mode": "CRD"}, ()),
        ("ArgMax", {"axis": 1, "keepdims": 1}, ()),
        ("Resize", {"mode": "linear"}, ([], [1, 1, 3, 2])),
        ("Resize", {"mode": "nearest", "coordinate_transformation_mode": "half_pixel"}, ([], [1, 1, 3, 3])),
        (
            "Resize",
            {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
            ([], [1, 1, 0.5, 0.5]),
        ),
    ],
)
def test_endings_that_onnx_spells_itself(
    kind: str, attributes: dict[str, Any], constants: tuple[list[float], ...], tmp_path: Path
) -> None:
    path = _written(kind, attributes, constants, tmp_path)
    data = images(SHAPE, count=1)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (expected,) = session.run(None, {"x": data})
    np.testing.assert_allclose(floats(rewrite(read_onnx(path, "net")), data), expected, atol=2e-6)


PLACES = ("asymmetric", "half_pixel", "pytorch_half_pixel", "align_corners")
ROUNDINGS = ("floor", "ceil", "round_prefer_floor", "round_prefer_ceil")


@pytest.mark.parametrize("places", PLACES)
@pytest.mark.parametrize("factor", [2.0, 3.0, 1.15, 0.5, 0.55])
def test_nearest_neighbours_are_onnxruntimes_or_refused(places: str, factor: float, tmp_path: Path) -> None:
    read, data = [], images(SHAPE, count=1)
    for rounding in ROUNDINGS:
        attributes = {"coordinate_transformation_mode": places, "nearest_mode": rounding}
        path = _written("Resize", {"mode": "nearest", **attributes}, ([], [1, 1, factor, factor]), tmp_path)
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        (expected,) = session.run(None, {"x": data})
        with contextlib.suppress(SynergyError):
            graph = rewrite(read_onnx(path, "net"))
            read.append(rounding)
            np.testing.assert_allclose(floats(graph, data), expected, atol=2e-6)
    assert read or (places, factor) not in {("asymmetric", 2.0), ("half_pixel", 3.0), ("asymmetric", 0.5)}


def test_places_of_pixels_that_are_not_torchs_are_refused(tmp_path: Path) -> None:
    attributes = {"mode": "linear", "coordinate_transformation_mode": "asymmetric"}
    with pytest.raises(SynergyError, match="not linear asymmetric"):
        read_onnx(_written("Resize", attributes, ([], [1, 1, 2, 2]), tmp_path), "net")


def _written(kind: str, attributes: dict[str, Any], constants: tuple[list[float], ...], folder: Path) -> Path:
    """Write a convolution with one more operator behind it."""
    weight = np.random.default_rng(0).normal(0, 0.3, (4, 3, 1, 1)).astype(np.float32)
    stored = [numpy_helper.from_array(weight, "w")]
    stored += [
        numpy_helper.from_array(np.array(values, dtype=np.float32), f"c{number}")
        for number, values in enumerate(constants)
    ]
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["h"]),
        helper.make_node(kind, ["h", *(tensor.name for tensor in stored[1:])], ["y"], **attributes),
    ]
    result = TensorProto.INT64 if kind == "ArgMax" else TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, *SHAPE])],
        [helper.make_tensor_value_info("y", result, ["N", "C", "H", "W"])],
        stored,
    )
    path = folder / "net.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: torch.relu(x.softmax(1)), "softmax must stand at the end"),
        (lambda x: f.interpolate(x, scale_factor=2.0, mode="bilinear").relu(), "bilinear 12x16 must stand"),
        (lambda x: f.interpolate(x, scale_factor=3.0).relu(), "nearest 18x24 must stand at the end"),
        (lambda x: f.max_pool2d(x.relu().reshape(1, 2, 12, 8), 2), "must stand at the beginning or the end"),
        (lambda x: x.argmax(), "mixes the images of a batch"),
        (lambda x: f.interpolate(x, scale_factor=1.3, mode="bilinear"), "must be the old one times"),
    ],
)
def test_what_has_no_place_says_so(function: Callable[[Tensor], Tensor], message: str) -> None:
    with pytest.raises(SynergyError) as caught:
        capture(Net(function).eval(), SHAPE, "net")
    assert any(message in item.message for item in caught.value.diagnostics)
    assert all(item.location is not None for item in caught.value.diagnostics)


def test_the_front_end_bounds_channels_as_the_chips_do() -> None:
    assert most_channels() == layouts._MOST_CHANNELS
