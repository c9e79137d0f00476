"""The format of an app file, version 1. Strict: a wrong type or an unknown key is an error.

Alternatives carry tags in angle brackets, so that in the path of an error no tag looks like a key.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,31}$")]
"""Names become parts of C symbols and file names."""

Text = Annotated[str, Field(min_length=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]


def _whole(value: object) -> object:
    """Refuse what only compares equal to a whole number: true, 1.0."""
    if type(value) is not int:
        raise PydanticCustomError("int_type", "")
    return value


WeightBits = Annotated[Literal[1, 2, 4, 8], BeforeValidator(_whole)]


Pair = Annotated[list[Text], Field(min_length=2, max_length=2)]


def _choose(tags: dict[type, str], expected: str) -> Discriminator:
    """Return a discriminator that picks a union's alternative by the type of the value."""

    def tag(value: object) -> str | None:
        return tags.get(type(value))

    return Discriminator(tag, "wrong_type", "{expected}", {"expected": expected})


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class DeviceTable(_Table):
    """A board that someone wears."""

    board: Text
    sensors: list[Text] = []
    actuators: list[Text] = []
    battery_mwh: Positive | None = None


class LinkTable(_Table):
    """A wire between two devices, or one channel for all."""

    between: Annotated[
        Annotated[Literal["all"], Tag("<all>")] | Annotated[Pair, Tag("<pair>")],
        _choose({str: "<all>", list: "<pair>"}, "'all' or a list of two devices"),
    ]
    medium: Text
    rate_kbps: Positive | None = None
    secure: bool = False


class SenseTable(_Table):
    """Where an app's input comes from."""

    sensor: Text
    on: Text | None = None
    rate_hz: Positive | None = None
    driver: Text = "replay"


class InteractTable(_Table):
    """What shows an app's result."""

    actuator: Text
    on: Text | None = None


Sizes = Annotated[list[Count], Field(min_length=1, max_length=3)]
"""Shape of one input, without batch axis."""


class PythonTable(_Table):
    """A PyTorch module class: ``file.py:Class`` or ``package.module:Class``."""

    python: Annotated[str, Field(pattern=r"^[^:]+:[A-Za-z_][A-Za-z0-9_]*$")]
    weights: Text
    input: Sizes
    args: dict[str, Any] = {}


class OnnxTable(_Table):
    """An ONNX file; ``input`` where it leaves sizes open."""

    onnx: Text
    input: Sizes | None = None


class ExportedTable(_Table):
    """A saved torch.export program."""

    exported: Text


class CheckpointTable(_Table):
    """A checkpoint and network description in the vendor's form."""

    checkpoint: Text
    network: Text | None = None
    input: Sizes | None = None


MODEL_FORMS = {
    "python": PythonTable,
    "onnx": OnnxTable,
    "exported": ExportedTable,
    "checkpoint": CheckpointTable,
}


def _model_form(value: object) -> str | None:
    if isinstance(value, BaseModel):
        return next(f"<{form}>" for form, table in MODEL_FORMS.items() if isinstance(value, table))
    present = [form for form in MODEL_FORMS if form in value] if isinstance(value, dict) else []
    return f"<{present[0]}>" if len(present) == 1 else None


ModelTable = Annotated[
    Annotated[PythonTable, Tag("<python>")]
    | Annotated[OnnxTable, Tag("<onnx>")]
    | Annotated[ExportedTable, Tag("<exported>")]
    | Annotated[CheckpointTable, Tag("<checkpoint>")],
    Discriminator(
        _model_form,
        "wrong_type",
        "{expected}",
        {"expected": f"a table with exactly one of {', '.join(MODEL_FORMS)}"},
    ),
]


class QuantizeTable(_Table):
    """How a float model becomes integers: calibrated here, or trained before (``synergyc train``)."""

    calibrate: Text | None = None
    trained: Text | None = None
    bits: Annotated[
        Annotated[WeightBits, Tag("<width>")]
        | Annotated[Literal["auto"], Tag("<auto>")]
        | Annotated[dict[str, WeightBits], Tag("<layers>")],
        _choose({int: "<width>", str: "<auto>", dict: "<layers>"}, "8, 4, 2, 1, auto or a table of layers"),
    ] = 8


class PinTable(_Table):
    """Layers that must run on one device: ``3``, or ``0-3``, counted from 0 and inclusive."""

    layers: Annotated[
        Annotated[int, Field(ge=0), Tag("<one>")]
        | Annotated[str, Field(pattern=r"^\d{1,4}-\d{1,4}$"), Tag("<range>")],
        _choose({int: "<one>", str: "<range>"}, "a layer such as 3 or a range such as 0-3"),
    ]
    to: Text


def _short_form(key: str) -> BeforeValidator:
    def expand(value: object) -> object:
        return {key: value} if isinstance(value, str) else value

    table = SenseTable if key == "sensor" else InteractTable
    return BeforeValidator(expand, json_schema_input_type=Text | table)


def _as_list(value: object) -> object:
    return [value] if isinstance(value, dict) else value


class AppTable(_Table):
    """One pipeline: sense, infer, interact."""

    sense: Annotated[SenseTable, _short_form("sensor")]
    model: ModelTable
    interact: Annotated[InteractTable, _short_form("actuator")]
    quantize: QuantizeTable | None = None
    samples: Text | None = None
    labels: Text | None = None
    split: Count | None = None
    replicas: Count | None = None
    pin: Annotated[
        list[PinTable], BeforeValidator(_as_list, json_schema_input_type=PinTable | list[PinTable])
    ] = []
    forbid: list[Text] = []
    deadline_ms: Positive | None = None
    rate_hz: Positive | None = None
    priority: int | None = None


_NAMED = Field(min_length=1, json_schema_extra={"additionalProperties": False})

Goal = Literal["throughput", "ratio", "latency", "energy", "battery"]


class ConstraintsTable(_Table):
    """What every plan must keep, beside each app's ``rate_hz`` and ``deadline_ms``."""

    battery_h: Positive | None = None


class AppFile(_Table):
    """A synergyc app file: devices, the links between them, and the apps that share them."""

    synergy: Annotated[Literal[1], BeforeValidator(_whole)]
    objective: Annotated[
        Annotated[Goal, Tag("<one>")]
        | Annotated[dict[Goal, Positive], Field(min_length=1), Tag("<weights>")]
        | Annotated[list[Goal], Field(min_length=1), Tag("<order>")],
        _choose(
            {str: "<one>", dict: "<weights>", list: "<order>"},
            "throughput, ratio, latency, energy, battery, a table of weights or a list in order",
        ),
    ] = "throughput"
    constraints: ConstraintsTable = ConstraintsTable()
    devices: Annotated[dict[Name, DeviceTable], _NAMED]
    links: list[LinkTable] = []
    apps: Annotated[dict[Name, AppTable], _NAMED]


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of app files, for editors; ``docs/app-schema.json`` holds it."""
    schema = AppFile.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "synergyc app file"
    return schema
