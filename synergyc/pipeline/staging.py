"""Output folders that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from synergyc.diagnostics import SynergyError, fail, file_location
from synergyc.manifest import MANIFEST_NAME, REPORT_NAME, read_manifest


def check_output(output: Path, marker: str, what: str) -> None:
    """Raise SynergyError if writing ``output`` would destroy something.

    A folder with files is written to only if it holds ``marker``, the sign of ``what`` was written before.
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


def earlier_files(folder: Path) -> frozenset[str]:
    """Return the files that the build in ``folder`` consists of, or none if there is no build.

    Among them are those that `synergyc report` and `synergyc flash` make of it. Raises SynergyError
    (``output``) if the manifest does not tell, so that nothing of the user's is taken for a part of it.
    """
    if not (folder / MANIFEST_NAME).is_file():
        return frozenset()
    try:
        manifest = read_manifest(folder)
    except SynergyError as error:
        raise _mixed_up(folder, error.diagnostics[0].message) from error
    if not manifest.files:
        raise _mixed_up(folder, "its manifest does not list them")
    made = (str(Path(device.elf.path).with_suffix(".hex")) for device in manifest.devices)
    return frozenset((MANIFEST_NAME, REPORT_NAME, *manifest.files, *made))


def _mixed_up(folder: Path, why: str) -> SynergyError:
    return fail(
        "output",
        f"folder holds a build, but which files belong to it is not known: {why}",
        location=file_location(folder),
        hint="remove the folder, or name another with -o",
    )


@contextmanager
def staging(output: Path, replaced: Collection[str]) -> Iterator[Path]:
    """Yield a temporary folder that becomes ``output`` if nothing goes wrong.

    ``replaced`` are the files, relative to ``output``, that were written there before by the same means: they
    go. What else lies there is the user's and stays, but for files that the new folder has, too.
    """
    try:
        output = output.resolve()
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
            _keep(output, folder, replaced)
            _exchange(output, folder)
        else:
            folder.rename(output)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _keep(output: Path, folder: Path, replaced: Collection[str]) -> None:
    """Give ``folder`` all of ``output`` but what is ``replaced``, and what it has already."""
    emptied = {str(parent) for name in replaced for parent in Path(name).parents}
    for path in sorted(output.rglob("*")):
        name = str(path.relative_to(output))
        target = folder / name
        if path.is_dir() and not path.is_symlink():
            if name not in emptied:
                target.mkdir(parents=True, exist_ok=True)
        elif name in replaced:
            continue
        elif target.is_dir():
            raise fail(
                "output",
                "a file is where a folder is to be written",
                location=file_location(path),
                hint="move it away, or name another folder with -o",
            )
        elif not os.path.lexists(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(path, target, follow_symlinks=False)
            except OSError:  # a file system without links
                shutil.copy2(path, target, follow_symlinks=False)


def _exchange(output: Path, folder: Path) -> None:
    """Put ``folder`` in the place of ``output``, which is removed only when that is done."""
    old = Path(tempfile.mkdtemp(prefix=f".{output.name}.", dir=output.parent))
    output.rename(old)
    try:
        folder.rename(output)
    except OSError:
        old.rename(output)
        raise
    shutil.rmtree(old)
