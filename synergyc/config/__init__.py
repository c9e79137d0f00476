"""The app file: its schema, reading it, and the checks that point at the line that is wrong."""

from synergyc.config.check import check
from synergyc.config.loading import load
from synergyc.config.schema import json_schema
from synergyc.config.system import (
    App,
    CheckpointModel,
    Device,
    ExportedModel,
    Interact,
    Link,
    ModelSource,
    ModuleModel,
    OnnxModel,
    Pin,
    PythonModel,
    Quantize,
    Sense,
    System,
)

__all__ = [
    "App",
    "CheckpointModel",
    "Device",
    "ExportedModel",
    "Interact",
    "Link",
    "ModelSource",
    "ModuleModel",
    "OnnxModel",
    "Pin",
    "PythonModel",
    "Quantize",
    "Sense",
    "System",
    "check",
    "json_schema",
    "load",
]
