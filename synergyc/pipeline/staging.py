"""Output folders that appear whole or not at all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from synergyc.diagnostics import fail, file_location


def check_output(output: Path, marker: str, what: str) -> None:
    """Raise SynergyError if writing ``output`` would destroy something.

    A folder with files is overwritten only if it holds ``marker``, the sign of ``what`` was written before.
    """
    if output.exists() and not output.is_dir():
        raise fail("output", "output must be a folder, not a file", location=file_location(output))
    if output.is_dir() and any(output.iterdir()) and not (output / marker).is_file():
        raise fail(
            "output",
            f"folder holds files and is not a {what}; it is not overwritten",
            location=file_location(output),
            hint="name another folder with -o, or empty this one",
        )


@contextmanager
def staging(output: Path) -> Iterator[Path]:
    """Yield a temporary folder that becomes ``output`` if nothing goes wrong."""
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{output.name}.", dir=output.parent))
    except OSError as error:
        raise fail(
            "output", f"folder cannot be written: {error.strerror}", location=file_location(output)
        ) from error
    try:
        yield folder
        folder.chmod(0o755)
        if output.is_dir():
            shutil.rmtree(output)
        folder.rename(output)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
