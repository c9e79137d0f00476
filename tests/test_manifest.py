"""The manifest's reading side: damaged files and images that were changed are refused with a diagnostic."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from synergyc.diagnostics import SynergyError
from synergyc.manifest import Manifest, checked_bytes, manifest_schema, read_manifest, record_file

SCHEMA = Path(__file__).parent.parent / "docs" / "manifest-schema.json"

MINIMAL = {
    "synergy_manifest": 1,
    "app_file": "app.yaml",
    "plan_id": 7,
    "objective": "throughput",
    "selector": "exact",
    "considered_plans": 1,
    "optimal": True,
    "gap": 0.0,
    "tools": {"synergyc": "0.1.0"},
    "devices": [],
    "links": [],
    "apps": [],
    "hand_offs": [],
}


def _rules(error: SynergyError) -> list[str]:
    return [item.rule for item in error.diagnostics]


def test_published_schema_is_current() -> None:
    assert json.loads(SCHEMA.read_text()) == manifest_schema(), "write it again: make schemas"


def test_text_form_round_trips_and_satisfies_the_published_schema(tmp_path: Path) -> None:
    manifest = Manifest.model_validate(MINIMAL)
    (tmp_path / "manifest.json").write_text(manifest.to_text())
    assert read_manifest(tmp_path) == manifest
    jsonschema.validate(json.loads(manifest.to_text()), json.loads(SCHEMA.read_text()))


def test_missing_manifest_names_the_folder(tmp_path: Path) -> None:
    with pytest.raises(SynergyError) as caught:
        read_manifest(tmp_path)
    assert _rules(caught.value) == ["no-manifest"]
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        json.dumps({**MINIMAL, "synergy_manifest": 2}).encode(),
        json.dumps({**MINIMAL, "plan_id": "x"}).encode(),
        json.dumps({**MINIMAL, "unknown": 1}).encode(),
        json.dumps({key: value for key, value in MINIMAL.items() if key != "apps"}).encode(),
    ],
)
def test_damaged_manifest_is_one_diagnostic(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "manifest.json").write_bytes(content)
    with pytest.raises(SynergyError) as caught:
        read_manifest(tmp_path)
    assert _rules(caught.value) == ["manifest-damaged"]


DEVICE = {
    "name": "wrist",
    "board": "max78000fthr",
    "chip": "max78000",
    "segments": [],
    "elf": {"path": "wrist.elf", "sha256": "", "size_bytes": 0},
    **dict.fromkeys(("flash_bytes", "flash_limit_bytes", "ram_bytes", "ram_limit_bytes"), 1),
    **dict.fromkeys(("own_flash_bytes", "own_ram_bytes"), 1),
}
SEGMENT = {
    "name": "a_s0",
    "app": "a",
    "first_layer": 0,
    "last_layer": 0,
    "layers": ["l0"],
    "engine": "native",
    **dict.fromkeys(("weight_bytes", "predicted_cycles"), 1),
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"links": [{"name": "w", "medium": "uart", "rate_kbps": 1.0, "ends": {"hip": "uart2"}}]}, "'hip'"),
        ({"links": [{"name": "w", "medium": "uart", "rate_kbps": 0.0, "ends": {}}]}, "greater than 0"),
        ({"gap": float("nan")}, "finite"),
        ({"devices": [{**DEVICE, "segments": [SEGMENT]}]}, "segment a_s0 is no part of an app"),
        (
            {
                "hand_offs": [
                    {"app": "a", "source": "x", "target": "y", "link": "w", "tensors": [], "payload_bytes": 1}
                ]
            },
            "the hand-off of a from x to y has no link w",
        ),
    ],
)
def test_records_that_contradict_each_other_are_refused(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps({**MINIMAL, **change}))
    with pytest.raises(SynergyError, match=message) as caught:
        read_manifest(tmp_path)
    assert _rules(caught.value) == ["manifest-damaged"]


def test_changed_and_missing_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "wrist.elf").write_bytes(b"\x7fELF....")
    record = record_file(tmp_path, "wrist.elf")
    assert checked_bytes(tmp_path, record) == b"\x7fELF...."
    (tmp_path / "wrist.elf").write_bytes(b"\x7fELF...,")
    with pytest.raises(SynergyError) as caught:
        checked_bytes(tmp_path, record)
    assert _rules(caught.value) == ["file-changed"]
    (tmp_path / "wrist.elf").unlink()
    with pytest.raises(SynergyError) as caught:
        checked_bytes(tmp_path, record)
    assert _rules(caught.value) == ["file-missing"]
