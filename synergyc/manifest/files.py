"""The manifest and the files that it lists, in a build's folder: read, and compared with their digests."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pydantic import ValidationError

from synergyc.diagnostics import fail, file_location
from synergyc.manifest.document import Manifest
from synergyc.manifest.records import FileRecord

MANIFEST_NAME = "manifest.json"
REPORT_NAME = "report.html"
"""What `synergyc report` writes into a build, unless another file is named."""


def record_file(folder: Path, path: str) -> FileRecord:
    """Return the record of ``folder/path``."""
    content = (folder / path).read_bytes()
    return FileRecord(path=path, sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))


def read_manifest(folder: Path) -> Manifest:
    """Read and check ``folder/manifest.json``; raises SynergyError if it is missing or damaged."""
    path = folder / MANIFEST_NAME
    if not path.is_file():
        raise fail(
            "no-manifest",
            "no manifest in this folder",
            location=file_location(path),
            hint="name the folder that `synergyc build -o` made",
        )
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise fail(
            "manifest-damaged",
            f"manifest is damaged: {place}: {first['msg']}",
            location=file_location(path),
            hint="build again",
        ) from error


def checked_bytes(folder: Path, record: FileRecord) -> bytes:
    """Return the content of a file of the build; raises SynergyError if it is missing or was changed."""
    path = folder / record.path
    try:
        content = path.read_bytes()
    except OSError as error:
        raise fail(
            "file-missing",
            f"file of the build cannot be read: {error.strerror}",
            location=file_location(path),
            hint="build again",
        ) from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != record.sha256:
        raise fail(
            "file-changed",
            "file is not the one that was built",
            location=file_location(path),
            need=f"SHA-256 {record.sha256[:16]}..., {record.size_bytes} B",
            have=f"SHA-256 {digest[:16]}..., {len(content)} B",
            hint="build again",
        )
    return content
