"""``synergyc run --board``: boards at serial ports are fed and checked.

The boards are emulated, or only lines that a board might send; ports are pseudo terminals. Truth: the integer
reference, and what was sent.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from synergyc.cli.run import command
from synergyc.diagnostics import SynergyError
from synergyc.firmware.framing import console_line
from synergyc.manifest import read_manifest
from synergyc.pipeline.boards import BoardOptions, run_on_boards
from synergyc.pipeline.expectation import expectation, packed
from synergyc.pipeline.run import RunOptions, run
from synergyc.report.outcome import RunOutcome
from tests.compilers import require_cross_compiler
from tests.e2e.command import ROOT, synergyc
from tests.e2e.desk import board_that_says, desk

pytestmark = pytest.mark.e2e

_APP_FILE = f"""
synergy: 1
objective: throughput
devices:
  wrist: {{board: max78000fthr, sensors: [camera], actuators: [display]}}
apps:
  digits:
    sense: {{sensor: camera, driver: host}}
    model:
      python: "{ROOT}/models/digits.py:DigitsNet"
      weights: {ROOT}/models/data/digits.safetensors
      input: [1, 28, 28]
    quantize: {{calibrate: {ROOT}/models/data/digits_calibration.npy}}
    samples: {ROOT}/models/data/digits_test.npy
    labels: {ROOT}/models/data/digits_test_labels.npy
    interact: display
"""


@pytest.fixture(scope="module")
def fed_build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build of an app whose samples a host gives."""
    require_cross_compiler()
    folder = tmp_path_factory.mktemp("fed")
    (folder / "app.yaml").write_text(_APP_FILE)
    result = synergyc("build", str(folder / "app.yaml"), "-o", str(folder / "build"))
    assert result.returncode == 0, result.stderr
    return folder / "build"


def test_a_host_feeds_boards_and_checks_them(fed_build: Path, tmp_path: Path) -> None:
    """Random bytes at the console first; a second host goes on with other samples."""
    noise = np.random.default_rng(3).bytes(300)
    with desk(fed_build, noise=noise) as ports:
        done = synergyc("run", str(fed_build), "--runs", "6", "--board", f"wrist={ports['wrist']}", "--json")
        assert done.returncode == 0, done.stderr
        document = json.loads(done.stdout)
        assert document["ok"]
        assert document["execution"] == "boards"
        assert (document["apps"]["digits"]["sent"], document["apps"]["digits"]["right"]) == (6, 6)
        inputs = {"digits": _own_samples(tmp_path)}
        outcome = run_on_boards(fed_build, BoardOptions(ports, 4, inputs))
    assert outcome.ok
    assert [app.right for app in outcome.apps] == [4]


def test_the_emulator_feeds_the_same_build(fed_build: Path, tmp_path: Path) -> None:
    inputs = {"digits": _own_samples(tmp_path)}
    outcome = run(fed_build, RunOptions(4, inputs=inputs, sequential=True))
    assert outcome.ok
    assert [(app.sent, app.right) for app in outcome.apps] == [(4, 4)]


def _own_samples(folder: Path) -> Path:
    path = folder / "own.npy"
    np.save(path, np.random.default_rng(4).integers(-128, 128, (3, 1, 28, 28)).astype(np.int8))
    return path


def test_boards_that_replay_are_checked_at_one_console(digits_build: Path) -> None:
    with desk(digits_build) as ports:
        outcome = run_on_boards(digits_build, BoardOptions({"chest": ports["chest"]}, 20))
    assert outcome.ok
    assert [(app.sent, app.right, app.dropped) for app in outcome.apps] == [(20, 20, 0)]


def _identity(folder: Path, device: str = "chest", add: int = 0) -> bytes:
    plan = read_manifest(folder).plan_id + add
    return console_line("I", device, f"{plan:08x}", "50000000", "7").encode()


def _ask(folder: Path, data: bytes, runs: int = 3) -> RunOutcome:
    with board_that_says(data) as port:
        return run_on_boards(folder, BoardOptions({"chest": port}, runs, silence_s=0.3))


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("nothing", r"says nothing within 0.3 s \[board-silent\]"),
        ("garbage", r"sends bytes, but no answer[\s\S]*have: 4000 bytes"),
        ("plan", r"runs the image of another build \[board-plan\]\n  need: plan .*  have: plan "),
        ("device", r"is 'wrist', not 'chest' \[board-device\]\n  hint: --board wrist=/dev/"),
        ("fault", r"device 'chest' reports a fault: hard-fault, 0x1 \[device-fault\]"),
        ("no result", r"no result of app 'digits' came within 0.\d s \[board-timeout\]"),
    ],
)
def test_boards_that_are_not_as_they_should(digits_build: Path, said: str, message: str) -> None:
    data = {
        "nothing": b"",
        "garbage": np.random.default_rng(1).bytes(4000),
        "plan": _identity(digits_build, add=1),
        "device": _identity(digits_build, "wrist"),
        "fault": _identity(digits_build) + console_line("F", "hard-fault", "0x1").encode(),
        "no result": _identity(digits_build) + b"$R,digits,0,00*00000000\r\n",
    }
    with pytest.raises(SynergyError, match=message):
        _ask(digits_build, data[said])


def test_wrong_missing_and_repeated_results_are_counted(digits_build: Path) -> None:
    manifest = read_manifest(digits_build)
    expected = expectation(digits_build, manifest.apps[0], 8)
    right = {run: packed(expected.outputs[run], expected).hex() for run in range(8)}
    lines = [(2, right[2]), (3, right[4]), (5, right[5]), (5, right[5]), (6, "00"), (7, right[7])]
    said = b"noise $R,\xff\n" + b"".join(
        console_line("R", "digits", str(n), text).encode() for n, text in lines
    )
    outcome = _ask(digits_build, _identity(digits_build) + said, runs=6)
    (app,) = outcome.apps
    assert not outcome.ok
    assert (app.sent, app.right, app.wrong, app.dropped) == (6, 3, 3, 1)


def test_missing_boards_and_ports(digits_build: Path, fed_build: Path, tmp_path: Path) -> None:
    cases = [
        (
            digits_build,
            {"wrist": "/dev/none"},
            {},
            r"needs the console of device 'chest', which shows.*board-missing",
        ),
        (digits_build, {"chst": "/dev/none"}, {}, r"no device 'chst' \[unknown-device\]"),
        (
            digits_build,
            {"chest": "/dev/none"},
            {},
            r"/dev/none of device 'chest' cannot be opened.*board-port",
        ),
        (
            digits_build,
            {"chest": "/dev/none"},
            {"digits": tmp_path},
            r"replays the samples in its image.*board-input",
        ),
        (fed_build, {}, {}, r"needs the console of device 'wrist'"),
    ]
    for folder, ports, inputs, message in cases:
        with pytest.raises(SynergyError, match=message):
            run_on_boards(folder, BoardOptions(ports, 3, inputs))


@pytest.mark.parametrize(
    "options",
    [["--board", "wrist"], ["--board", "a=p", "--board", "b=p"], ["--board", "a=p", "--loss", "0.1"]],
)
def test_wrong_use(options: list[str]) -> None:
    assert CliRunner().invoke(command, ["build", *options]).exit_code == 2
