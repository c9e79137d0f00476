"""The wearable example: trained integers from a file, on emulated boards, without the recordings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.command import ROOT, synergyc

pytestmark = pytest.mark.e2e


def test_trained_integers_run_on_the_devices(tmp_path: Path) -> None:
    """Two bits in the middle layers; truth is the integer reference."""
    result = synergyc("build", str(ROOT / "examples" / "motion.yaml"), "-o", str(tmp_path / "out"), "-q")
    assert result.returncode == 0, result.stderr
    text = (tmp_path / "out" / "apps" / "motion" / "network.txt").read_text()
    assert text.count(" w2 ") == 2
    result = synergyc("run", str(tmp_path / "out"), "--runs", "4", "--json")
    assert result.returncode == 0, result.stderr
    app = json.loads(result.stdout)["apps"]["motion"]
    assert (app["sent"], app["right"], app["accuracy"]) == (4, 4, None)
