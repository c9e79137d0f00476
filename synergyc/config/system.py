"""What an app file says: devices, links and apps, as frozen values that can also be made in Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from synergyc.config.marks import Marks, Step
from synergyc.diagnostics import Location
from synergyc.targets import Board, Chip, Medium, link_medium, load_board, load_chip


@dataclass(frozen=True)
class Device:
    """A board that someone wears. ``sensors`` and ``actuators`` are those of the board that are used."""

    name: str
    board: str
    sensors: Sequence[str] = ()
    actuators: Sequence[str] = ()
    battery_mwh: float | None = None

    def __post_init__(self) -> None:
        """Keep any sequence of names as a tuple."""
        for name in ("sensors", "actuators"):
            object.__setattr__(self, name, tuple(getattr(self, name)))

    @property
    def board_data(self) -> Board:
        """The board's description; raises SynergyError if it is unknown."""
        return load_board(self.board)

    @property
    def chip(self) -> Chip:
        """The description of the board's chip; raises SynergyError if the board is unknown."""
        return load_chip(self.board_data.chip)


@dataclass(frozen=True)
class Link:
    """A wire between two devices, or a channel that all devices share (``between`` is ``"all"``)."""

    between: tuple[str, str] | Literal["all"]
    medium: str
    rate_kbps: float | None = None
    """None: the medium's own default."""
    secure: bool = False
    """Whether frames are encrypted and authenticated, with keys that boards get when they are flashed."""

    def __post_init__(self) -> None:
        """Keep any sequence of two names as a tuple."""
        if not isinstance(self.between, str):
            object.__setattr__(self, "between", tuple(self.between))

    @property
    def ends(self) -> tuple[str, ...]:
        """Names of the devices it joins, or ``("all",)``."""
        return (self.between,) if isinstance(self.between, str) else self.between

    @property
    def name(self) -> str:
        """Name in plans and reports, such as ``wrist-chest``, or ``all``."""
        return "-".join(self.ends)

    @property
    def medium_data(self) -> Medium:
        """The medium's description, with what securing frames costs; raises SynergyError if it is unknown."""
        return link_medium(self.medium, secure=self.secure)


@dataclass(frozen=True)
class PythonModel:
    """An ``nn.Module`` class, with its weights and the shape of one input.

    ``file`` is a Python file, or ends in the dotted name of a module that is found from its folder.
    ``weights`` None: those of the constructor.
    """

    file: Path
    class_name: str
    weights: Path | None
    input: tuple[int, ...]
    args: Mapping[str, object] = field(default_factory=dict)
    """Keyword arguments of the class."""


@dataclass(frozen=True)
class OnnxModel:
    """An ONNX file; ``input`` is the shape of one input, where the file leaves it open."""

    file: Path
    input: tuple[int, ...] | None = None


@dataclass(frozen=True)
class ExportedModel:
    """A saved ``torch.export`` program."""

    file: Path


@dataclass(frozen=True)
class CheckpointModel:
    """A checkpoint of the vendor's training tool and the network description that belongs to it.

    ``input`` is the shape of one input; None: that of the samples.
    """

    file: Path
    network: Path | None
    input: tuple[int, ...] | None = None


@dataclass(frozen=True, eq=False)
class ModuleModel:
    """An ``nn.Module`` with its trained weights, made in Python; ``input`` is the shape of one input.

    ``input`` None: the shape of the calibration inputs.
    """

    module: object
    input: tuple[int, ...] | None = None


ModelSource = PythonModel | OnnxModel | ExportedModel | CheckpointModel | ModuleModel

_SOURCES = (PythonModel, OnnxModel, ExportedModel, CheckpointModel, ModuleModel)


SENSOR_DRIVERS = ("replay", "host")
"""Those of every port, templates/firmware/sensor_*.c: samples in flash, or from a host."""

SENSORS_WITHOUT_DRIVER = {
    "microphone": "I2S",
    "camera": "the camera interface",
    "imu": "I2C or SPI",
}
"""Sensors of the boards that no port has a driver for, and what would have to be driven."""


@dataclass(frozen=True)
class Sense:
    """Where an app's input comes from. ``on`` is None where the planner may choose the device."""

    sensor: str
    on: str | None = None
    rate_hz: float | None = None
    driver: str = "replay"
    """Where its samples come from: one of SENSOR_DRIVERS, or the C file of a driver of one's own."""

    @property
    def driver_file(self) -> Path | None:
        """The file of a driver of one's own."""
        return Path(self.driver) if self.driver.endswith(".c") else None

    @property
    def driver_name(self) -> str:
        """What the driver is called in C, and in reports."""
        return self.driver_file.stem if self.driver_file is not None else self.driver


@dataclass(frozen=True)
class Interact:
    """What shows an app's result. ``on`` is None where the planner may choose the device."""

    actuator: str
    on: str | None = None


@dataclass(frozen=True)
class Quantize:
    """How a float model becomes integers: from inputs that calibrate it, or from integers trained before."""

    calibrate: Path | None = None
    """A file of inputs, float32 or int8 (N, *input)."""
    bits: int | str | Mapping[str, int] = 8
    """Weight bits: one width for all layers, ``auto``, or a width for each named layer."""
    trained: Path | None = None
    """An integer graph of the same model, as ``synergyc train`` writes it; its widths are its own."""


@dataclass(frozen=True)
class Pin:
    """Layers ``first`` to ``last`` (inclusive) must run on device ``to``."""

    first: int
    last: int
    to: str


@dataclass(frozen=True, init=False)
class App:
    """One pipeline: sense, infer, interact.

    In Python a sensor, an actuator and an ``nn.Module`` may be given as they are:
    ``App(sense="microphone", model=KWS(), interact="haptic")``. A missing name is the model's class in lower
    case.
    """

    name: str
    sense: Sense
    model: ModelSource
    interact: Interact
    quantize: Quantize | None
    samples: Path | None
    labels: Path | None
    split: int | None
    """Number of devices that share the network; None: the planner's choice."""
    replicas: int | None
    """Number of devices that run the whole network, and get the runs in turn; None: the planner's choice."""
    pin: tuple[Pin, ...]
    forbid: tuple[str, ...]
    """Devices that must not run layers of this app."""
    deadline_ms: float | None
    rate_hz: float | None
    priority: int | None

    def __init__(
        self,
        name: str = "",
        *,
        sense: Sense | str,
        model: object,
        interact: Interact | str,
        quantize: Quantize | None = None,
        samples: Path | None = None,
        labels: Path | None = None,
        split: int | None = None,
        replicas: int | None = None,
        pin: Sequence[Pin] = (),
        forbid: Sequence[str] = (),
        deadline_ms: float | None = None,
        rate_hz: float | None = None,
        priority: int | None = None,
    ) -> None:
        """Take short forms: ``model`` is a ``ModelSource``, or an ``nn.Module``."""
        values: dict[str, object] = {
            "name": name or type(model).__name__.lower(),
            "sense": Sense(sense) if isinstance(sense, str) else sense,
            "model": model if isinstance(model, _SOURCES) else ModuleModel(model),
            "interact": Interact(interact) if isinstance(interact, str) else interact,
            "quantize": quantize,
            "samples": samples,
            "labels": labels,
            "split": split,
            "replicas": replicas,
            "pin": tuple(pin),
            "forbid": tuple(forbid),
            "deadline_ms": deadline_ms,
            "rate_hz": rate_hz,
            "priority": priority,
        }
        for key, value in values.items():
            object.__setattr__(self, key, value)


@dataclass(frozen=True)
class System:
    """Everything an app file says. ``check`` tells whether it makes sense; ``load`` has done so."""

    devices: Sequence[Device]
    apps: Sequence[App]
    links: Sequence[Link] = ()
    objective: str | Mapping[str, float] | tuple[str, ...] = "throughput"
    """A goal, weights of several, or several in order: the next one decides between equals."""
    battery_h: float | None = None
    """How long every battery must last, with the apps at their wanted rates."""
    marks: Marks = field(default_factory=Marks, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Keep any sequences of devices, apps and links as tuples."""
        for name in ("devices", "apps", "links"):
            object.__setattr__(self, name, tuple(getattr(self, name)))

    def device(self, name: str) -> Device:
        """Return the device called ``name``; raises KeyError."""
        return {device.name: device for device in self.devices}[name]

    def app(self, name: str) -> App:
        """Return the app called ``name``; raises KeyError."""
        return {app.name: app for app in self.apps}[name]

    def locate(self, *path: Step) -> Location | None:
        """Return where the app file says ``path``, such as ``"apps", "digits", "model"``.

        None for a system that was made in Python.
        """
        return self.marks.locate(*path)
