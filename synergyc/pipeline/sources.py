"""Reading a model from any of its sources: the front end's formats, and checkpoints of the vendor's tool."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from synergyc.config import CheckpointModel, ExportedModel, ModelSource, ModuleModel, OnnxModel, PythonModel
from synergyc.diagnostics import fail, file_location
from synergyc.ir.graph import Graph
from synergyc.ir.types import Shape, describe_shape
from synergyc.pipeline.vendor_model import read_vendor_model
from synergyc.targets import Chip

_CHECKPOINTS = (".tar", ".pth", ".pt", ".ckpt")


@dataclass(frozen=True, eq=False)
class Captured:
    """A model as it was read, a float ``graph``; ``notes`` say what was assumed.

    ``integers`` is there where the source holds integers already, made from the real weights of ``graph``.
    """

    graph: Graph
    integers: Graph | None = None
    notes: tuple[str, ...] = ()


def source_of(
    spec: str,
    input_shape: Shape | None,
    weights: Path | None = None,
    arguments: Mapping[str, object] | None = None,
    network: Path | None = None,
) -> ModelSource:
    """Return what ``spec`` names: ``file.py:Class``, ``package.module:Class``, or a file by its suffix.

    Raises SynergyError if it names nothing, or for what that kind of model has no use for.
    """
    path = Path(spec)
    given = {"--weights": weights, "--arg": arguments, "--network": network}
    if path.suffix == ".onnx":
        _refuse_unused(given, "an ONNX file", "--weights", "--arg", "--network")
        return OnnxModel(path, input_shape)
    if path.suffix == ".pt2":
        _refuse_unused(given, "a saved program", "--weights", "--arg", "--network")
        return ExportedModel(path)
    if path.suffix in _CHECKPOINTS:
        _refuse_unused(given, "a checkpoint", "--weights", "--arg")
        return CheckpointModel(path, network, input_shape)
    _refuse_unused(given, "a class", "--network")
    file, colon, name = spec.rpartition(":")
    if not colon or not file or not name:
        raise fail(
            "model-spec",
            f"model must be 'file.py:Class', 'package.module:Class', FILE.onnx, FILE.pt2"
            f" or a checkpoint such as FILE.pth.tar, not {spec!r}",
            hint=f"name its class: {spec}:Net" if path.suffix == ".py" else None,
        )
    if input_shape is None:
        raise fail(
            "capture-input", f"the input shape of {spec} must be given", hint="for example --input 3,32,32"
        )
    return PythonModel(Path(file), name, weights, input_shape, arguments or {})


def _refuse_unused(given: Mapping[str, object], kind: str, *names: str) -> None:
    useless = [name for name in names if given[name]]
    if useless:
        raise fail(
            "model-option", f"{kind} has no use for {', '.join(useless)}", hint=f"leave out {useless[0]}"
        )


def read_model(model: ModelSource, name: str, chip: Chip, samples_shape: Shape | None = None) -> Captured:
    """Return ``model`` as a graph called ``name``; runs the user's code where the model is a class.

    ``chip``: whose limits a vendor's network is resolved with. ``samples_shape``: of one sample, where the
    source does not state the shape of its input. Raises SynergyError for whatever is wrong with the model.
    """
    match model:
        case PythonModel():
            return _from_class(model, name)
        case ModuleModel():
            return _from_module(model, name, model.input or samples_shape)
        case OnnxModel():
            from synergyc.frontend.onnx_file import read_onnx

            return Captured(read_onnx(model.file, name, model.input))
        case ExportedModel():
            from synergyc.frontend import read_exported

            return Captured(read_exported(model.file, name))
        case CheckpointModel():
            found = read_vendor_model(model, model.input or samples_shape, chip)
            return Captured(found.graph, found.integers)


def _from_class(model: PythonModel, name: str) -> Captured:
    """Return a class of the user's as a graph, with weights from a file, or always the same random ones."""
    import torch

    from synergyc import frontend

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = frontend.load_module(f"{model.file.name}:{model.class_name}", model.file.parent, model.args)
    notes: tuple[str, ...] = ()
    if model.weights is None:
        notes = ("no weights given: the class's own initial weights, from a fixed random seed",)
    else:
        frontend.load_weights(module, model.weights)
    return Captured(frontend.capture(module, model.input, name), notes=notes)


def _from_module(model: ModuleModel, name: str, input_shape: Shape | None) -> Captured:
    """Return a module made in Python as a graph."""
    from torch import nn

    from synergyc import frontend

    if not isinstance(model.module, nn.Module):
        kind = type(model.module).__name__
        raise fail("model-source", f"app {name!r}: model must be an nn.Module, not a {kind}")
    if input_shape is None:
        raise fail(
            "model-input", f"app {name!r} needs the shape of its input", hint="ModuleModel(module, shape)"
        )
    return Captured(frontend.capture(model.module, input_shape, name))


def check_shape(captured: Captured, wanted: Shape | None, file: Path) -> None:
    """Raise SynergyError if a model reads samples of another shape than ``wanted``."""
    found = captured.graph.input.source_shape
    if wanted is not None and wanted != found:
        raise fail(
            "capture-input",
            "the model's input has another shape than asked for",
            location=file_location(file),
            need=describe_shape(wanted),
            have=describe_shape(found),
        )
