"""Projects that the vendor's generator writes during the test, unchanged, run to their own PASS.

Needs ai8x-synthesis: AI8X_SYNTHESIS_DIR, and AI8X_SYNTHESIS_PYTHON for an interpreter with its packages.
Truth is the generator's known answer, which the program itself compares.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from synergyc.emulate.kat import run
from tests.compilers import NEEDS_CROSS_COMPILER

TOOL = os.environ.get("AI8X_SYNTHESIS_DIR")
PYTHON = os.environ.get("AI8X_SYNTHESIS_PYTHON", sys.executable)

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not TOOL, reason="AI8X_SYNTHESIS_DIR is not set"),
    NEEDS_CROSS_COMPILER,
]

MNIST = (
    "--checkpoint-file trained/ai85-mnist-qat8-q.pth.tar --config-file networks/mnist-chw-ai85.yaml --softmax"
)
Generate = Callable[[str, str], Path]


@pytest.fixture(scope="module")
def generate(tmp_path_factory: pytest.TempPathFactory) -> Generate:
    """Return a function (device, options) -> project folder; equal calls generate once."""
    folder = tmp_path_factory.mktemp("vendor")
    done: dict[tuple[str, str], Path] = {}

    def generate(device: str, options: str) -> Path:
        if (device, options) not in done:
            done[device, options] = _generate(folder, f"project{len(done)}", device, options)
        return done[device, options]

    return generate


def _generate(folder: Path, name: str, device: str, options: str) -> Path:
    assert TOOL is not None
    fixed = "--overwrite --no-version-check --no-progress --yamllint none"
    command = [PYTHON, "ai8xize.py", "--test-dir", str(folder), "--prefix", name, "--device", device]
    subprocess.run(
        [*command, *fixed.split(), *options.split()],
        cwd=TOOL,
        env={**os.environ, "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"},
        check=True,
        capture_output=True,
    )
    return folder / name


@pytest.mark.parametrize("device", ["MAX78000", "MAX78002"])
@pytest.mark.parametrize(
    "options",
    [
        pytest.param(MNIST, id="mnist"),
        pytest.param("--config-file tests/test-fifostream-32.yaml --fifo", id="streaming"),
        pytest.param("--config-file tests/test-conv1d-pool-4-q4.yaml --timer 0", id="timer"),
        pytest.param("--config-file tests/test-upsample.yaml --no-wfi", id="polling"),
    ],
)
def test_vendor_project_passes(generate: Generate, device: str, options: str) -> None:
    report = run(generate(device, options), device, limit_s=10.0)
    assert report.status == "pass", (report.console, report.diagnostics)


@pytest.mark.parametrize("device", ["MAX78000", "MAX78002"])
def test_pooling_in_a_transposed_convolution_passes(generate: Generate, device: str, tmp_path: Path) -> None:
    """The vendor's upsampling test of one layer, which ends its file, with pooling added."""
    assert TOOL is not None
    config = tmp_path / "pooled.yaml"
    config.write_text(
        (Path(TOOL) / "tests/test-upsample.yaml").read_text() + "    max_pool: 2\n    pool_stride: 2\n"
    )
    report = run(generate(device, f"--config-file {config}"), device, limit_s=10.0)
    assert report.status == "pass", (report.console, report.diagnostics)


def test_mnist_cycles(generate: Generate) -> None:
    """70,157 cycles: the vendor's formula; 1410 us measured on silicon (MSDK example, timer included)."""
    report = run(generate("MAX78000", MNIST + " --timer 0"), "MAX78000", limit_s=10.0)
    assert report.cycles == 70157
    measured = re.search(r"inference time: (\d+) us", report.console)
    assert measured is not None
    assert int(measured[1]) == pytest.approx(1410, rel=0.005)


def test_flipped_weight_fails(generate: Generate, tmp_path: Path) -> None:
    project = Path(shutil.copytree(generate("MAX78000", MNIST), tmp_path / "flipped"))
    weights = project / "weights.h"
    text = weights.read_text()
    # KERNELS begins with an address and a count; the next word is weights of the first layer.
    match = re.search(r"KERNELS \{ \\\s*0x\w+, 0x\w+, 0x(\w+)", text)
    assert match is not None
    flipped = f"{int(match[1], 16) ^ 0x80000000:08x}"
    weights.write_text(text[: match.start(1)] + flipped + text[match.end(1) :])
    report = run(project, "MAX78000", limit_s=10.0)
    assert report.status == "fail"
    assert "Data mismatch" in report.console


def test_riscv_project_is_refused(generate: Generate) -> None:
    with pytest.raises(Exception, match="RISC-V core, which is not emulated"):
        run(generate("MAX78000", MNIST + " --riscv"), "MAX78000", limit_s=10.0)


def test_project_for_the_other_chip_is_refused(generate: Generate) -> None:
    with pytest.raises(Exception, match="use --device MAX78000"):
        run(generate("MAX78000", MNIST), "MAX78002", limit_s=10.0)
