"""``synergyc synth``: what it writes; wrong input: one diagnostic, exit code 1, nothing half-written."""

from __future__ import annotations

import json
import os
import pickle
import re
import shutil
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from synergyc.diagnostics import SynergyError
from synergyc.pipeline.synth import synthesize_native
from synergyc.toolchain import cross_tool
from tests.compilers import NEEDS_CROSS_COMPILER
from tests.e2e.command import synergyc
from tests.synth.small_network import YAML, SmallNetwork, write_small_network

FILES = ["cnn.c", "cnn.h", "main.c", "sampledata.h", "sampleoutput.h", "weights.h"]
VENDOR = os.environ.get("AI8X_SYNTHESIS_DIR")


@pytest.fixture
def network(tmp_path: Path) -> SmallNetwork:
    folder = tmp_path / "input"
    folder.mkdir()
    return write_small_network(folder)


def _refused(network: SmallNetwork, *options: str, device: str = "MAX78000") -> str:
    """Return the message; check that no trace of the output is left."""
    output = network.folder.parent / "out"
    with pytest.raises(SynergyError) as error:
        synthesize_native([*network.arguments, *options], device, output)
    assert [path.name for path in network.folder.parent.iterdir()] == ["input"]
    return str(error.value)


@NEEDS_CROSS_COMPILER
def test_synth_then_kat(network: SmallNetwork) -> None:
    device = "max78002"
    output = network.folder.parent / "deep" / "out"
    result = synergyc("synth", *network.arguments, "--device", device, "-o", str(output), "--json")
    assert result.returncode == 0, result.stderr
    document = json.loads(result.stdout)
    assert (document["ok"], document["engine"], document["layers"]) == (True, "native", 3)
    assert sorted(document["files"]) == FILES
    assert sorted(path.name for path in output.iterdir()) == FILES
    checked = synergyc("kat", str(output), "--device", device)
    assert checked.returncode == 0, checked.stderr
    assert "*** PASS ***" in checked.stdout


def test_its_own_folder_is_written_again_another_is_not(network: SmallNetwork) -> None:
    output = network.folder.parent / "out"
    command = ["synth", *network.arguments, "--device", "MAX78000", "-o", str(output)]
    assert "3 layers" in synergyc(*command).stdout
    (output / "notes.txt").write_text("mine")
    assert synergyc(*command, "--no-kat").returncode == 0
    assert (output / "notes.txt").read_text() == "mine"
    assert not (output / "sampleoutput.h").exists()
    (output / "cnn.c").unlink()
    result = synergyc(*command)
    assert result.returncode == 1
    assert "is not overwritten" in result.stderr


def test_a_failure_leaves_the_old_project(network: SmallNetwork) -> None:
    output = network.folder.parent / "out"
    command = ["synth", *network.arguments, "--device", "MAX78000", "-o", str(output)]
    assert synergyc(*command).returncode == 0
    before = (output / "cnn.c").read_bytes()
    assert synergyc(*command, "--stop-after", "x").returncode == 1
    assert (output / "cnn.c").read_bytes() == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--soft-max",), "did you mean 'softmax'"),
        (("--riscv",), "unsupported option --riscv"),
        (("--fast-fifo",), "unsupported option --fast-fifo"),
        (("--timer",), "needs a value"),
        (("--timer", "one"), "needs a number, not 'one'"),
        (("--boost", "2"), "'2'"),
        (("--clock-divider", "3"), "'3'"),
        (("--prefix", "1st"), "'1st'"),
        (("--stop-after", "9"), "there is no layer 9 to stop after"),
        (("--weight-start", "764"), "weight"),
        (("--sample-input", "gone.npy"), "gone.npy"),
        (("--checkpoint-file", "gone.pth"), "gone.pth"),
        (("--config-file", "gone.yaml"), "gone.yaml"),
        (("stray",), "unexpected argument 'stray'"),
    ],
)
def test_wrong_options(network: SmallNetwork, options: tuple[str, ...], message: str) -> None:
    assert message in _refused(network, *options)


def test_unknown_device(network: SmallNetwork) -> None:
    assert "max78001" in _refused(network, device="MAX78001")


@pytest.mark.parametrize(
    "options", [("--start-layer", "1"), ("--one-shot",), ("--link-layer",), ("--read-ahead",), ("--calcx4",)]
)
def test_registers_of_the_second_generation_are_refused_on_the_first(
    network: SmallNetwork, options: tuple[str, ...]
) -> None:
    assert f"MAX78000 has no registers for {options[0]}" in _refused(network, *options)


def test_kernels_that_cannot_be_computed_fourfold_are_refused(network: SmallNetwork) -> None:
    assert "need 3x3 kernels" in _refused(network, "--calcx4", device="MAX78002")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("max_pool: 2", "max_poll: 2", "small.yaml:12: error: unknown key 'max_poll'"),
        ("op: linear", "op: linear\n    in_sequences: [0, 7]", "must name earlier layers"),
        ("processors: 0x000000000000003f", "processors: 0x000000000000000f", "does not hold 6 channels"),
    ],
)
def test_wrong_descriptions(network: SmallNetwork, old: str, new: str, message: str) -> None:
    assert old in YAML
    write_small_network(network.folder, yaml=YAML.replace(old, new, 1))
    assert message in _refused(network)


class _Hostile:
    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return (os.mkdir, (str(self.victim),))


@pytest.mark.parametrize("engine", ["native", "izer"])
def test_a_checkpoint_that_carries_code_is_refused_and_not_run(network: SmallNetwork, engine: str) -> None:
    victim = network.folder / "victim"
    with zipfile.ZipFile(network.folder / "small.pth.tar", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"state_dict": _Hostile(victim)}))
    environment = {"AI8X_SYNTHESIS_DIR": str(_pretended_tool(network.folder, "raise SystemExit(9)"))}
    arguments = [*network.arguments, "--device", "MAX78000", "-o", str(network.folder / "out")]
    result = synergyc("synth", *arguments, "--engine", engine, env=environment)
    assert result.returncode == 1
    assert "which is not data" in result.stderr
    assert not victim.exists()
    assert not (network.folder / "out").exists()


def test_damaged_files(network: SmallNetwork) -> None:
    checkpoint = network.folder / "small.pth.tar"
    content = checkpoint.read_bytes()
    for damaged in (b"", content[: len(content) // 2], b"PK" + content[100:]):
        checkpoint.write_bytes(damaged)
        assert "not a readable checkpoint" in _refused(network)
    checkpoint.write_bytes(content)
    np.save(network.folder / "small.npy", np.zeros((4, 6, 8), dtype=np.int64))
    assert "must fit the processors" in _refused(network)


def test_without_the_vendors_tool_the_message_says_how_to_get_it(network: SmallNetwork) -> None:
    output = network.folder.parent / "out"
    command = ["synth", *network.arguments, "--device", "MAX78000", "-o", str(output), "--engine", "izer"]
    result = synergyc(*command, env={"AI8X_SYNTHESIS_DIR": ""})
    assert result.returncode == 1
    assert "AI8X_SYNTHESIS_DIR" in result.stderr
    assert "native" in result.stderr
    assert [path.name for path in network.folder.parent.iterdir()] == ["input"]


def _pretended_tool(folder: Path, code: str) -> Path:
    tool = folder / "tool"
    tool.mkdir(exist_ok=True)
    (tool / "ai8xize.py").write_text(code)
    return tool


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("print('ERROR: no room'); raise SystemExit(1)", "ERROR: no room"),
        ("raise ValueError('crash')", "crash"),
        ("pass", "without writing a project"),
        ("import time; time.sleep(60)", "did not finish"),
    ],
)
def test_a_tool_that_fails(network: SmallNetwork, code: str, message: str) -> None:
    environment = {
        "AI8X_SYNTHESIS_DIR": str(_pretended_tool(network.folder, code)),
        "AI8X_SYNTHESIS_PYTHON": sys.executable,
    }
    output = network.folder / "out"
    arguments = ["synth", *network.arguments, "--device", "MAX78000", "-o", str(output), "--engine", "izer"]
    result = synergyc(*arguments, "--engine-timeout-s", "5", env=environment)
    assert result.returncode == 1
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert not output.exists()


def test_another_version_of_the_tool_is_told(network: SmallNetwork) -> None:
    code = "import pathlib, sys; out = pathlib.Path(sys.argv[sys.argv.index('--test-dir') + 1], 'project')\n"
    code += "out.mkdir(); (out / 'cnn.c').write_text('')"
    environment = {
        "AI8X_SYNTHESIS_DIR": str(_pretended_tool(network.folder, code)),
        "AI8X_SYNTHESIS_PYTHON": sys.executable,
    }
    arguments = [*network.arguments, "--device", "MAX78000", "-o", str(network.folder / "out")]
    result = synergyc("synth", *arguments, "--engine", "izer", env=environment)
    assert result.returncode == 0, result.stderr
    assert "note: the vendor's tool is at unknown; ours was compared with ab4f4c0" in result.stderr


@pytest.mark.skipif(not VENDOR, reason="AI8X_SYNTHESIS_DIR does not name a clone of the vendor's tool")
def test_both_engines_expect_the_same_answer(network: SmallNetwork) -> None:
    blocks = {}
    for engine in ("native", "izer"):
        output = network.folder / engine
        arguments = ["synth", *network.arguments, "--device", "MAX78000", "-o", str(output)]
        result = synergyc(*arguments, "--engine", engine)
        assert result.returncode == 0, result.stderr
        words = re.findall(r"0x[0-9a-f]{8}", (output / "sampleoutput.h").read_text())
        blocks[engine] = [int(word, 16) for word in words]
        if shutil.which(cross_tool("gcc")):
            assert synergyc("kat", str(output), "--device", "MAX78000").returncode == 0
    assert blocks["native"] == blocks["izer"]
