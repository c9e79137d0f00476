"""Cross checks of one app: what it asks of devices, and the files it names."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from synergyc.config.marks import KeyPath
from synergyc.config.system import (
    SENSOR_DRIVERS,
    SENSORS_WITHOUT_DRIVER,
    App,
    CheckpointModel,
    ExportedModel,
    ModelSource,
    ModuleModel,
    OnnxModel,
    Pin,
    PythonModel,
    Quantize,
    System,
)
from synergyc.diagnostics import Diagnostic, did_you_mean
from synergyc.targets import known, load_runtime


def check_app(system: System, app: App) -> Iterator[Diagnostic]:
    """Yield everything that is wrong with ``app``."""
    yield from _check_capability(
        system,
        app.name,
        "sense",
        "sensor",
        app.sense.sensor,
        app.sense.on,
        {device.name: device.sensors for device in system.devices},
    )
    yield from _check_capability(
        system,
        app.name,
        "interact",
        "actuator",
        app.interact.actuator,
        app.interact.on,
        {device.name: device.actuators for device in system.devices},
    )
    yield from _check_devices(system, app)
    yield from _check_pins(system, app)
    yield from _check_split(system, app)
    yield from _check_replicas(system, app)
    yield from _check_data(system, app)
    yield from _check_files(system, app)


def _check_capability(
    system: System,
    app: str,
    task: str,
    kind: str,
    wanted: str,
    on: str | None,
    offered: dict[str, Sequence[str]],
) -> Iterator[Diagnostic]:
    """The device that an app names, or else any device, must have the sensor or actuator it wants."""
    path = ("apps", app, task)
    able = [name for name, has in offered.items() if wanted in has]
    if on is not None and on not in offered:
        place = system.locate(*path, "on")
        yield Diagnostic("unknown-device", f"no device {on!r}", place, hint=did_you_mean(on, offered))
    if not able:
        place = system.locate(*path, kind)
        boards = [device for device in system.devices if device.board.lower() in known("boards")]
        lacking = [item.name for item in boards if wanted in getattr(item.board_data, f"{kind}s")]
        everything = {capability for has in offered.values() for capability in has}
        add = f"add it to the {kind}s of {' or '.join(map(repr, lacking)) or 'a device'}"
        hint = add if lacking else did_you_mean(wanted, everything) or add
        yield Diagnostic(f"no-device-with-{kind}", f"no device has the {kind} {wanted!r}", place, hint=hint)
    elif on in offered and on not in able:
        message = f"device {on!r} has no {kind} {wanted!r}"
        hint = f"devices that have it: {', '.join(able)}"
        yield Diagnostic(f"no-device-with-{kind}", message, system.locate(*path, "on"), hint=hint)


def _check_devices(system: System, app: App) -> Iterator[Diagnostic]:
    known = [device.name for device in system.devices]
    named = [(("forbid", i), name) for i, name in enumerate(app.forbid)]
    named += [(("pin", i), pin.to) for i, pin in enumerate(app.pin)]
    for (key, i), name in named:
        if name not in known:
            place = system.locate("apps", app.name, key, i, *(("to",) if key == "pin" else ()))
            yield Diagnostic("unknown-device", f"no device {name!r}", place, hint=did_you_mean(name, known))
    if known and set(known) <= set(app.forbid):
        place = system.locate("apps", app.name, "forbid")
        yield Diagnostic("no-device-left", f"app {app.name!r} must not forbid every device", place)


def _check_pins(system: System, app: App) -> Iterator[Diagnostic]:
    """Pins must agree with each other: a device runs one unbroken range of layers."""
    for i, pin in enumerate(app.pin):
        path: KeyPath = ("apps", app.name, "pin", i)
        place = system.locate(*path, "layers")
        if not 0 <= pin.first <= pin.last:
            message = f"pinned layers must be in ascending order, not {pin.first}-{pin.last}"
            yield Diagnostic("pin-range", message, place)
        if pin.to in app.forbid:
            message = f"app {app.name!r} both pins layers to {pin.to!r} and forbids it"
            yield Diagnostic("contradictory-pin", message, system.locate(*path, "to"))
        for earlier in app.pin[:i]:
            if _contradict(pin, earlier, app.pin):
                message = f"{_pinned(pin)} contradicts {_pinned(earlier)}"
                hint = "a device runs one unbroken range of layers"
                yield Diagnostic("contradictory-pin", message, place, hint=hint)


def _contradict(one: Pin, other: Pin, pins: tuple[Pin, ...]) -> bool:
    if one.to != other.to:
        return one.first <= other.last and other.first <= one.last
    first, last = min(one.first, other.first), max(one.last, other.last)
    return any(pin.to != one.to and first < pin.first and pin.last < last for pin in pins)


def _pinned(pin: Pin) -> str:
    return f"layers {pin.first}-{pin.last} on {pin.to!r}"


def _check_split(system: System, app: App) -> Iterator[Diagnostic]:
    if app.split is None:
        return
    allowed = [device.name for device in system.devices if device.name not in app.forbid]
    pinned = sorted({pin.to for pin in app.pin})
    place = system.locate("apps", app.name, "split")
    if app.split > len(allowed):
        message = "split must not ask for more devices than there are"
        need, have = f"{app.split} devices", f"{len(allowed)} devices ({', '.join(allowed)})"
        yield Diagnostic("split-devices", message, place, need=need, have=have)
    elif app.split < len(pinned):
        message = f"split must leave room for the devices that layers are pinned to: {', '.join(pinned)}"
        need, have = f"{len(pinned)} devices", f"{app.split} devices"
        yield Diagnostic("contradictory-pin", message, place, need=need, have=have)


def _check_replicas(system: System, app: App) -> Iterator[Diagnostic]:
    """Each replica is a device that runs the whole network."""
    if app.replicas is None or app.replicas == 1:
        return
    allowed = [device.name for device in system.devices if device.name not in app.forbid]
    place = system.locate("apps", app.name, "replicas")
    if app.split not in (None, 1):
        message = f"a replica runs the whole network, which split shares between {app.split} devices"
        yield Diagnostic("replicas-split", message, place, hint="leave out one of them")
    elif app.pin:
        message = "replicas run all layers on each of several devices, pin wants some on one device only"
        yield Diagnostic("replicas-pin", message, place, hint="leave out one of them")
    elif app.replicas > len(allowed):
        message = "replicas must not be more than the devices"
        need, have = f"{app.replicas} devices", f"{len(allowed)} devices ({', '.join(allowed)})"
        yield Diagnostic("replica-devices", message, place, need=need, have=have)


def _check_data(system: System, app: App) -> Iterator[Diagnostic]:
    """Values and files that are needed together, or only in a certain range."""
    rates = ((("sense", "rate_hz"), app.sense.rate_hz), (("rate_hz",), app.rate_hz))
    lowest_hz = load_runtime().lowest_sense_hz
    for key, rate_hz in rates:
        if rate_hz is not None and not lowest_hz <= rate_hz < math.inf:
            message = f"{'.'.join(('apps', app.name, *key))} must be at least {lowest_hz:g}, not {rate_hz:g}"
            yield Diagnostic("schema-value", message, system.locate("apps", app.name, *key))
    yield from _check_driver(system, app)
    if app.samples is None:
        place = system.marks.locate_key("apps", app.name)
        message = f"app {app.name!r} must have the key 'samples': inputs that the build is checked with"
        yield Diagnostic("missing-samples", message, place, hint="samples: FILE.npy")
    if not isinstance(app.model, CheckpointModel) and not app.quantize:
        place = system.marks.locate_key("apps", app.name)
        message = f"app {app.name!r} must have the key 'quantize': its model has float weights"
        hint = "quantize: {calibrate: FILE.npy, bits: 8}"
        yield Diagnostic("model-without-quantize", message, place, hint=hint)
    if app.quantize:
        yield from _check_quantize(system, app.name, app.quantize)


def _check_driver(system: System, app: App) -> Iterator[Diagnostic]:
    """A driver is one of those of every port, or a C file whose name can be part of a symbol."""
    place = system.locate("apps", app.name, "sense", "driver")
    driver, file, name = app.sense.driver, app.sense.driver_file, app.sense.driver_name
    if file is None:
        if driver not in SENSOR_DRIVERS:
            way = SENSORS_WITHOUT_DRIVER.get(driver)
            by = f" (by {way})" if way else ""
            message = f"a driver {driver!r}{by} for the sensor {app.sense.sensor!r} is not on this port"
            hint = f"driver: {', '.join(SENSOR_DRIVERS)}, or a C file of your own (docs/firmware.md)"
            yield Diagnostic("sensor-driver", message, place, hint=hint)
    elif not re.fullmatch(r"[A-Za-z]\w*", name, re.ASCII) or name in SENSOR_DRIVERS:
        message = f"the name of a driver's file becomes part of a C symbol: {file.name!r} cannot"
        hint = f"letters, digits and underscores, and not {' or '.join(SENSOR_DRIVERS)}"
        yield Diagnostic("sensor-driver", message, place, hint=hint)
    else:
        others = (other for other in system.apps if other.sense.driver_name == name)
        twin = next((other for other in others if other.sense.driver_file != file), None)
        if twin is not None:
            message = f"apps {twin.name!r} and {app.name!r} name different drivers {file.name!r}"
            yield Diagnostic("sensor-driver", message, place, hint="rename one of the files")


def _check_quantize(system: System, app: str, quantize: Quantize) -> Iterator[Diagnostic]:
    """Integers come from calibration or from training; trained ones have their widths."""
    place = system.locate("apps", app, "quantize")
    if (quantize.calibrate is None) == (quantize.trained is None):
        message = f"apps.{app}.quantize must have exactly one of calibrate, trained"
        yield Diagnostic("quantize-source", message, place, hint="calibrate: FILE.npy")
    elif quantize.trained is not None and quantize.bits != Quantize.bits:
        message = "bits have no effect on integers that are trained"
        place = system.locate("apps", app, "quantize", "bits")
        yield Diagnostic("quantize-source", message, place, hint="synergyc train --bits")


def _model_files(model: ModelSource) -> list[tuple[KeyPath, Path | None]]:
    """Return the files that a model names, by the key that names them."""
    match model:
        case PythonModel():
            file = model.file if model.file.suffix == ".py" else None
            return [(("model", "python"), file), (("model", "weights"), model.weights)]
        case OnnxModel():
            return [(("model", "onnx"), model.file)]
        case ExportedModel():
            return [(("model", "exported"), model.file)]
        case CheckpointModel():
            return [(("model", "checkpoint"), model.file), (("model", "network"), model.network)]
        case ModuleModel():
            return []


def _check_files(system: System, app: App) -> Iterator[Diagnostic]:
    files: list[tuple[KeyPath, Path | None]] = [(("samples",), app.samples), (("labels",), app.labels)]
    if app.quantize:
        files.append((("quantize", "calibrate"), app.quantize.calibrate))
        files.append((("quantize", "trained"), app.quantize.trained))
    files.append((("sense", "driver"), app.sense.driver_file))
    files += _model_files(app.model)
    for path, file in files:
        reason = None if file is None else _not_a_file(file)
        if reason is not None:
            place = system.locate("apps", app.name, *path)
            yield Diagnostic("missing-file", f"{path[-1]} file {str(file)!r} {reason}", place)


def _not_a_file(path: object) -> str | None:
    """Return why ``path`` names no file; None if it does."""
    if not isinstance(path, Path):
        return "must be a pathlib.Path"
    try:
        if path.is_file():
            return None
        return "is not a file" if path.exists() else "does not exist"
    except OSError as error:  # such as a name that is too long
        return f"cannot be found: {error.strerror}"
