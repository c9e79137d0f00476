"""A build with a secured link: over bad wires and wires of an attacker, with wrong or missing keys.

Truth: the integer reference for every result.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from synergyc.diagnostics import SynergyError
from synergyc.emulate.elf import load_elf
from synergyc.emulate.simulation import Simulation
from synergyc.firmware.keys import ERASED, KEY_BYTES, emulation_keys, keyed_image, read_keys
from synergyc.manifest import Manifest, device_keys, read_manifest
from synergyc.pipeline import emulated
from synergyc.pipeline.boards import BoardOptions, run_on_boards
from synergyc.pipeline.run import RunOptions, run
from synergyc.pipeline.scenario import Incident, Scenario
from synergyc.report.outcome import RunOutcome
from tests.compilers import require_cross_compiler
from tests.e2e.attackers import Attacker, Forging, Reordering, Replaying, attack
from tests.e2e.command import EXAMPLE, ROOT, synergyc
from tests.e2e.desk import desk

pytestmark = pytest.mark.e2e

_RUNS = 16
_KEY = "wrist-chest"


@pytest.fixture(scope="module")
def secure_build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example with a secured link; do not change it."""
    require_cross_compiler()
    folder = tmp_path_factory.mktemp("secure")
    text = EXAMPLE.read_text().replace("../models", str(ROOT / "models"))
    text = text.replace("rate_kbps: 921.6}", "rate_kbps: 921.6, secure: true}")
    (folder / "app.yaml").write_text(text)
    result = synergyc("build", str(folder / "app.yaml"), "-o", str(folder / "build"))
    assert result.returncode == 0, result.stderr
    return folder / "build"


def _refused(outcome: RunOutcome) -> int:
    return sum(device.refused_frames for device in outcome.devices)


def test_results_and_predictions_are_right(secure_build: Path) -> None:
    outcome = run(secure_build, RunOptions(_RUNS))
    (app,) = outcome.apps
    assert (app.right, app.dropped) == (_RUNS, 0)
    assert outcome.ok
    assert _refused(outcome) == 0
    assert app.throughput_hz == pytest.approx(app.predicted_throughput_hz, rel=0.05)
    assert app.latency is not None
    assert app.latency.p50_ms == pytest.approx(app.predicted_latency_ms, rel=0.05)


def test_lost_and_damaged_frames_are_sent_again(secure_build: Path) -> None:
    """Damage is an accident, which the CRC tells from forgery; what comes late is not taken for a replay."""
    outcome = run(secure_build, RunOptions(_RUNS, scenario=Scenario(loss=0.1, corrupt=0.01, seed=3)))
    (app,) = outcome.apps
    assert (app.right, app.wrong, app.dropped) == (_RUNS, 0, 0)
    assert sum(device.resent_frames for device in outcome.devices) > 0
    assert _refused(outcome) == 0


@pytest.mark.parametrize(
    "incident",
    [
        Incident("brown-out", "wrist", 80 * 10**6, 130 * 10**6),
        Incident("reset", "chest", 80 * 10**6),
    ],
    ids=lambda incident: incident.kind,
)
def test_a_device_that_comes_back_opens_a_new_session(secure_build: Path, incident: Incident) -> None:
    outcome = run(secure_build, RunOptions(_RUNS, scenario=Scenario(incidents=(incident,))))
    (app,) = outcome.apps
    assert outcome.ok
    assert app.wrong == 0
    assert app.right > _RUNS // 3


def _attacked(monkeypatch: pytest.MonkeyPatch, kind: type[Attacker]) -> None:
    def simulation(folder: Path, manifest: Manifest, *more: Any) -> Simulation:
        found = original(folder, manifest, *more)
        attack(found, manifest.links[0].ends, kind)
        return found

    original = emulated.simulation
    monkeypatch.setattr("synergyc.pipeline.run.simulation", simulation)


@pytest.mark.parametrize("kind", [Replaying, Reordering, Forging])
def test_an_attacker_is_refused_and_counted(
    secure_build: Path, monkeypatch: pytest.MonkeyPatch, kind: type[Attacker]
) -> None:
    _attacked(monkeypatch, kind)
    outcome = run(secure_build, RunOptions(_RUNS))
    (app,) = outcome.apps
    assert (app.right, app.wrong, app.dropped) == (_RUNS, 0, 0)
    assert _refused(outcome) > 0


@pytest.mark.parametrize("device", ["wrist", "chest"])
def test_recordings_are_refused_after_a_reset(
    secure_build: Path, monkeypatch: pytest.MonkeyPatch, device: str
) -> None:
    _attacked(monkeypatch, Replaying)
    reset = Scenario(incidents=(Incident("reset", device, 80 * 10**6),))
    outcome = run(secure_build, RunOptions(_RUNS, scenario=reset))
    (app,) = outcome.apps
    assert outcome.ok
    assert app.wrong == 0
    assert app.right > 0
    assert app.sent == app.right + app.dropped
    assert _refused(outcome) > 0


def test_the_same_attacker_breaks_a_link_in_the_clear(
    digits_build: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the tests above would show without encryption: wrong results, or a run that does not end."""
    _attacked(monkeypatch, Forging)
    try:
        outcome = run(digits_build, RunOptions(_RUNS, limit_s=3.0))
    except SynergyError:
        return
    assert not outcome.ok


@pytest.mark.parametrize(
    ("key", "message"), [(bytes(KEY_BYTES), "does not prove"), (ERASED, "has no key")], ids=["other", "none"]
)
def test_a_wrong_or_missing_key_is_said(
    secure_build: Path, monkeypatch: pytest.MonkeyPatch, key: bytes, message: str
) -> None:
    def keys(manifest: Manifest, device: str, by_name: Mapping[str, bytes]) -> dict[str, bytes]:
        found = device_keys(manifest, device, by_name)
        return dict.fromkeys(found, key) if device == "chest" else found

    monkeypatch.setattr("synergyc.pipeline.run.device_keys", keys)
    with pytest.raises(SynergyError, match=rf"{message}.*\[link-key\]"):
        run(secure_build, RunOptions(4))


def test_boards_without_keys_are_named(secure_build: Path) -> None:
    """Images as they were built, on boards at serial ports: the board says so when it is asked who it is."""
    with desk(secure_build) as ports, pytest.raises(SynergyError, match=r"'chest' has no key .*\[link-key\]"):
        run_on_boards(secure_build, BoardOptions({"chest": ports["chest"]}, 4))


def test_a_build_holds_no_keys(secure_build: Path) -> None:
    manifest = read_manifest(secure_build)
    assert [pair.key for pair in manifest.links[0].secured] == [_KEY]
    for device, symbol in manifest.links[0].secured[0].symbols.items():
        image = load_elf(secure_build / manifest.device(device).elf.path)
        place = image.symbol(symbol)
        assert place.size_bytes == KEY_BYTES
        assert _flash(secure_build / manifest.device(device).elf.path, place.address) == ERASED


def _flash(elf: Path, address: int) -> bytes:
    for segment in load_elf(elf).segments:
        if segment.address <= address < segment.address + len(segment.data):
            begin = address - segment.address
            return bytes(segment.data[begin : begin + KEY_BYTES])
    raise AssertionError(f"nothing at {address:#x}")


def test_keys_are_made_once_and_put_into_copies_of_images(secure_build: Path, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    made = synergyc("keys", str(secure_build), "-o", str(file), "--json")
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout) == {"ok": True, "file": str(file), "keys": [_KEY]}
    assert file.stat().st_mode & 0o077 == 0
    again = synergyc("keys", str(secure_build), "-o", str(file))
    assert again.returncode == 1
    assert "[key-file]" in again.stderr
    keys = read_keys(file, [_KEY])
    assert keys != emulation_keys([_KEY])
    manifest = read_manifest(secure_build)
    elf = secure_build / manifest.device("chest").elf.path
    copy = tmp_path / "chest.elf"
    symbols = device_keys(manifest, "chest", keys)
    copy.write_bytes(keyed_image(elf.read_bytes(), elf, symbols))
    (symbol,) = symbols
    assert _flash(copy, load_elf(elf).symbol(symbol).address) == keys[_KEY]
    ran = synergyc("run", str(secure_build), "--runs", "4", "--key-file", str(file), "--json")
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["ok"]


def test_flash_wants_the_keys(secure_build: Path, tmp_path: Path) -> None:
    without = synergyc("flash", str(secure_build), "--dry-run")
    assert without.returncode == 1
    assert "[flash-keys]" in without.stderr
    file = tmp_path / "keys.json"
    assert synergyc("keys", str(secure_build), "-o", str(file)).returncode == 0
    result = synergyc("flash", str(secure_build), "--dry-run", "--key-file", str(file))
    assert result.returncode == 0, result.stderr
    copies = re.findall(r"^# (\S+) is a private copy of", result.stdout, re.MULTILINE)
    assert len(copies) == 2
    assert all(f"program {{{copy}}}" in result.stdout for copy in copies)
    assert not any(Path(copy).exists() for copy in copies)


def test_keys_do_not_go_into_a_build(secure_build: Path, digits_build: Path, tmp_path: Path) -> None:
    inside = synergyc("keys", str(secure_build), "-o", str(secure_build / "keys.json"))
    assert inside.returncode == 1
    assert "[key-file]" in inside.stderr
    none = synergyc("keys", str(digits_build), "-o", str(tmp_path / "keys.json"))
    assert none.returncode == 1
    assert "[no-keys]" in none.stderr


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("no json", "key-file"),
        ("[]", "key-file"),
        ('{"synergy_keys": 2, "keys": {}}', "key-file"),
        ('{"synergy_keys": 1}', "key-file"),
        ('{"synergy_keys": 1, "keys": {}}', "key-missing"),
        ('{"synergy_keys": 1, "keys": {"wrist-chest": 5}}', "key-file"),
        ('{"synergy_keys": 1, "keys": {"wrist-chest": "abcd"}}', "key-file"),
        ('{"synergy_keys": 1, "keys": {"wrist-chest": "' + "f" * 64 + '"}}', "key-file"),
    ],
)
def test_a_damaged_file_of_keys_is_refused(tmp_path: Path, text: str, rule: str) -> None:
    file = tmp_path / "keys.json"
    file.write_text(text)
    with pytest.raises(SynergyError, match=rf"\[{rule}\]"):
        read_keys(file, [_KEY])


def test_a_missing_file_of_keys_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SynergyError, match=r"\[key-file\]"):
        read_keys(tmp_path / "none.json", [_KEY])
