"""What the format has and this version does not implement: each such key is refused, never ignored."""

from __future__ import annotations

from collections.abc import Iterator

from synergyc.config.marks import KeyPath
from synergyc.config.system import App, ModuleModel, PythonModel, System
from synergyc.diagnostics import Diagnostic


def check_support(system: System) -> Iterator[Diagnostic]:
    """Yield a diagnostic for each thing that is asked for and has no effect yet."""
    for app in system.apps:
        yield from _check_model(system, app)


def _check_model(system: System, app: App) -> Iterator[Diagnostic]:
    if isinstance(app.model, PythonModel | ModuleModel):
        return
    form = type(app.model).__name__.removesuffix("Model").lower()
    hint = 'model: {python: "FILE.py:Class", weights: FILE, input: [C, H, W]}'
    yield _refuse(system, ("apps", app.name, "model"), f"{form} models are", hint)


def _refuse(system: System, path: KeyPath, what: str, hint: str | None = None) -> Diagnostic:
    return Diagnostic(
        "not-supported-yet", f"{what} not supported yet", system.marks.locate_key(*path), hint=hint
    )
