"""PyTorch modules, captured by torch.export, as a float graph.

An empty decomposition table keeps convolutions, pools and linear layers whole and makes the program
functional; ``aten.py`` then reads it operator by operator.
"""

from __future__ import annotations

import inspect
import io
import logging
import operator
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synergyc.diagnostics import Location, SynergyError, fail, file_location
from synergyc.frontend.aten import READERS
from synergyc.frontend.builder import BatchMixedError, Call, GraphBuilder, UnsupportedOperatorError, Value
from synergyc.frontend.hints import ATEN_HINTS
from synergyc.frontend.load import user_location
from synergyc.frontend.refusals import Refusals
from synergyc.frontend.torch_nodes import fixed_shape, is_random, operands_of, origin_of, refusal, sizes_of
from synergyc.ir.graph import Graph
from synergyc.ir.types import Array, Shape, frozen_array

if TYPE_CHECKING:
    import torch
    from torch import fx, nn
    from torch.export import ExportedProgram

_CHECKS = ("sym_", "_assert", "_guards")
"""Operators that check or measure, and compute nothing of the result."""
_NO_NOISE = "add noise in training only (if self.training), or keep it in a buffer"


def capture(module: nn.Module, input_shape: Shape, name: str) -> Graph:
    """Return ``module``, in evaluation mode, as a float graph for inputs of ``input_shape`` (no batch axis).

    Batch normalization stays a node of its own; dropout and identities vanish. Raises SynergyError if the
    module cannot be traced (control flow that depends on data), fails on this shape, takes or returns more
    than one tensor, or uses operators that the accelerator cannot carry out: one diagnostic for each.
    """
    if not input_shape or any(size < 1 for size in input_shape) or len(input_shape) > 3:
        raise fail(
            "capture-input", f"input shape must be (C, H, W), (C, L) or (F,), not {tuple(input_shape)}"
        )
    program = _export(module, input_shape)
    _check_one_tensor(program)
    return _Reader(program, name, input_shape).graph()


def read_exported(path: Path, name: str) -> Graph:
    """Return the ``torch.export`` program in a ``.pt2`` file as a float graph.

    Its input has a fixed shape of one sample (batch size 1, or any). Raises SynergyError for a damaged file,
    other dynamic shapes, and as ``capture``.
    """
    program = _loaded(path)
    _check_one_tensor(program)
    sizes = getattr(_input_value(program), "shape", ())
    if not sizes or not all(isinstance(size, int) for size in sizes[1:]) or sizes[0] != 1:
        raise fail(
            "capture-dynamic",
            f"the program must be exported for one sample of a fixed shape, not {tuple(sizes)}",
            location=file_location(path),
            hint="export it with an example input of batch size 1 and without dynamic_shapes",
        )
    with _quiet_torch():
        functional: ExportedProgram = program.run_decompositions({})
    return _Reader(functional, name, tuple(sizes[1:])).graph()


def _loaded(path: Path) -> ExportedProgram:
    import torch

    if not path.is_file():
        raise fail("model-file", "model file does not exist", location=file_location(path))
    try:
        with _quiet_torch():
            program: ExportedProgram = torch.export.load(path)
    except Exception as error:  # torch reports damage by many types
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise fail(
            "model-damaged",
            f"not a readable torch.export program: {reason}",
            location=file_location(path),
            hint="save it with torch.export.save(program, path)",
        ) from error
    return program


def _export(module: nn.Module, input_shape: Shape) -> ExportedProgram:
    import torch

    _check_signature(module)
    was_training = {part: part.training for part in module.modules()}
    module.eval()
    try:
        with _quiet_torch():
            # Tracing looks at the shape alone: memory that nobody writes costs nothing, however large.
            example = torch.empty(1, *input_shape)
            program: ExportedProgram = torch.export.export(module, (example,), strict=False)
            functional: ExportedProgram = program.run_decompositions({})
            return functional
    except (Exception, SystemExit) as error:  # tracing runs the user's code, which may raise anything
        raise _export_error(error, input_shape) from error
    finally:
        for part, training in was_training.items():
            part.training = training


def _check_signature(module: nn.Module) -> None:
    """Refuse a model that cannot be called with one tensor."""
    try:
        parameters = inspect.signature(module.forward).parameters.values()
    except (TypeError, ValueError):
        return  # tracing shows what it takes
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [item.name for item in parameters if item.default is item.empty and item.kind in positional]
    if len(needed) > 1:
        raise fail(
            "capture-signature",
            f"the model must take one tensor, not {len(needed)}: {', '.join(needed)}",
            location=_place_of(module),
            hint="join the inputs as channels of one tensor, or give all but one a default",
        )


def _check_one_tensor(program: ExportedProgram) -> None:
    """Refuse a program that does not make one tensor of one, or keeps state."""
    signature = program.graph_signature
    counts = len(signature.user_inputs), len(signature.user_outputs)
    if counts != (1, 1) or signature.buffers_to_mutate:
        raise fail(
            "capture-signature",
            f"the model must take one tensor and return one, not {counts[0]} and {counts[1]},"
            " and must not change its own buffers",
        )


def _input_value(program: ExportedProgram) -> Any:
    """Return torch's stand-in for the program's only input, of its shape and type."""
    (name,) = program.graph_signature.user_inputs
    (node,) = (item for item in program.graph.nodes if item.op == "placeholder" and item.name == str(name))
    return node.meta.get("val")


def _place_of(module: nn.Module) -> Location | None:
    code = getattr(type(module).forward, "__code__", None)
    return Location(code.co_filename, code.co_firstlineno) if code is not None else None


@contextmanager
def _quiet_torch() -> Iterator[None]:
    """Keep torch's warnings about its own internals, and its logs of failed tracing, from the user.

    What the model prints goes to standard error.
    """
    logger = logging.getLogger("torch")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings(), redirect_stdout(sys.stderr), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _export_error(error: BaseException, input_shape: Shape) -> SynergyError:
    place = user_location(error)
    if "DataDependent" in type(error).__name__ or "data-dependent" in str(error):
        return fail(
            "capture-control-flow",
            "the model's control flow or shapes depend on the values of its input",
            location=place,
            hint="the accelerator runs a fixed list of layers: branch on shapes and constants only",
        )
    first_line = (str(error).strip().splitlines() or [""])[0]
    return fail(
        "capture",
        f"the model fails on an input of shape {tuple(input_shape)}: {type(error).__name__}: {first_line}",
        location=place,
        hint="check the model's input shape against its first layer",
    )


class _Reader:
    """Builds the graph from an exported program; collects what it cannot read."""

    def __init__(self, program: ExportedProgram, name: str, input_shape: Shape) -> None:
        self._program = program
        reads_bytes = str(getattr(_input_value(program), "dtype", "")) == "torch.uint8"
        self._builder = GraphBuilder(name, input_shape, reads_bytes=reads_bytes)
        self._known: dict[str, Any] = dict(_constants(program))
        self._refusals = Refusals()

    def graph(self) -> Graph:
        signature = self._program.graph_signature
        self._known[str(signature.user_inputs[0])] = self._builder.input
        for node in self._program.graph.nodes:
            if node.op == "call_function":
                self._read(node)
                self._refusals.follow(operands_of(node), [node.name])
        if reasons := self._refusals.all():
            raise SynergyError([*self._builder.misplaced(), *reasons])
        output = self._known.get(str(signature.user_outputs[0]))
        if not isinstance(output, Value):
            raise fail("capture-signature", "the model must compute its output from its input")
        return self._builder.graph(output)

    def _read(self, node: fx.Node) -> None:
        if node.target is operator.getitem:
            self._known[node.name] = self._result(node)
            return
        if not any(_is_computed(self._known.get(used.name)) for used in node.all_input_nodes):
            if is_random(node):
                self._refuse(node, UnsupportedOperatorError("its values are random", _NO_NOISE))
            self._fold_constant(node)
            return
        name = str(node.target).removeprefix("aten.")
        try:
            reader = READERS.get(name)
            if reader is None:
                if name.startswith(_CHECKS):
                    return
                raise UnsupportedOperatorError(
                    "it cannot be carried out by the accelerator", ATEN_HINTS.get(name)
                )
            call = Call(self._builder, self._arguments(node), fixed_shape(node), origin_of(node))
            found = reader(call)
            alone = isinstance(found, Value) and isinstance(node.meta["val"], tuple | list)
            self._known[node.name] = (found,) if alone else found
        except UnsupportedOperatorError as error:
            self._refuse(node, error)
            # The graph is lost, but the operators that follow are still read, to report them all at once.
            self._known[node.name] = Value(node.name, sizes_of(node)[1:])

    def _refuse(self, node: fx.Node, error: UnsupportedOperatorError) -> None:
        self._refusals.add(refusal(node, error), error, operands_of(node), [node.name])

    def _result(self, node: fx.Node) -> Any:
        """Return one of the results of an operator: of pools and normalization the first alone is known."""
        source, index = node.all_input_nodes[0], int(str(node.args[1]))
        found = self._known.get(source.name)
        if not isinstance(found, tuple):  # refused before, or never read
            return found
        if index < len(found):
            return found[index]
        self._refuse(source, UnsupportedOperatorError("only its first result can be used"))
        return Value(node.name, sizes_of(node)[1:])

    def _fold_constant(self, node: fx.Node) -> None:
        """Compute what depends on parameters alone, such as a masked or normalized weight."""
        from torch import fx

        try:
            known = fx.map_arg((node.args, dict(node.kwargs)), lambda used: self._known[used.name])
        except KeyError:  # what was left out measures or checks, and computes nothing
            return
        arguments, keywords = known
        result = node.target(*arguments, **keywords)  # type: ignore[operator]
        self._known[node.name] = tuple(result) if isinstance(result, list) else result

    def _arguments(self, node: fx.Node) -> dict[str, Any]:
        normalized = node.normalized_arguments(  # torch leaves trailing defaults out
            self._program.graph_module, normalize_to_only_use_kwargs=True
        )
        if normalized is None:
            raise UnsupportedOperatorError("its arguments cannot be read")
        return {key: self._resolved(argument) for key, argument in normalized.kwargs.items()}

    def _resolved(self, argument: Any) -> Any:
        """Return an argument with values of the graph, or arrays, in place of what computes them."""
        import torch

        if isinstance(argument, list | tuple):
            return [self._resolved(part) for part in argument]
        name = getattr(argument, "name", "")  # of the node that computes the argument
        known = self._known.get(name, argument)
        if isinstance(known, Value) and not known.shape:
            raise BatchMixedError
        return _array(known, name) if isinstance(known, torch.Tensor) else known


def _is_computed(known: object) -> bool:
    """Return whether a known value depends on the input."""
    return isinstance(known, Value) or (isinstance(known, tuple) and any(map(_is_computed, known)))


def _constants(program: ExportedProgram) -> dict[str, torch.Tensor]:
    """Return parameters and buffers by the names of their placeholders."""
    signature = program.graph_signature
    stored = {**program.constants, **program.state_dict}
    keys = {
        **signature.inputs_to_parameters,
        **signature.inputs_to_buffers,
        **signature.inputs_to_lifted_tensor_constants,
    }
    return {name: stored[key].detach() for name, key in keys.items()}


def _array(tensor: torch.Tensor, name: str) -> Array:
    """Return a tensor's values, real ones in single precision; ``name`` is shown if it has none to read."""
    try:
        tensor = tensor.detach().cpu()
        return frozen_array((tensor.float() if tensor.is_floating_point() else tensor).numpy())
    except (RuntimeError, TypeError) as error:  # without data, sparse, or of a type that NumPy lacks
        kind = f"{tensor.dtype} on {tensor.device}, {tensor.layout}"
        raise fail("weight-value", f"tensor {name!r} has no values that can be read: {kind}") from error
