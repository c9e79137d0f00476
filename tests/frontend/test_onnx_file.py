"""ONNX files: written by torch's two exporters and by hand, against torch and onnxruntime; damaged ones.

Truth: the module run by torch, and onnxruntime for models that no exporter wrote.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from synergyc.diagnostics import SynergyError
from synergyc.frontend.onnx_file import read_onnx
from synergyc.ir.types import Array, Shape
from synergyc.legalize import rewrite
from tests.legalize.graphs import images
from tests.legalize.rewrite_cases import CASES, Model
from tests.legalize.test_rewrite import floats

EXPORTED = (
    *("strided, normalized", "transposed 4x4", "relu6", "clamps", "leaky", "norm in front", "dense block"),
    *("ceil mode", "average padded", "mean", "global 32", "causal", "chomped", "one row", "halves"),
    *("shuffled by hand", "arithmetic", "nearest", "2x2 same"),
)


def exported(name: str, path: Path, *, dynamo: bool) -> torch.nn.Module:
    """Write a case of the rewriting tests as ONNX and return the module."""
    torch.manual_seed(0)
    module = Model(CASES[name]).eval()
    example = torch.zeros(1, *CASES[name].shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, (example,), path, dynamo=dynamo, opset_version=None if dynamo else 13, verbose=False
        )
    return module


@pytest.mark.parametrize("name", EXPORTED)
def test_files_of_the_older_exporter_give_the_same_function(name: str, tmp_path: Path) -> None:
    module = exported(name, tmp_path / "net.onnx", dynamo=False)
    graph = rewrite(read_onnx(tmp_path / "net.onnx", "net"))
    data = images(CASES[name].shape, seed=1)
    with torch.no_grad():
        expected = module(torch.from_numpy(data)).numpy()
    np.testing.assert_allclose(floats(graph, data), expected, rtol=1e-4, atol=2e-5)


def test_files_of_the_newer_exporter_keep_names_and_lines(tmp_path: Path) -> None:
    module = exported("strided, normalized", tmp_path / "net.onnx", dynamo=True)
    graph = read_onnx(tmp_path / "net.onnx", "net")
    assert {node.origin.module for node in graph} >= {"parts.0", "parts.1", "parts.4"}
    places = [node.origin.location for node in graph if node.origin.location is not None]
    assert {place.file for place in places} == {"rewrite_cases.py"}  # not those of torch that it calls
    data = images((2, 8, 8), seed=1)
    with torch.no_grad():
        expected = module(torch.from_numpy(data)).numpy()
    np.testing.assert_allclose(floats(rewrite(graph), data), expected, rtol=1e-4, atol=2e-5)


def written(text: str, path: Path, **constants: Array) -> Path:
    """Write a model given in ONNX's text form, with weights added."""
    model = onnx.parser.parse_model(text)
    for name, array in constants.items():
        model.graph.initializer.append(numpy_helper.from_array(array.astype(np.float32), name))
    onnx.save(model, path)
    return path


def random(*shape: int) -> Array:
    return np.random.default_rng(0).normal(0, 0.3, shape)


HEAD = '<ir_version: {ir}, opset_import: ["" : {opset}]>\nnet (float[{input}] x) => (float[n, k] y) '


@pytest.mark.parametrize(
    ("ir", "opset", "source", "body", "constants"),
    [
        (
            4,
            9,
            "N, 2, 9, 9",
            """{
                a = Conv <auto_pad = "SAME_UPPER", strides = [2, 2]> (x, w, b)
                c = Clip <min = 0.0, max = 6.0> (a)
                d = AveragePool <kernel_shape = [5, 5]> (c)
                e = Flatten (d)
                y = Gemm <transB = 1, alpha = 0.5> (e, v, u)
            }""",
            {"w": random(4, 2, 3, 3), "b": random(4), "v": random(3, 4), "u": random(3)},
        ),
        (
            7,
            12,
            "1, 2, 8, 8",
            """{
                half = Constant <value = float {0.5}> ()
                p = Pad <mode = "constant"> (x, pads)
                a = Conv (p, w)
                s = Mul (a, half)
                r = PRelu (s, slope)
                g = GlobalMaxPool (r)
                q = Squeeze <axes = [2, 3]> (g)
                y = Softmax <axis = 1> (q)
            }""",
            {"w": random(4, 2, 3, 3), "slope": np.full((4, 1, 1), 0.25)},
        ),
        (
            8,
            18,
            "batch, 4, 6",
            """{
                t = MatMul (x2, w)
                a = Add (t, b)
                y = Relu (a)
            }""",
            {"w": random(24, 3), "b": random(3)},
        ),
    ],
)
def test_files_written_by_hand_equal_onnxruntime(
    ir: int, opset: int, source: str, body: str, constants: dict[str, Array], tmp_path: Path
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    text = HEAD.format(ir=ir, opset=opset, input=source) + body.replace("x2", "flat")
    if "flat" in text:
        text = text.replace("{\n", "{\n flat = Flatten (x)\n", 1)
    if "pads" in text:
        text = text.replace("{\n", "{\n pads = Constant <value = int64[8] {0, 0, 1, 1, 0, 0, 1, 1}> ()\n", 1)
    path = written(text, tmp_path / "net.onnx", **constants)
    sizes = tuple(int(size) for size in source.split(",")[1:])
    data = images(sizes, seed=1)[:1]
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (expected,) = session.run(None, {"x": data})
    np.testing.assert_allclose(floats(rewrite(read_onnx(path, "net")), data), expected, rtol=1e-4, atol=1e-5)


def small_model(shape: tuple[int | str, ...], kind: str = "Relu", opset: int = 18) -> onnx.ModelProto:
    node = helper.make_node(kind, ["x"], ["y"], name="layer")
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("x", "y")]
    graph = helper.make_graph([node], "net", values[:1], values[1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


@pytest.mark.parametrize(
    ("model", "asked", "rule"),
    [
        (small_model((1, 3, "h", "w")), None, "capture-input"),
        (small_model((1, 3, -1, -1)), None, "capture-input"),
        (small_model((1, 3, 8, 8)), (3, 9, 9), "capture-input"),
        (small_model((1, 3, 8, 8, 8)), None, "capture-input"),
        (small_model((1, 3, 8, 8), opset=6), None, "model-opset"),
        (small_model((1, 3, 8, 8), kind="HardSwish"), None, "unsupported-operator"),
        (small_model((1, 3, 8, 8), kind="Erf"), None, "unsupported-operator"),
    ],
)
def test_models_that_do_not_fit_are_refused(
    model: onnx.ModelProto, asked: Shape | None, rule: str, tmp_path: Path
) -> None:
    onnx.save(model, tmp_path / "net.onnx")
    with pytest.raises(SynergyError) as caught:
        read_onnx(tmp_path / "net.onnx", "net", asked)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.rule == rule
    assert diagnostic.location is not None


def test_open_sizes_are_filled_in(tmp_path: Path) -> None:
    onnx.save(small_model(("n", 3, "h", "w")), tmp_path / "net.onnx")
    assert read_onnx(tmp_path / "net.onnx", "net", (3, 5, 7)).input.shape == (3, 5, 7)


@pytest.mark.parametrize("content", [b"", b"not protobuf at all", None])
def test_damaged_files_give_one_diagnostic(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    if content is None:
        exported("relu6", path, dynamo=False)
        content = path.read_bytes()[:-100]
    path.write_bytes(content)
    with pytest.raises(SynergyError) as caught:
        read_onnx(path, "net")
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.rule == "model-damaged"
