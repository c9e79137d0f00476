"""The wearable example: trained integers from a file, on emulated boards, without the recordings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.compilers import NEEDS_CROSS_COMPILER
from tests.e2e.command import ROOT, synergyc

pytestmark = [pytest.mark.e2e, NEEDS_CROSS_COMPILER]


def test_trained_integers_run_on_the_devices(tmp_path: Path) -> None:
    """Two bits in the middle layers; truth is the integer reference."""
    result = synergyc("build", str(ROOT / "examples" / "motion.yaml"), "-o", str(tmp_path / "out"), "-q")
    assert result.returncode == 0, result.stderr
    text = (tmp_path / "out" / "apps" / "motion" / "network.txt").read_text()
    assert text.count(" w2 ") == 2
    result = synergyc("run", str(tmp_path / "out"), "--json")
    assert result.returncode == 0, result.stderr
    outcome = json.loads(result.stdout)
    app, predicted = outcome["apps"]["motion"], outcome["predicted"]["motion"]
    assert (app["sent"], app["right"], app["accuracy"]) == (100, 100, None)
    # Results pile up for the console, which is slower than the link: the schedule must know both exactly.
    assert app["throughput_hz"] == pytest.approx(predicted["throughput_hz"], rel=0.05)
    assert app["latency_ms"]["p50"] == pytest.approx(predicted["latency_ms"], rel=0.05)
