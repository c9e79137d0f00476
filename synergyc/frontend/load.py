"""Finding a model's class by its spec and filling in its weights."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import re
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from synergyc.diagnostics import (
    Diagnostic,
    Location,
    SynergyError,
    did_you_mean,
    fail,
    file_location,
)

if TYPE_CHECKING:
    import torch
    from torch import nn

_UNUSED_AT_INFERENCE = "num_batches_tracked"
"""Suffix of a batch-norm buffer that only training reads; weight files may leave it out."""

_FORBIDDEN_NAME = re.compile(r"GLOBAL (\S+)")
"""What torch.load, reading weights only, calls a name that it does not import."""


def load_module(spec: str, base: Path, arguments: Mapping[str, Any] | None = None) -> nn.Module:
    """Return the model that ``spec`` names, in evaluation mode, with the weights its constructor gives.

    ``spec`` is ``file.py:Class`` (the file relative to ``base``) or ``package.module:Class`` (found in
    ``base`` or where Python finds packages); ``arguments`` go to the constructor. Runs user code. Raises
    SynergyError if the file, class or arguments are wrong, or if that code raises.
    """
    from torch import nn

    source, _, name = spec.rpartition(":")
    if not source or not name:
        raise fail(
            "model-spec",
            f"model must be 'file.py:Class' or 'package.module:Class', not {spec!r}",
        )
    with _user_code(spec):
        module = _import_file(base / source) if source.endswith(".py") else _import_package(source, base)
    found = getattr(module, name, None)
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        classes = [
            key
            for key, value in vars(module).items()
            if isinstance(value, type) and issubclass(value, nn.Module)
        ]
        raise fail(
            "model-class",
            f"{source} must define a torch.nn.Module called {name!r}",
            location=file_location(source) if source.endswith(".py") else None,
            hint=did_you_mean(name, classes) or "it defines no torch.nn.Module",
        )
    try:
        inspect.signature(found).bind(**(arguments or {}))
    except TypeError as error:
        raise fail("model-arguments", f"arguments of {spec} do not fit: {error}") from error
    with _user_code(spec):
        built: nn.Module = found(**(arguments or {}))
    return built.eval()


def load_weights(module: nn.Module, path: Path) -> None:
    """Fill the parameters and buffers of ``module`` from a ``.safetensors`` or ``.pt``/``.pth`` file.

    A ``.pt`` file holds a state dictionary, or a dictionary with one under ``state_dict``; it is read without
    executing code. Values are converted to the module's types. Raises SynergyError with one diagnostic for
    each missing, unexpected, misshapen or non-finite tensor; ``module`` is then unchanged.
    """
    tensors = _read_tensors(path)
    expected = module.state_dict()
    problems = list(_weight_problems(expected, tensors, path))
    if problems:
        raise SynergyError(problems)
    module.load_state_dict(tensors, strict=False)


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Let imports find modules in ``folder`` first, as Python does for the folder of a script."""
    sys.path.insert(0, str(folder.resolve()))
    try:
        yield
    finally:
        sys.path.remove(str(folder.resolve()))


def _import_package(name: str, base: Path) -> ModuleType:
    with _importable(base):
        return importlib.import_module(name)


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise fail("model-file", "model file does not exist", location=file_location(path))
    name = f"_synergyc_model_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise fail("model-file", "model file is not Python source", location=file_location(path))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickling look a class's module up by name
    try:
        with _importable(path.parent):
            spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


@contextmanager
def _user_code(spec: str) -> Iterator[None]:
    """Turn whatever the user's module raises into a diagnostic at the line that raised it.

    What it prints goes to standard error: standard output is for results.
    """
    try:
        with redirect_stdout(sys.stderr):
            yield
    except SynergyError:
        raise
    except SyntaxError as error:
        place = Location(error.filename or spec, error.lineno or 0, error.offset or 0)
        raise fail("model-code", f"model is not valid Python: {error.msg}", location=place) from error
    except (Exception, SystemExit) as error:
        raise fail(
            "model-code",
            f"model {spec} raised {type(error).__name__}: {error}",
            location=user_location(error),
        ) from error


def user_location(error: BaseException) -> Location | None:
    """Return the innermost place in the user's own files of a traceback; None if it has no such place."""
    own = Path(__file__).resolve().parents[1]
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if "site-packages" in path.parts or not path.is_file() or own in path.resolve().parents:
            continue
        if path.resolve().is_relative_to(Path(inspect.__file__).resolve().parent):
            continue
        return Location(frame.filename, frame.lineno or 0)
    return None


def _read_tensors(path: Path) -> dict[str, torch.Tensor]:
    if not path.is_file():
        raise fail("weights-file", "weights file does not exist", location=file_location(path))
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    if path.suffix in {".pt", ".pth"}:
        return _read_checkpoint(path)
    raise fail(
        "weights-file",
        f"weights file must end in .safetensors, .pt or .pth, not {path.suffix!r}",
        location=file_location(path),
    )


def _read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise fail(
            "weights-file", f"not a readable safetensors file: {error}", location=file_location(path)
        ) from error


def _read_checkpoint(path: Path) -> dict[str, torch.Tensor]:
    import torch

    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch reports damage by many types, from EOFError to its own
        raise fail(
            "weights-file",
            f"not a checkpoint of plain tensors: {_why_unreadable(error)}",
            location=file_location(path),
            hint="save it with torch.save(model.state_dict(), path): objects in pickles are never executed",
        ) from error
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict) or not all(
        isinstance(key, str) and isinstance(value, torch.Tensor) for key, value in content.items()
    ):
        raise fail(
            "weights-file",
            "checkpoint must hold a dictionary of tensors by name",
            location=file_location(path),
            hint="save it with torch.save(model.state_dict(), path)",
        )
    return dict(content)


def _why_unreadable(error: Exception) -> str:
    """Return the reason in torch's message, without its advice to execute what is pickled."""
    named = _FORBIDDEN_NAME.search(str(error))
    if named is not None:
        return f"it names {named[1]}, which is not data"
    if isinstance(error, PermissionError):
        return str(error.strerror)
    return "damaged, or not written by torch.save"


def _wrapper(expected: Iterable[str], found: Iterable[str]) -> str:
    """Return the name that stands in front of all that was found, such as DataParallel's ``module``."""
    keys = set(found)
    name = next(iter(keys), "").partition(".")[0]
    inside = {key.removeprefix(f"{name}.") for key in keys if key.startswith(f"{name}.")}
    needed = {key for key in expected if not key.endswith(_UNUSED_AT_INFERENCE)}
    return name if len(inside) == len(keys) and needed and needed <= inside else ""


def _is_plain(tensor: torch.Tensor) -> bool:
    """Return whether a tensor has a real value at each place: no sparse, quantized or complex one has."""
    import torch

    dense = tensor.layout is torch.strided and not tensor.is_meta
    return dense and not tensor.is_quantized and not tensor.is_complex()


def _weight_problems(
    expected: Mapping[str, torch.Tensor], found: Mapping[str, torch.Tensor], path: Path
) -> Iterator[Diagnostic]:
    place = file_location(path)
    wrapper = _wrapper(expected, found)
    if wrapper:
        yield Diagnostic(
            "weights-wrapped",
            f"all tensors are those of a module {wrapper!r} inside another",
            place,
            hint=f"save them with torch.save(model.{wrapper}.state_dict(), path)",
        )
        return
    for key, wanted in expected.items():
        if key not in found:
            if not key.endswith(_UNUSED_AT_INFERENCE):
                yield Diagnostic(
                    "weights-missing", f"tensor {key!r} is missing", place, hint=did_you_mean(key, found)
                )
        elif found[key].shape != wanted.shape:
            yield Diagnostic(
                "weights-shape",
                f"tensor {key!r} has a wrong shape",
                place,
                need=str(tuple(wanted.shape)),
                have=str(tuple(found[key].shape)),
            )
        elif not _is_plain(found[key]):
            kind = f"{found[key].dtype} ({found[key].layout}, on {found[key].device})"
            message = f"tensor {key!r} must hold plain real numbers, not {kind}"
            yield Diagnostic("weights-value", message, place)
        elif not found[key].to(wanted.dtype).isfinite().all():
            message = f"tensor {key!r} must be finite as {wanted.dtype}, not NaN or infinite"
            yield Diagnostic("weights-value", message, place)
    for key in found:
        if key not in expected:
            yield Diagnostic(
                "weights-unexpected",
                f"model has no tensor {key!r}",
                place,
                hint=did_you_mean(key, expected),
            )
