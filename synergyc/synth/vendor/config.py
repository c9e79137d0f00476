"""The vendor tool's YAML network description (section 7.3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError

from synergyc.diagnostics import did_you_mean, fail, file_location
from synergyc.synth.vendor.entry import LayerConfig, processor_map, read_layer

_KEYS = {"arch", "bias", "dataset", "layers", "output_map", "unload", "weights"}
_UNSUPPORTED = {"data_buffer", "snoop"}


@dataclass(frozen=True)
class NetworkConfig:
    """The whole file."""

    path: Path
    arch: str
    dataset: str
    weights: str | None
    bias: str | None
    output_map: int | None
    layers: tuple[LayerConfig, ...]

    def without_first(self, count: int) -> NetworkConfig:
        """Return the network without its first ``count`` layers; the last of them becomes the input."""
        layers = tuple(
            replace(
                layer,
                in_sequences=_shifted(layer.in_sequences, count),
                next_sequence=_shifted((layer.next_sequence,), count)[0],
            )
            for layer in self.layers[count:]
        )
        return replace(self, layers=layers)


def _shifted(references: Any, count: int) -> Any:
    if references is None:
        return None
    return tuple(item - count if isinstance(item, int) else item for item in references)


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
    return NetworkConfig(
        path=path,
        arch=str(data["arch"]),
        dataset=str(data["dataset"]),
        weights=data.get("weights"),
        bias=data.get("bias"),
        output_map=output_map,
        layers=tuple(read_layer(path, item, default_pad) for item in layers),
    )


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
