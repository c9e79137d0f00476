"""Builds whose images are not what was generated."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path


def damage(build: Path, device: str, before: bytes, after: bytes) -> None:
    """Replace bytes that are in the device's image once, and let the manifest call it the image built."""
    image = build / device / f"{device}.elf"
    content = image.read_bytes()
    assert content.count(before) == 1
    image.write_bytes(content.replace(before, after))
    manifest = json.loads((build / "manifest.json").read_text())
    record = next(item["elf"] for item in manifest["devices"] if item["name"] == device)
    record["sha256"] = hashlib.sha256(image.read_bytes()).hexdigest()
    (build / "manifest.json").write_text(json.dumps(manifest))


def words(*values: int) -> bytes:
    """Return 32-bit words, signed or not, as they lie in memory."""
    return b"".join((value & 0xFFFFFFFF).to_bytes(4, "little") for value in values)
