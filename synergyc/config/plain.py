"""A system made in Python as the table that an app file would hold, so that one schema judges both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from synergyc.config.located import schema_diagnostics
from synergyc.config.marks import KeyPath, Marks
from synergyc.config.schema import AppFile
from synergyc.config.system import (
    App,
    CheckpointModel,
    ExportedModel,
    ModelSource,
    OnnxModel,
    Pin,
    PythonModel,
    System,
)
from synergyc.diagnostics import Diagnostic, Location


def value_problems(system: System) -> tuple[Diagnostic, ...]:
    """Return what the schema of app files has against the names and values of ``system``, without places."""
    table = _plain(
        {
            "synergy": 1,
            "objective": system.objective,
            "constraints": {"battery_h": system.battery_h},
            "devices": {device.name: _unnamed(device) for device in system.devices},
            "links": [vars(link) for link in system.links],
            "apps": {app.name: _app(app) for app in system.apps},
        }
    )
    try:
        AppFile.model_validate(table)
    except ValidationError as error:
        found = schema_diagnostics(error, Marks(values=dict.fromkeys(_paths(table, ()), Location(""))))
        return tuple(replace(item, location=None) for item in found)
    return ()


def _unnamed(value: object) -> dict[str, Any]:
    return {key: item for key, item in vars(value).items() if key != "name"}


def _app(app: App) -> dict[str, Any]:
    nested = {key: vars(item) for key, item in (("sense", app.sense), ("interact", app.interact))}
    quantize = None if app.quantize is None else vars(app.quantize)
    pins = [_pin(pin) for pin in app.pin]
    return {**_unnamed(app), **nested, "quantize": quantize, "model": _model(app.model), "pin": pins}


def _pin(pin: Pin) -> dict[str, Any]:
    return {"layers": f"{pin.first}-{pin.last}", "to": pin.to}


def _model(model: ModelSource) -> dict[str, Any]:
    match model:
        case PythonModel():
            # its file is a path by itself here, and need not leave a colon for the class
            spec = {"python": f"file.py:{model.class_name}", "weights": model.weights or "its own"}
            return {**spec, "input": model.input, "args": model.args}
        case OnnxModel():
            return {"onnx": model.file, "input": model.input}
        case ExportedModel():
            return {"exported": model.file}
        case CheckpointModel():
            return {"checkpoint": model.file, "network": model.network, "input": model.input}
    return {"onnx": "a module in memory", "input": model.input}


def _plain(value: Any) -> Any:
    """Return ``value`` as YAML would have given it: tables without what is None, lists, text."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def _paths(value: object, path: KeyPath) -> list[KeyPath]:
    """Return the place of ``value`` and those of all that it holds."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in items for place in _paths(item, (*path, key)))]
