"""Reading target files: from ``targets/``, beside the source or inside the wheel."""

from __future__ import annotations

from functools import cache
from importlib import resources
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from synergyc.diagnostics import did_you_mean, fail, file_location
from synergyc.targets.chip import Board, Chip
from synergyc.targets.fields import TargetData
from synergyc.targets.link import Medium
from synergyc.targets.runtime import Runtime

_Model = TypeVar("_Model", bound=TargetData)

Kind = Literal["chips", "boards", "links", "firmware"]
"""A folder of target files; those of chips are at the top."""


def data_folder(name: str) -> Path:
    """Return a data folder (``targets``, ``templates``): inside the wheel, or beside the package's source."""
    package = Path(str(resources.files("synergyc")))
    packaged = package / "_data" / name
    return packaged if packaged.is_dir() else package.parent / name


def known(kind: Kind) -> tuple[str, ...]:
    """Return the names of all targets of a kind, in lower case and sorted."""
    return tuple(sorted(path.stem for path in _folder(kind).glob("*.yaml")))


@cache
def load_chip(name: str) -> Chip:
    """Return the chip called ``name`` (any case); raises SynergyError with the known names."""
    return _load(Chip, "chips", name)


@cache
def load_board(name: str) -> Board:
    """Return the board called ``name`` (any case); raises SynergyError with the known names."""
    return _load(Board, "boards", name)


@cache
def load_medium(name: str) -> Medium:
    """Return the link medium called ``name`` (any case); raises SynergyError with the known names."""
    return _load(Medium, "links", name)


def link_medium(name: str, *, secure: bool) -> Medium:
    """Return the medium of a link, secured or not; raises SynergyError with the known names."""
    medium = load_medium(name)
    return medium.secured(load_runtime().seal) if secure else medium


@cache
def load_runtime() -> Runtime:
    """Return what the firmware's own work costs."""
    return _load(Runtime, "firmware", "runtime")


@cache
def most_channels() -> int:
    """Return the channels that a layer may have on the chip that takes most, where no chip is chosen yet."""
    return max(load_chip(name).cnn.limits.channels for name in known("chips"))


def _folder(kind: Kind) -> Path:
    targets = data_folder("targets")
    return targets if kind == "chips" else targets / kind


def _load(model: type[_Model], kind: Kind, name: str) -> _Model:
    name = name.lower()
    if name not in known(kind):  # a name is no path: it may hold dots, slashes, or too much
        raise fail(
            "unknown-target",
            f"{model.__name__.lower()} must be a known one, not {name!r}",
            hint=did_you_mean(name, known(kind)),
        )
    path = _folder(kind) / f"{name}.yaml"
    try:
        return model.model_validate(YAML(typ="safe").load(path))
    except (OSError, UnicodeDecodeError, ValidationError, YAMLError) as error:
        raise fail("target-file", f"target file is damaged: {error}", location=file_location(path)) from error
