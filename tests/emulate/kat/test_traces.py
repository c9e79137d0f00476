"""Networks of the vendor's generator, as recorded writes and known answers, run as projects of its shape.

The writes and answers are those of ai8x-synthesis (conformance data); the C around them is ours. All cases
are compared with the accelerator model alone elsewhere: here a few go through compiler, CPU, bus and
interrupt, one for each way in which the program and the accelerator work together.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from synergyc.emulate.kat import run
from tests.compilers import NEEDS_CROSS_COMPILER
from tests.emulate.kat.projects import conformance_folder, load_trace, write_project

pytestmark = [
    NEEDS_CROSS_COMPILER,
    pytest.mark.skipif(
        not (conformance_folder() / "traces").is_dir(),
        reason="no conformance data (SYNERGYC_CONFORMANCE_DIR)",
    ),
]


@pytest.mark.parametrize(
    "case",
    [
        "t.singlebyte-passthrough.78000",
        "t.flatten-bias.78000",
        "t.flatten-bias.78002",
        "t.depthwise1d.s0.78002",
        "t.fifostream-32.fifo.78000",
        "t.fifostream-pool.fifo.78002",
        "t.multilayer-eltwise.legacy-test.78000",
    ],
)
def test_recorded_network(case: str, tmp_path: Path) -> None:
    recipe = load_trace(case)
    report = run(write_project(recipe, tmp_path / "project"), recipe.device, limit_s=5.0)
    assert report.status == "pass", (report.console, report.diagnostics)
    assert report.accelerator_runs == 1
