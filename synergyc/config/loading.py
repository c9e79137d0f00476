"""Loading an app file: syntax, schema, then cross checks; each step reports all its errors at once."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from synergyc.config.check import check
from synergyc.config.located import schema_diagnostics
from synergyc.config.marks import read_yaml
from synergyc.config.schema import (
    AppFile,
    AppTable,
    CheckpointTable,
    ExportedTable,
    Goal,
    LinkTable,
    ModelTable,
    OnnxTable,
    PinTable,
    QuantizeTable,
    SenseTable,
)
from synergyc.config.system import (
    App,
    CheckpointModel,
    Device,
    ExportedModel,
    Interact,
    Link,
    ModelSource,
    OnnxModel,
    Pin,
    PythonModel,
    Quantize,
    Sense,
    System,
)
from synergyc.diagnostics import SynergyError


def load(path: Path | str) -> System:
    """Return the system that an app file describes; its paths are relative to the file's folder.

    Raises SynergyError with every mistake of the first step that finds any (syntax, schema, cross
    checks), each placed at the file's line and column.
    """
    path = Path(path)
    value, marks = read_yaml(path)
    try:
        file = AppFile.model_validate(value)
    except ValidationError as error:
        raise SynergyError(schema_diagnostics(error, marks)) from error
    system = System(
        devices=tuple(
            Device(name, table.board, tuple(table.sensors), tuple(table.actuators), table.battery_mwh)
            for name, table in file.devices.items()
        ),
        apps=tuple(_app(name, table, path.parent) for name, table in file.apps.items()),
        links=tuple(_link(table) for table in file.links),
        objective=_objective(file.objective),
        battery_h=file.constraints.battery_h,
        marks=marks,
    )
    problems = check(system)
    if problems:
        raise SynergyError(problems)
    return system


def _objective(
    objective: Goal | Mapping[Goal, float] | Sequence[Goal],
) -> str | Mapping[str, float] | tuple[str, ...]:
    if isinstance(objective, str):
        return objective
    if isinstance(objective, Mapping):
        return {str(goal): weight for goal, weight in objective.items()}
    return tuple(objective)


def _beside(folder: Path, file: str) -> Path:
    """Return ``file`` as seen from ``folder``, without ``..`` where no symbolic link makes a difference."""
    path = folder / file
    short = Path(os.path.normpath(path))
    try:
        return short if short.resolve() == path.resolve() else path
    except (OSError, RuntimeError, ValueError):  # a name that is too long, a loop of links, a NUL
        return short


def _link(table: LinkTable) -> Link:
    if table.between == "all":
        return Link("all", table.medium, table.rate_kbps, table.secure)
    one, other = table.between
    return Link((one, other), table.medium, table.rate_kbps, table.secure)


def _app(name: str, table: AppTable, folder: Path) -> App:
    return App(
        name=name,
        sense=_sense(table.sense, folder),
        model=_model(table.model, folder),
        interact=Interact(table.interact.actuator, table.interact.on),
        quantize=None if table.quantize is None else _quantize(table.quantize, folder),
        samples=_beside(folder, table.samples) if table.samples else None,
        labels=_beside(folder, table.labels) if table.labels else None,
        split=table.split,
        replicas=table.replicas,
        pin=tuple(_pin(pin) for pin in table.pin),
        forbid=tuple(table.forbid),
        deadline_ms=table.deadline_ms,
        rate_hz=table.rate_hz,
        priority=table.priority,
    )


def _sense(table: SenseTable, folder: Path) -> Sense:
    driver = str(_beside(folder, table.driver)) if table.driver.endswith(".c") else table.driver
    return Sense(table.sensor, table.on, table.rate_hz, driver)


def _quantize(table: QuantizeTable, folder: Path) -> Quantize:
    calibrate = _beside(folder, table.calibrate) if table.calibrate else None
    trained = _beside(folder, table.trained) if table.trained else None
    return Quantize(calibrate, table.bits, trained)


def _model(table: ModelTable, folder: Path) -> ModelSource:
    if isinstance(table, OnnxTable):
        return OnnxModel(_beside(folder, table.onnx), _sizes(table.input))
    if isinstance(table, ExportedTable):
        return ExportedModel(_beside(folder, table.exported))
    if isinstance(table, CheckpointTable):
        network = _beside(folder, table.network) if table.network else None
        return CheckpointModel(_beside(folder, table.checkpoint), network, _sizes(table.input))
    file, _, class_name = table.python.rpartition(":")
    return PythonModel(
        _beside(folder, file), class_name, _beside(folder, table.weights), tuple(table.input), table.args
    )


def _sizes(sizes: Sequence[int] | None) -> tuple[int, ...] | None:
    return None if sizes is None else tuple(sizes)


def _pin(table: PinTable) -> Pin:
    if isinstance(table.layers, int):
        return Pin(table.layers, table.layers, table.to)
    first, _, last = table.layers.partition("-")
    return Pin(int(first), int(last), table.to)
