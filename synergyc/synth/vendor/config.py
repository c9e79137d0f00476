"""The vendor tool's YAML network description (section 7.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError

from synergyc.diagnostics import did_you_mean, fail, file_location
from synergyc.synth.native.control import SNOOP_REGISTERS
from synergyc.synth.vendor.entry import LayerConfig, processor_map, read_layer

_KEYS = {"arch", "bias", "dataset", "layers", "output_map", "snoop", "unload", "weights"}
_UNSUPPORTED = {"data_buffer"}
_SNOOP_VALUES = 32
"""Length of the list that the tool wants; it uses those of the two units' registers."""


@dataclass(frozen=True)
class NetworkConfig:
    """The whole file."""

    path: Path
    arch: str
    dataset: str
    weights: str | None
    bias: str | None
    output_map: int | None
    snoop: tuple[int, ...]
    layers: tuple[LayerConfig, ...]

    def without_first(self, count: int) -> NetworkConfig:
        """Return the network without its first ``count`` layers; the last of them becomes the input."""

        def shifted(reference: int | None) -> int | None:
            return reference if reference is None or reference < 0 else reference - count

        layers = tuple(
            replace(
                layer,
                in_sequences=layer.in_sequences and tuple(item - count for item in layer.in_sequences),
                next_sequence=shifted(layer.next_sequence),
                snoop_sequence=shifted(layer.snoop_sequence),
                simulated_sequence=shifted(layer.simulated_sequence),
                weight_source=shifted(layer.weight_source),
            )
            for layer in self.layers[count:]
        )
        return replace(self, layers=layers)


def load_config(path: Path) -> NetworkConfig:
    """Read a network description; raises SynergyError that points at the line that is wrong."""
    data = _load(path)
    layers = data["layers"]
    if not isinstance(layers, list) or not layers or not all(isinstance(item, Mapping) for item in layers):
        raise fail("vendor-yaml", "layers must be a list of mappings", location=file_location(path))
    # The tool keeps one default padding for all layers; a conv1d layer without a padding of its own sets
    # its second number to 0 (section 8, pitfall 12).
    default_pad = (1, 0) if any(_defaults_flat_pad(item) for item in layers) else (1, 1)
    try:
        output_map = processor_map(data["output_map"]) if "output_map" in data else None
    except ValueError as error:
        raise fail(
            "vendor-value", f"output_map {error}", location=_location(path, data, "output_map")
        ) from error
    ordered = _in_order(path, layers)
    names = {str(item["name"]).lower(): number for number, item in enumerate(ordered) if "name" in item}
    return NetworkConfig(
        path=path,
        arch=str(data["arch"]),
        dataset=str(data["dataset"]),
        weights=data.get("weights"),
        bias=data.get("bias"),
        output_map=output_map,
        snoop=_snoop(path, data),
        layers=tuple(read_layer(path, item, default_pad, names) for item in ordered),
    )


def _in_order(path: Path, layers: Sequence[Any]) -> list[Any]:
    """Return the layers by their numbers: those that ``sequence`` gives, else counted on; holes close up."""
    numbered: dict[int, Any] = {}
    number = 0
    for item in layers:
        number = item.get("sequence", number)
        if not isinstance(number, int) or number < 0 or number in numbered:
            location = file_location(path, item.lc.line + 1)
            raise fail(
                "vendor-value", f"sequence must be a number of its own, not {number!r}", location=location
            )
        numbered[number] = item
        number += 1
    return [numbered[number] for number in sorted(numbered)]


def _snoop(path: Path, data: Any) -> tuple[int, ...]:
    """Return the values of the snoop units' registers, none if they are not used."""
    values = data.get("snoop", [])
    right = isinstance(values, list) and all(isinstance(item, int) for item in values)
    if not right or ("snoop" in data and len(values) != _SNOOP_VALUES):
        message = f"snoop must be a list of {_SNOOP_VALUES} numbers"
        raise fail("vendor-value", message, location=_location(path, data, "snoop"))
    return tuple(values[: len(SNOOP_REGISTERS)])


def _load(path: Path) -> Any:
    """Return the file's mapping, with its keys checked."""
    try:
        data = YAML(typ="rt").load(path)
    except OSError as error:
        raise fail(
            "vendor-file", f"cannot be read: {error.strerror}", location=file_location(path)
        ) from error
    except UnicodeDecodeError as error:
        raise fail("vendor-yaml", "not a text file", location=file_location(path)) from error
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise fail("vendor-yaml", str(error.problem), location=file_location(path, line)) from error
    if not isinstance(data, Mapping) or not {"arch", "dataset", "layers"} <= set(data):
        raise fail("vendor-yaml", "needs the keys arch, dataset and layers", location=file_location(path))
    for key in data:
        if key in _UNSUPPORTED:
            raise fail("vendor-unsupported", f"unsupported key {key!r}", location=_location(path, data, key))
        if key not in _KEYS:
            hint = did_you_mean(str(key), _KEYS)
            raise fail("vendor-key", f"unknown key {key!r}", location=_location(path, data, key), hint=hint)
    return data


def _location(path: Path, data: Any, key: str) -> Any:
    return file_location(path, data.lc.key(key)[0] + 1)


def _defaults_flat_pad(item: Mapping[str, Any]) -> bool:
    operators = (item.get(key) for key in ("op", "operation", "operator", "convolution"))
    return "pad" not in item and any(str(text).lower() == "conv1d" for text in operators if text is not None)
