"""The vendor tool as an engine: finding it, its failures, reading its C, and equality with our generator."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from synergyc.diagnostics import SynergyError
from synergyc.ir.types import Activation, EltwiseOp
from synergyc.synth import izer
from synergyc.synth.izer.tool import FOLDER_VARIABLE, PYTHON_VARIABLE
from synergyc.synth.native import ControlOptions, generate
from synergyc.synth.placement import place
from synergyc.synth.program import Program, WaitBits, Write
from synergyc.targets import load_chip
from tests.synth.networks import AVERAGE_2X2, MAX_2X2, Spec, copy, linear, network, point
from tests.synth.states import accesses, differences, final_state, weight_memory

NEEDS_TOOL = pytest.mark.skipif(
    FOLDER_VARIABLE not in os.environ, reason=f"{FOLDER_VARIABLE} does not name the vendor's tool"
)
NETWORKS = {
    "chain": (
        (3, 16, 16),
        [
            Spec(20, activation=Activation.RELU),
            Spec(70, pool=MAX_2X2, activation=Activation.ABS),
            point(100, pool=AVERAGE_2X2),
            Spec(12, pad=0),
            linear(10, wide=True),
        ],
    ),
    "residual": (
        (3, 16, 16),
        [
            Spec(20, activation=Activation.RELU),
            Spec(20),
            copy(inputs=("l0", "l1"), eltwise=EltwiseOp.ADD),
            point(12, bits=4, pool=AVERAGE_2X2),
            Spec(8, bits=2),
            linear(7, bits=1),
        ],
    ),
}


@NEEDS_TOOL
@pytest.mark.parametrize("chip_name", ["max78000", "max78002"])
@pytest.mark.parametrize("name", NETWORKS)
def test_both_engines_write_the_same_words(name: str, chip_name: str) -> None:
    chip = load_chip(chip_name)
    placed = place(network(*NETWORKS[name], name=name), chip)
    control = ControlOptions(write_zero_registers=name == "residual")
    theirs = izer.generate(placed, chip, izer.find_izer(), control, timeout_s=300)
    ours = generate(placed, chip, control)
    assert theirs.engine == "izer"
    assert compare(ours, theirs) == []


def compare(ours: Program, theirs: Program) -> list[str]:
    found = []
    for phase in ("init", "bias", "configure", "start"):
        states = (final_state(accesses(getattr(program, phase))) for program in (ours, theirs))
        found += [f"{phase} {line}" for line in differences(*states)]
    cnn = load_chip(ours.chip).cnn
    memories = (weight_memory(accesses(program.weights), cnn) for program in (ours, theirs))
    return found + [f"weights {line}" for line in differences(*memories)]


@NEEDS_TOOL
@pytest.mark.parametrize("device", ["MAX78000", "MAX78002"])
def test_mnist_network_of_the_vendor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    from synergyc.synth.vendor import parse_options, read_vendor

    tool = izer.find_izer()
    files = {
        "--config-file": "networks/mnist-chw-ai85.yaml",
        "--checkpoint-file": "trained/ai85-mnist-qat8-q.pth.tar",
    }
    arguments = [word for key, name in files.items() for word in (key, str(tool.folder / name))]
    extra = ("--prefix", "mnist", "--overwrite", "--no-version-check", "--no-progress", "--yamllint", "none")
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")  # the vendor's checkpoints hold objects
    tool.run(["--device", device, "--test-dir", str(tmp_path), *extra, *arguments], timeout_s=300)
    chip = load_chip(device)
    ours = generate(read_vendor(parse_options(arguments), chip, root=[tool.folder]).placed, chip)
    emitted = izer.read_emitted(tmp_path / "mnist")
    for phase in ("init", "bias", "configure", "start"):
        assert accesses(getattr(ours, phase)) == accesses(getattr(emitted, phase)), phase
    assert accesses(ours.weights) == accesses(emitted.weights)


def fake_tool(folder: Path, script: str) -> izer.Izer:
    """Return a tool whose entry script is ``script``."""
    (folder / "ai8xize.py").write_text(script)
    return izer.Izer(folder, Path(sys.executable))


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("import sys; print('ERROR: Layer 3: too wide'); sys.exit(1)", "failed: ERROR: Layer 3: too wide"),
        ("raise IndexError('index 768 is out of bounds')", "failed: IndexError: index 768 is out of bounds"),
        ("import os; os._exit(3)", "failed: without a message"),
        ("pass", "cannot be read: No such file"),
    ],
)
def test_failures_of_the_tool_are_reported(tmp_path: Path, script: str, message: str) -> None:
    chip = load_chip("max78000")
    placed = place(network((3, 8, 8), [Spec(4)]), chip)
    with pytest.raises(SynergyError, match=message):
        izer.generate(placed, chip, fake_tool(tmp_path, script), timeout_s=60)


def test_each_error_of_the_tool_is_one_diagnostic(tmp_path: Path) -> None:
    """Errors name their layer; the tool prints what it logs a second time."""
    script = "print('WARNING: mind'); print('ERROR: Layer 2 (conv): no'); print('ERROR: Layer 2 (conv): no');"
    tool = fake_tool(tmp_path, script + "print('ERROR: full'); raise SystemExit(1)")
    with pytest.raises(SynergyError) as error:
        tool.run([], timeout_s=60)
    assert [(item.layer, item.message[26:]) for item in error.value.diagnostics] == [
        ("conv", "ERROR: Layer 2 (conv): no"),
        (None, "ERROR: full"),
    ]
    assert izer.warnings_in("WARNING: mind\nNOTICE: that\nWARNING: mind\n") == ("mind",)


def test_a_tool_that_hangs_is_stopped(tmp_path: Path) -> None:
    tool = fake_tool(tmp_path, "import time; time.sleep(60)")
    with pytest.raises(SynergyError, match="did not finish") as error:
        tool.run([], timeout_s=0.2)
    assert error.value.diagnostics[0].have == "0.2 s"


def test_an_interpreter_that_is_missing_is_reported(tmp_path: Path) -> None:
    fake_tool(tmp_path, "")
    with pytest.raises(SynergyError, match="cannot be started"):
        izer.Izer(tmp_path, tmp_path / "python").run([], timeout_s=1)


def test_a_folder_without_history_has_no_version(tmp_path: Path) -> None:
    assert izer.Izer(tmp_path, Path("python3")).version() == "unknown"


def test_the_tool_is_found_by_its_folder(tmp_path: Path) -> None:
    with pytest.raises(SynergyError, match="not installed"):
        izer.find_izer({"SYNERGYC_HOME": str(tmp_path / "home")})
    with pytest.raises(SynergyError, match="must name a clone"):
        izer.find_izer({FOLDER_VARIABLE: str(tmp_path)})
    (tmp_path / "ai8xize.py").touch()
    assert izer.find_izer({FOLDER_VARIABLE: str(tmp_path)}).python == Path("python3")
    inside = tmp_path / ".venv" / "bin" / "python"
    inside.parent.mkdir(parents=True)
    inside.touch(mode=stat.S_IRWXU)
    assert izer.find_izer({FOLDER_VARIABLE: str(tmp_path)}).python == inside
    found = izer.find_izer({FOLDER_VARIABLE: str(tmp_path), PYTHON_VARIABLE: "/usr/bin/python3"})
    assert found.python == Path("/usr/bin/python3")


def test_a_relative_folder_is_found_from_where_the_tool_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "izer" / "venv" / "bin").mkdir(parents=True)
    (tmp_path / "izer" / "venv" / "bin" / "python").symlink_to(sys.executable)
    (tmp_path / "izer" / "ai8xize.py").write_text("print('here')\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert izer.find_izer({FOLDER_VARIABLE: "izer"}).run([], timeout_s=60) == "here\n"


def test_the_version_is_not_that_of_another_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a hook of git, which names its own repository in the environment."""
    other = tmp_path / "other"
    git = ["git", "-c", "user.name=n", "-c", "user.email=e@x", "-C", str(other)]
    subprocess.run(["git", "init", "--quiet", str(other)], check=True)
    subprocess.run([*git, "commit", "--quiet", "--allow-empty", "-m", "m"], check=True)
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    assert izer.Izer(tmp_path, Path("python3")).version() == "unknown"


CODE = """\
int cnn_init(void)
{
  *((volatile uint32_t *) 0x50001000) = 0x00000000; // AON control
  while ((*((volatile uint32_t *) 0x5100000c) & 0x2000000) != 0x2000000); // Wait for clear

  return CNN_OK;
}

int cnn_load_weights(void)
{
  uint32_t len;
  return CNN_OK;
}

int cnn_load_bias(void)
{
  memcpy_8to32((uint32_t *) 0x51180000, bias_0, sizeof(uint8_t) * 3);
  return CNN_OK;
}

int cnn_configure(void)
{
  // Layer 0 quadrant 0
  *((volatile uint32_t *) 0x50100010) = 0x0001001d; // Rows
  return CNN_OK;
}

int cnn_start(void)
{
  cnn_time = 0;
  *((volatile uint32_t *) 0x50100000) = 0x00100009; // Master enable quadrant 0
  return CNN_OK;
}
"""
WEIGHTS = """\
#define BIAS_0 { \\
  0x16, 0x1c, 0xe4 \\
}
#define KERNELS { \\
  0x50180000, 0x00000002, 0x01020304, 0x05060708, 0x50184010, 0x00000001, 0x09000000, 0x00000000 \\
}
"""


def test_c_is_read_back_as_steps(tmp_path: Path) -> None:
    (tmp_path / "cnn.c").write_text(CODE)
    (tmp_path / "weights.h").write_text(WEIGHTS)
    emitted = izer.read_emitted(tmp_path)
    assert emitted.init == (
        Write(0x50001000, (0,), "AON control"),
        WaitBits(0x5100000C, 0x2000000, 0x2000000, "Wait for clear"),
    )
    assert emitted.bias == (Write(0x51180000, (0x16, 0x1C, 0xE4), "bias_0"),)
    assert [(step.address, step.words, step.width_bytes) for step in emitted.weights] == [
        (0x50180001, (1,), 1),
        (0x50180000, (0x01020304, 0x05060708), 4),
        (0x50184011, (1,), 1),
        (0x50184010, (0x09000000,), 4),
    ]
    assert emitted.configure == (Write(0x50100010, (0x1001D,), "Rows"),)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("int cnn_start", "int cnn_begin", "function cnn_start is missing"),
        ("= 0x0001001d", "|= 0x0001001d", "is not understood"),
        ("memcpy_8to32", "memcpy_16to32", "is not understood"),
        ("bias_0,", "bias_9,", "array BIAS_9 is missing"),
    ],
)
def test_c_that_is_not_understood_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    (tmp_path / "cnn.c").write_text(CODE.replace(old, new))
    (tmp_path / "weights.h").write_text(WEIGHTS)
    with pytest.raises(SynergyError, match=message):
        izer.read_emitted(tmp_path)
