"""Known-answer programs: compile a project of the vendor's shape and run it on the emulated chip."""

from __future__ import annotations

import tempfile
from pathlib import Path

from synergyc.diagnostics import fail, file_location
from synergyc.emulate.kat.build import compile_project
from synergyc.emulate.kat.machine import execute
from synergyc.emulate.kat.project import open_project
from synergyc.emulate.kat.report import KatReport, LayerTrace, MemoryUsed, Status

__all__ = ["KatReport", "LayerTrace", "MemoryUsed", "Status", "run"]


def run(folder: Path, device: str, *, limit_s: float, keep: Path | None = None) -> KatReport:
    """Compile the project in ``folder`` for ``device`` (chip name), run it, and return what it showed.

    ``limit_s`` is virtual time. ``keep`` is a folder for the ELF and map files; default: they are deleted.
    Raises SynergyError for folders that cannot be compiled or are not for this chip (docs/kat.md).
    """
    project = open_project(folder, device)
    if keep is not None:
        try:
            keep.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise fail(
                "kat-keep", f"cannot keep files: {error.strerror}", location=file_location(keep)
            ) from error
        return execute(compile_project(project, keep), limit_s=limit_s)
    with tempfile.TemporaryDirectory(prefix="synergyc-kat-") as temporary:
        return execute(compile_project(project, Path(temporary)), limit_s=limit_s)
