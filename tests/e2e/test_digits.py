"""The example from app file to two emulated boards.

Truth: the integer reference, which other tests compare with torch and onnxruntime; the images run on the
accelerator model, which is compared with the vendor's known answers.
"""

from __future__ import annotations

import filecmp
import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from synergyc import run_build
from synergyc.manifest import record_file
from tests.e2e.command import EXAMPLE, ROOT, fresh_synergyc, synergyc

pytestmark = pytest.mark.e2e


def _manifest(folder: Path) -> dict[str, object]:
    document: dict[str, object] = json.loads((folder / "manifest.json").read_text())
    return document


def test_every_result_agrees_bit_for_bit(digits_build: Path) -> None:
    result = synergyc("run", str(digits_build), "--runs", "12", "--json")
    assert result.returncode == 0, result.stderr
    outcome = json.loads(result.stdout)
    app = outcome["apps"]["digits"]
    assert outcome["ok"]
    assert (app["sent"], app["right"], app["wrong"], app["dropped"]) == (12, 12, 0, 0)
    assert app["accuracy"]["emulated"] == app["accuracy"]["reference"] >= 0.9
    for device in ("wrist", "chest"):
        accelerator = outcome["units"][device]["accelerator"]
        # The planner's formula works from layers, the emulator's from decoded registers.
        assert accelerator["emulated_cycles"] == accelerator["predicted_cycles"] > 0
        assert 0 < accelerator["busy"] < 1


def test_report_for_people_shows_accuracy_cycles_and_throughput(digits_build: Path) -> None:
    result = synergyc("run", str(digits_build), "--runs", "2")
    assert result.returncode == 0, result.stderr
    for word in ("integer reference", "float model", "emulated", "cycles", "runs/s", "agree bit for bit"):
        assert word in result.stdout


def test_each_device_runs_a_part(digits_build: Path) -> None:
    manifest = _manifest(digits_build)
    jsonschema.validate(manifest, json.loads((ROOT / "docs" / "manifest-schema.json").read_text()))
    devices = {device["name"]: device for device in manifest["devices"]}  # type: ignore[attr-defined]
    assert set(devices) == {"wrist", "chest"}
    layers = [len(device["segments"][0]["layers"]) for device in devices.values()]
    assert all(count > 0 for count in layers)
    assert len(manifest["hand_offs"]) == 1  # type: ignore[arg-type]


def test_two_builds_are_byte_identical(digits_build: Path, tmp_path: Path) -> None:
    again = tmp_path / "another" / "place"
    result = fresh_synergyc("build", str(EXAMPLE), "-o", str(again), "-q")
    assert result.returncode == 0, result.stderr
    names = sorted(path.relative_to(digits_build) for path in digits_build.rglob("*") if path.is_file())
    assert names == sorted(path.relative_to(again) for path in again.rglob("*") if path.is_file())
    _, different, unreadable = filecmp.cmpfiles(digits_build, again, map(str, names), shallow=False)
    assert (different, unreadable) == ([], [])
    assert _manifest(again)["files"] == [str(name) for name in names if name.name != "manifest.json"]


def test_a_flipped_weight_in_an_image_makes_results_wrong(digits_copy: Path) -> None:
    """The comparison can fail: one bit of one weight of the first layer, in the ELF itself."""
    elf = digits_copy / "wrist" / "wrist.elf"
    network = (digits_copy / "wrist" / "src").glob("cnn_*.c")
    assert list(network), "the segment's tables are a file of their own"
    _flip_bit(elf, symbol_part="weight_values", offset=9)
    manifest = _manifest(digits_copy)
    for device in manifest["devices"]:  # type: ignore[attr-defined]
        device["elf"] = record_file(digits_copy, device["elf"]["path"]).model_dump(mode="json")
    (digits_copy / "manifest.json").write_text(json.dumps(manifest))
    result = synergyc("run", str(digits_copy), "--runs", "4", "--json")
    assert result.returncode == 1
    app = json.loads(result.stdout)["apps"]["digits"]
    assert app["wrong"] > 0
    assert app["dropped"] == 0


def test_damaged_image_is_refused(digits_copy: Path) -> None:
    elf = digits_copy / "chest" / "chest.elf"
    elf.write_bytes(elf.read_bytes()[:-100])
    for command in ("run", "--runs=1"), ("report", "--runs=0"):
        result = synergyc(*command, str(digits_copy))
        assert result.returncode == 1
        assert "[file-changed]" in result.stderr
        assert "chest.elf" in result.stderr


def test_damaged_manifest_is_refused(digits_copy: Path) -> None:
    (digits_copy / "manifest.json").write_text("{")
    result = synergyc("run", str(digits_copy))
    assert result.returncode == 1
    assert "[manifest-damaged]" in result.stderr


def test_a_build_is_run_from_python(digits_build: Path) -> None:
    outcome = run_build(str(digits_build), runs=2)
    assert outcome.ok
    assert [(app.name, app.sent, app.right) for app in outcome.apps] == [("digits", 2, 2)]


def test_too_short_a_limit_of_virtual_time_says_where_it_was(digits_build: Path) -> None:
    result = synergyc("run", str(digits_build), "--runs", "50", "--limit-s", "0.02")
    assert result.returncode == 1
    assert "wrist" in result.stderr
    assert "chest" in result.stderr


def test_samples_were_not_used_in_training() -> None:
    """The files that the training script wrote: no test image is a calibration (training) image."""
    data = ROOT / "models" / "data"
    test = np.load(data / "digits_test.npy")
    calibration = np.load(data / "digits_calibration.npy")
    seen = {image.tobytes() for image in calibration}
    assert len(test) >= 100
    assert not any(image.tobytes() in seen for image in test)


def _flip_bit(elf: Path, *, symbol_part: str, offset: int) -> None:
    """Turn over the lowest bit of a byte of the first table whose name contains ``symbol_part``."""
    with elf.open("rb") as file:
        image = ELFFile(file)
        table = image.get_section_by_name(".symtab")
        assert isinstance(table, SymbolTableSection)
        symbols = [s for s in table.iter_symbols() if symbol_part in s.name and s["st_size"] > 1000]
        assert symbols, f"no table named like {symbol_part}"
        address = symbols[0]["st_value"] + offset
        section = next(
            s for s in image.iter_sections() if s["sh_addr"] <= address < s["sh_addr"] + s["sh_size"]
        )
        position = section["sh_offset"] + address - section["sh_addr"]
    content = bytearray(elf.read_bytes())
    content[position] ^= 1
    elf.write_bytes(bytes(content))


def test_the_schedule_is_what_the_devices_do(digits_build: Path) -> None:
    # Issue bar: predicted and emulated throughput within 5 % of each other.
    result = synergyc("run", str(digits_build), "--runs", "100", "--json")
    outcome = json.loads(result.stdout)
    app, predicted = outcome["apps"]["digits"], outcome["predicted"]["digits"]
    assert predicted["throughput_hz"] == pytest.approx(app["throughput_hz"], rel=0.05)
    assert predicted["latency_ms"] == pytest.approx(app["latency_ms"]["p50"], rel=0.05)


def test_html_report_needs_nothing_else(digits_build: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    result = synergyc("report", str(digits_build), "--runs", "4", "-o", str(page), "-q", "--json")
    assert json.loads(result.stdout) == {"ok": True, "file": str(page), "runs": 4, "right": True}
    text = page.read_text()
    for word in ("Timeline", "Memory of the accelerators", "When devices are away", "wrist.wrist-chest"):
        assert word in text
    assert "http://" not in text
    assert "https://" not in text
