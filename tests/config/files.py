"""App files for the tests, and the files that they name."""

from __future__ import annotations

from pathlib import Path

import pytest

from synergyc.config import System, load
from synergyc.diagnostics import Diagnostic, SynergyError

GOOD = """\
synergy: 1
devices:
  wrist: {board: max78000fthr, sensors: [imu, replay], actuators: [haptic]}
  chest: {board: max78000fthr, sensors: [ecg], actuators: [display]}
links:
  - {between: [wrist, chest], medium: uart, rate_kbps: 921.6}
apps:
  digits:
    sense: imu
    model: {python: "net.py:Net", weights: net.safetensors, input: [1, 28, 28]}
    quantize: {calibrate: calibration.npy}
    samples: samples.npy
    labels: labels.npy
    interact: {actuator: display, on: chest}
"""
NAMED = ("net.py", "net.safetensors", "calibration.npy", "samples.npy", "labels.npy")


def write(folder: Path, text: str | bytes) -> Path:
    """Write ``text`` as app.yaml into ``folder``, with the files that GOOD names."""
    for name in NAMED:
        (folder / name).touch()
    path = folder / "app.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def loaded(folder: Path, text: str) -> System:
    """Return the system of ``text``."""
    return load(write(folder, text))


def problems(folder: Path, text: str | bytes) -> tuple[Diagnostic, ...]:
    """Return what is wrong with ``text``; every place must lie in the app file."""
    path = write(folder, text)
    with pytest.raises(SynergyError) as caught:
        load(path)
    for diagnostic in caught.value.diagnostics:
        assert diagnostic.location is not None, diagnostic
        assert diagnostic.location.file == str(path)
    return caught.value.diagnostics


def shown(folder: Path, text: str | bytes) -> list[str]:
    """Return the rendered diagnostics of ``text`` with the file called app.yaml."""
    return [item.render().replace(f"{folder}/", "") for item in problems(folder, text)]


def changed(*pairs: tuple[str, str]) -> str:
    """Return GOOD with replacements; each must occur once."""
    text = GOOD
    for old, new in pairs:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text
