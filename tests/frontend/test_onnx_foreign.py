"""ONNX as other exporters write it: graphs built by hand, against onnxruntime on the same file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from synergyc.diagnostics import SynergyError
from synergyc.frontend.onnx_file import read_onnx
from synergyc.legalize import rewrite
from tests.legalize.graphs import images
from tests.legalize.test_rewrite import floats

Node = tuple[str, list[str], list[str], dict[str, Any]]

CONV: Node = ("Conv", ["x", "w", "b"], ["c"], {})
SHAPE = (3, 8, 8)


def tensors(dtype: type = np.float32, **shapes: Sequence[int]) -> list[onnx.TensorProto]:
    rng = np.random.default_rng(0)
    return [
        numpy_helper.from_array(rng.normal(0, 0.3, shape).astype(dtype), name)
        for name, shape in shapes.items()
    ]


def numbers(**values: list[int]) -> list[onnx.TensorProto]:
    return [numpy_helper.from_array(np.array(value, np.int64), name) for name, value in values.items()]


def saved(
    folder: Path,
    nodes: Sequence[Node],
    constants: Sequence[onnx.TensorProto],
    shape: Sequence[int] = SHAPE,
    *,
    opset: int = 17,
    kind: int = TensorProto.FLOAT,
) -> Path:
    stored = [*tensors(w=(4, 3, 3, 3), b=(4,)), *constants]
    latest = {item.name: item for item in stored}
    graph = helper.make_graph(
        [helper.make_node(op, ins, outs, **attributes) for op, ins, outs, attributes in nodes],
        "net",
        [helper.make_tensor_value_info("x", kind, [1, *shape])],
        [helper.make_tensor_value_info("y", kind, None)],  # other executors do not ask for its shape
        list(latest.values()),
    )
    path = folder / "net.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), path)
    return path


CHANNELS_LAST: list[Node] = [
    ("Transpose", ["x"], ["xt"], {"perm": [0, 3, 1, 2]}),
    ("Conv", ["xt", "w", "b"], ["c"], {"pads": [1, 1, 1, 1]}),
    ("Transpose", ["c"], ["ct"], {"perm": [0, 2, 3, 1]}),
    ("Relu", ["ct"], ["r"], {}),
    ("Mul", ["r", "s"], ["m"], {}),
    ("Add", ["m", "a"], ["q"], {}),
    ("Transpose", ["q"], ["qt"], {"perm": [0, 3, 1, 2]}),
    ("Conv", ["qt", "w2"], ["c2"], {"strides": [2, 2], "auto_pad": "SAME_UPPER"}),
    ("Transpose", ["c2"], ["c3"], {"perm": [0, 2, 3, 1]}),
]
MEAN: list[Node] = [
    ("ReduceMean", ["c3"], ["g"], {"axes": [1, 2], "keepdims": 0}),
    ("MatMul", ["g", "f"], ["y"], {}),
]
FLAT: list[Node] = [("Reshape", ["c3", "to"], ["g"], {}), ("Gemm", ["g", "f2", "fb"], ["y"], {"alpha": 0.5})]
FURTHER = tensors(s=(4,), a=(4,), w2=(6, 4, 3, 3), f=(6, 5), f2=(96, 5), fb=(1,), u=(4, 2, 3, 3))

CASES: dict[str, tuple[list[Node], list[onnx.TensorProto], tuple[int, ...], int]] = {
    "channels last": ([*CHANNELS_LAST, *MEAN], FURTHER, (8, 8, 3), 17),
    "channels last, flattened": ([*CHANNELS_LAST, *FLAT], [*FURTHER, *numbers(to=[-1, 96])], (8, 8, 3), 17),
    "padding of old opsets": (
        [("Pad", ["x"], ["p"], {"pads": [0, 0, 1, 0, 0, 0, 0, 1]}), ("Conv", ["p", "w"], ["y"], {})],
        [],
        SHAPE,
        10,
    ),
    "padded channels": (
        [CONV, ("Pad", ["c", "p"], ["y"], {})],
        numbers(p=[0, 1, 0, 0, 0, 2, 0, 0]),
        SHAPE,
        17,
    ),
    "transposed, same": (
        [CONV, ("ConvTranspose", ["c", "u"], ["y"], {"strides": [2, 2], "auto_pad": "SAME_UPPER"})],
        FURTHER,
        SHAPE,
        17,
    ),
    "transposed to a size": (
        [CONV, ("ConvTranspose", ["c", "u"], ["y"], {"strides": [2, 2], "output_shape": [12, 12]})],
        FURTHER,
        SHAPE,
        17,
    ),
    "sum over pixels": ([CONV, ("ReduceSum", ["c", "n"], ["y"], {})], numbers(n=[2, 3]), SHAPE, 17),
    "larger of two": ([CONV, ("Neg", ["c"], ["n"], {}), ("Max", ["c", "n"], ["y"], {})], [], SHAPE, 17),
    "mean of two": ([CONV, ("Relu", ["c"], ["n"], {}), ("Mean", ["c", "n"], ["y"], {})], [], SHAPE, 17),
    "repeated channels": ([CONV, ("Tile", ["c", "n"], ["y"], {})], numbers(n=[1, 2, 1, 1]), SHAPE, 17),
    "reversed channels": (
        [CONV, ("Slice", ["c", "n", "m", "k", "n"], ["y"], {})],
        numbers(n=[-1], m=[-99], k=[1]),
        SHAPE,
        17,
    ),
    "softmax of all behind its axis": ([CONV, ("Softmax", ["c"], ["y"], {"axis": 1})], [], SHAPE, 11),
    "log-softmax of rows": ([CONV, ("LogSoftmax", ["c"], ["y"], {"axis": 2})], [], SHAPE, 12),
    "slopes of channels": ([CONV, ("PRelu", ["c", "s"], ["y"], {})], tensors(s=(4, 1, 1)), SHAPE, 17),
    "clipped twice": (
        [CONV, ("Clip", ["c"], ["d"], {"min": -0.3, "max": 0.2}), ("Clip", ["d"], ["y"], {"max": 0.1})],
        [],
        SHAPE,
        9,
    ),
    "one column": ([CONV, ("Gather", ["c", "n"], ["y"], {"axis": 3})], numbers(n=[-1]), SHAPE, 17),
}


@pytest.mark.parametrize("name", CASES)
def test_foreign_graphs_compute_what_onnxruntime_does(name: str, tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    nodes, constants, shape, opset = CASES[name]
    path = saved(tmp_path, nodes, constants, shape, opset=opset)
    graph = rewrite(read_onnx(path, "net"))
    data = images(shape, seed=1)
    session = runtime.InferenceSession(path)
    expected = np.concatenate([session.run(None, {"x": image[None]})[0] for image in data])
    np.testing.assert_allclose(floats(graph, data).reshape(expected.shape), expected, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize(
    ("dtype", "kind"), [(np.float16, TensorProto.FLOAT16), (np.float64, TensorProto.DOUBLE)]
)
def test_other_floating_point_types_are_read_as_float32(dtype: type, kind: int, tmp_path: Path) -> None:
    constants = tensors(dtype, w=(4, 3, 3, 3), b=(4,))
    relu: Node = ("Relu", ["d"], ["y"], {})
    nodes: list[Node] = [CONV, ("Cast", ["c"], ["d"], {"to": kind}), relu]
    graph = read_onnx(saved(tmp_path, nodes, constants, kind=kind), "net")
    nodes = [CONV, ("Identity", ["c"], ["d"], {}), relu]
    same = read_onnx(saved(tmp_path, nodes, tensors(w=(4, 3, 3, 3), b=(4,))), "net")
    data = images(SHAPE, seed=1)
    np.testing.assert_allclose(floats(graph, data), floats(same, data), atol=5e-3)


@pytest.mark.parametrize(
    ("nodes", "constants", "opset", "message"),
    [
        (
            [CONV, ("BatchNormalization", ["c", "b", "b", "b", "b"], ["y", "m", "v"], {"training_mode": 1})],
            [],
            17,
            "as in training",
        ),
        (
            [CONV, ("BatchNormalization", ["c", "b", "b", "b", "b"], ["y", "m", "v", "n", "u"], {})],
            [],
            9,
            "as in training",
        ),
        (
            [CONV, ("Dropout", ["c", "", "on"], ["y"], {})],
            [numpy_helper.from_array(np.array(True), "on")],
            17,
            "as in training",
        ),
        ([("Conv", ["x", "v"], ["y"], {})], tensors(v=(4, 5, 3, 3)), 17, "for 5 channels, not 3"),
        ([("Conv", ["x", "v", "b"], ["y"], {})], tensors(v=(5, 3, 3, 3)), 17, "bias is for 4 channels"),
        (
            [("MaxPool", ["x"], ["y"], {"kernel_shape": [2, 2], "auto_pad": "SAME"})],
            [],
            17,
            "no padding 'SAME'",
        ),
        (
            [("Flatten", ["x"], ["f"], {}), ("Gemm", ["f", "v", "b"], ["y"], {})],
            tensors(v=(192, 5)),
            17,
            "adds 4 values to 5",
        ),
        (
            [("MaxPool", ["x"], ["y"], {"kernel_shape": [2, 2], "strides": [9, 9], "ceil_mode": 1})],
            [],
            17,
            "lies in the padding",
        ),
        # as many columns as channels: the slopes belong to the last axis all the same
        (
            [CONV, ("MaxPool", ["c"], ["p"], {"kernel_shape": [3, 3]}), ("PRelu", ["p", "b"], ["y"], {})],
            [],
            17,
            "differs from pixel to pixel",
        ),
        (
            [
                CONV,
                ("MaxPool", ["c"], ["p", "i"], {"kernel_shape": [2, 2]}),
                ("Cast", ["i"], ["y"], {"to": 1}),
            ],
            [],
            17,
            "nothing but a name",
        ),
        (
            [CONV, ("Mul", ["c", "z"], ["y"], {})],
            [numpy_helper.from_array(np.array(np.inf, np.float32), "z")],
            17,
            "must be finite",
        ),
        (
            [CONV, ("Pad", ["c", "p"], ["y"], {})],
            numbers(p=[1, 0, 0, 0, 0, 0, 0, 0]),
            17,
            "mixes the images",
        ),
        (
            [CONV, ("Tile", ["c", "p"], ["y"], {})],
            numbers(p=[1, 1, 2, 1]),
            17,
            "only channels can be repeated",
        ),
    ],
)
def test_foreign_graphs_are_refused_with_the_reason(
    nodes: list[Node], constants: list[onnx.TensorProto], opset: int, message: str, tmp_path: Path
) -> None:
    with pytest.raises(SynergyError) as caught:
        read_onnx(saved(tmp_path, nodes, constants, opset=opset), "net")
    assert any(message in item.message for item in caught.value.diagnostics)
