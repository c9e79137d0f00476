"""ONNX files as a float graph; onnxscript folds constants first, so that shapes are plain."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from synergyc.diagnostics import Diagnostic, SynergyError, fail, file_location
from synergyc.frontend.builder import BatchMixedError, Call, GraphBuilder, UnsupportedOperatorError, Value
from synergyc.frontend.hints import ONNX_HINTS
from synergyc.frontend.onnx_call import OnnxCall
from synergyc.frontend.onnx_operators import READERS
from synergyc.frontend.onnx_types import in_single_precision
from synergyc.frontend.refusals import Refusals
from synergyc.ir.graph import Graph
from synergyc.ir.types import Origin, Shape, frozen_array

OPSETS = (7, 24)
"""Oldest and newest version of ONNX's own operators that are read."""

_FRAME = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+)')
_FOLDED_ELEMENTS = 1 << 24
"""Largest constant that simplification computes: far above any weight that fits a chip."""


def read_onnx(path: Path, name: str, input_shape: Shape | None = None) -> Graph:
    """Return the model in ``path`` as a float graph.

    ``input_shape``: of one sample, where the file leaves it open. Raises SynergyError for a damaged file, for
    open or wrong shapes, and with one diagnostic for each operator that cannot be carried out.
    """
    model = _load(path)
    _check(model, path)
    model = in_single_precision(model)
    _fix_input(model, path, input_shape)
    return _Reader(_simplified(model, path), path, name).graph()


def _load(path: Path) -> onnx.ModelProto:
    if not path.is_file():
        raise fail("model-file", "model file does not exist", location=file_location(path))
    try:
        model = onnx.load(path)
        if any(not item.type.tensor_type.HasField("shape") for item in model.graph.output):
            model = onnx.shape_inference.infer_shapes(model)  # other executors do not ask for them
        onnx.checker.check_model(model)
    except Exception as error:  # protobuf and onnx report damage by many types
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise fail(
            "model-damaged", f"not a readable ONNX model: {reason}", location=file_location(path)
        ) from error
    return model


def _check(model: onnx.ModelProto, path: Path) -> None:
    versions = {item.domain: item.version for item in model.opset_import}
    opset = versions.get("", versions.get("ai.onnx", 0))
    if not OPSETS[0] <= opset <= OPSETS[1]:
        raise fail(
            "model-opset",
            "the model's operators are of an unsupported version",
            location=file_location(path),
            need=f"opset {opset}",
            have=f"{OPSETS[0]} to {OPSETS[1]}",
            hint="export it again with an opset in that range",
        )
    _check_inference(model, path, opset)
    counts = len(_true_inputs(model)), len(model.graph.output)
    if counts != (1, 1):
        raise fail(
            "capture-signature",
            f"the model must take one tensor and return one, not {counts[0]} and {counts[1]}",
            location=file_location(path),
        )


def _check_inference(model: onnx.ModelProto, path: Path, opset: int) -> None:
    """Refuse normalization and dropout that work as in training: simplification would not keep that."""
    for node in model.graph.node:
        mode = next((item.i for item in node.attribute if item.name == "training_mode"), 0)
        outputs = len([name for name in node.output if name])
        message = ""
        if node.op_type == "BatchNormalization" and (mode or (opset < _ONE_NORM and outputs > 1)):
            message = "it normalizes each batch by itself"
        if node.op_type == "Dropout" and len(node.input) > 2 and _may_be_true(model.graph, node.input[2]):
            message = "it drops values at random"
        if message:
            raise fail(
                "unsupported-operator",
                f"operator {node.op_type}: {message}, as in training",
                layer=node.name or node.output[0],
                location=file_location(path),
                hint="export the model in evaluation mode",
            )


def _may_be_true(graph: onnx.GraphProto, name: str) -> bool:
    """Return whether the truth value ``name`` is true, or computed; one that is left out is false."""
    stored = {item.name: item for item in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            stored[node.output[0]] = node.attribute[0].t
    return bool(name) and (name not in stored or bool(numpy_helper.to_array(stored[name]).any()))


_ONE_NORM = 14
"""From this opset on, batch normalization says by an attribute, not by its outputs, that it trains."""


_INPUT_TYPES = (onnx.TensorProto.FLOAT, onnx.TensorProto.UINT8)


def _true_inputs(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    """Return the inputs that are not weights: old files list both."""
    weights = {item.name for item in model.graph.initializer}
    return [item for item in model.graph.input if item.name not in weights]


def _fix_input(model: onnx.ModelProto, path: Path, wanted: Shape | None) -> None:
    """Set the input's batch axis to 1 and fill in sizes that the file leaves open."""
    source = _true_inputs(model)[0]
    dims = source.type.tensor_type.shape.dim
    sizes = [max(dim.dim_value, 0) for dim in dims]  # left out, named, 0 or -1: open
    if source.type.tensor_type.elem_type not in _INPUT_TYPES or not 2 <= len(sizes) <= 4:
        raise fail(
            "capture-input",
            "the model's input must be float or uint8 values of shape (N, C, H, W), (N, C, L) or (N, F), not"
            f" {onnx.TensorProto.DataType.Name(source.type.tensor_type.elem_type).lower()} {sizes}",
            location=file_location(path),
        )
    given = tuple(sizes[1:])
    if wanted is not None and (
        len(wanted) != len(given) or any(a not in {0, b} for a, b in zip(given, wanted, strict=True))
    ):
        raise fail(
            "capture-input",
            "the model's input has another shape than asked for",
            location=file_location(path),
            need="x".join(map(str, wanted)),
            have="x".join(str(size or "?") for size in given),
        )
    if wanted is None and 0 in given:
        raise fail(
            "capture-input",
            "the model leaves the size of its input open",
            location=file_location(path),
            have="x".join(str(size or "?") for size in given),
            hint="state it: --input C,H,W, or input: [C, H, W] in the app file",
        )
    for dim, size in zip(dims, (1, *(wanted or given)), strict=True):
        dim.Clear()
        dim.dim_value = size
    del model.graph.value_info[:]
    for dim in model.graph.output[0].type.tensor_type.shape.dim:
        dim.Clear()


def _simplified(model: onnx.ModelProto, path: Path) -> onnx.ModelProto:
    """Return the model with constants computed, functions inlined, and the shape of every value."""
    import onnx_ir
    from onnxscript import optimizer

    logger = logging.getLogger("onnxscript")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        program = onnx_ir.serde.deserialize_model(model)
        most = _FOLDED_ELEMENTS
        # optimizer.optimize would apply its rules, too, which join two Clip of opset 9 to none
        optimizer.inline(program)
        optimizer.fold_constants(
            program, onnx_shape_inference=True, input_size_limit=most, output_size_limit=most
        )
        optimizer.remove_unused_nodes(program)
        simple = onnx_ir.serde.serialize_model(program)
        _compute_constants(simple.graph)
        return onnx.shape_inference.infer_shapes(simple, data_prop=True)
    except Exception as error:  # the libraries raise what they like for models that contradict themselves
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise fail(
            "capture", f"the model's shapes do not fit together: {reason}", location=file_location(path)
        ) from error
    finally:
        logger.setLevel(level)


def _compute_constants(graph: onnx.GraphProto) -> None:
    """Replace nodes that depend on constants alone by their results: what simplification left of them."""
    from onnx.reference import ReferenceEvaluator

    known = {item.name: item for item in graph.initializer}
    kept = []
    for node in graph.node:
        names = [name for name in node.input if name]
        subgraphs = any(item.HasField("g") for item in node.attribute)
        if subgraphs or not all(name in known for name in names):
            kept.append(node)
            continue
        feeds = {name: numpy_helper.to_array(known[name]) for name in names}
        results = ReferenceEvaluator(node).run(None, feeds)
        for name, result in zip(node.output, results, strict=False):
            known[name] = numpy_helper.from_array(np.asarray(result), name)
            graph.initializer.append(known[name])
    del graph.node[:]
    graph.node.extend(kept)


class _Reader:
    """Builds the graph node by node; collects what it cannot read."""

    def __init__(self, model: onnx.ModelProto, path: Path, name: str) -> None:
        self._model = model
        self._path = path
        graph = model.graph
        self._shapes = {
            item.name: tuple(dim.dim_value for dim in item.type.tensor_type.shape.dim)
            for item in (*graph.input, *graph.value_info, *graph.output)
        }
        self._source = _true_inputs(model)[0].name
        kind = _true_inputs(model)[0].type.tensor_type.elem_type
        self._builder = GraphBuilder(
            name, self._shapes[self._source][1:], reads_bytes=kind == onnx.TensorProto.UINT8
        )
        self._known: dict[str, Any] = {
            item.name: frozen_array(numpy_helper.to_array(item)) for item in graph.initializer
        }
        self._known[self._source] = self._builder.input
        self._refusals = Refusals()
        self._opset = next(item.version for item in model.opset_import if item.domain in {"", "ai.onnx"})

    def graph(self) -> Graph:
        for node in self._model.graph.node:
            self._read(node)
        if reasons := self._refusals.all():
            raise SynergyError([*self._builder.misplaced(), *reasons])
        output = self._known.get(self._model.graph.output[0].name)
        if not isinstance(output, Value):
            raise fail(
                "capture-signature",
                "the model must compute its output from its input",
                location=file_location(self._path),
            )
        return self._builder.graph(output)

    def _read(self, node: onnx.NodeProto) -> None:
        try:
            results = self._results(node, tuple(map(self._input, node.input)))
        except UnsupportedOperatorError as error:
            self._refusals.add(self._refusal(node, error), error, node.input, node.output)
            results = tuple(Value(name, self._shapes.get(name, (1, 0))[1:]) for name in node.output)
        self._refusals.follow(node.input, node.output)
        self._known.update(zip(node.output, results, strict=False))

    def _input(self, name: str) -> Any:
        """Return the value or array that a node calls ``name``; None where it leaves an input out."""
        if name and name not in self._known:
            raise UnsupportedOperatorError(f"it reads {name!r}, of which there is nothing but a name")
        found = self._known[name] if name else None
        if isinstance(found, Value) and not found.shape:
            raise BatchMixedError
        return found

    def _results(self, node: onnx.NodeProto, inputs: tuple[Any, ...]) -> tuple[Value, ...]:
        reader = READERS.get(node.op_type) if node.domain in {"", "ai.onnx"} else None
        if reader is None:
            raise UnsupportedOperatorError(
                "it cannot be carried out by the accelerator", ONNX_HINTS.get(node.op_type)
            )
        outputs = tuple(self._shape(name) for name in node.output if name)
        call = Call(self._builder, {}, outputs[0], self._origin(node))
        attributes = {item.name: _attribute(item) for item in node.attribute}
        found = reader(OnnxCall(inputs, attributes, call, outputs, self._opset))
        return found if isinstance(found, tuple) else (found,)

    def _shape(self, name: str) -> Shape:
        shape = self._shapes.get(name)
        if shape is None or 0 in shape:
            raise UnsupportedOperatorError("the shape of its result depends on the values of the input")
        if len(shape) < 1 or shape[0] != 1:
            raise BatchMixedError(f"its result of shape {shape} mixes the images of a batch")
        return shape[1:]

    def _origin(self, node: onnx.NodeProto) -> Origin:
        """Return the layer's name: of the module whose weight it reads, or the node's; and its line.

        That is the innermost line outside torch.
        """
        metadata = {item.key: item.value for item in node.metadata_props}
        found = _FRAME.finditer(metadata.get("pkg.torch.onnx.stack_trace", ""))
        frames = [frame for frame in found if "torch" not in Path(frame["file"]).parts]
        place = (Path(frames[-1]["file"]).name, int(frames[-1]["line"])) if frames else ("", 0)
        return Origin(_module(node), *place)

    def _refusal(self, node: onnx.NodeProto, error: UnsupportedOperatorError) -> Diagnostic:
        origin = self._origin(node)
        return Diagnostic(
            "unsupported-operator",
            f"operator {node.domain + '.' if node.domain else ''}{node.op_type}: {error.message}",
            location=origin.location or file_location(self._path),
            layer=origin.module,
            hint=error.hint,
        )


def _module(node: onnx.NodeProto) -> str:
    for name in list(node.input)[1:2]:
        if name.endswith(".weight"):
            return str(name.removesuffix(".weight"))
    stem: str = node.name.strip("/").replace("/", ".") or next(iter(node.output), node.op_type)
    return stem.removesuffix(f".{node.op_type}") or node.op_type


def _attribute(item: onnx.AttributeProto) -> Any:
    value = onnx.helper.get_attribute_value(item)
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return list(value) if isinstance(value, Iterable) and not isinstance(value, str) else value
