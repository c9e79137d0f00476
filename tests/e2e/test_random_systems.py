"""A few random systems, with good links and with bad ones; ``python -m benchmarks.systems`` runs many.

Truth: the integer reference.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.e2e.random_systems import Result, random_system, run_system

pytestmark = pytest.mark.e2e

_RUNS = 4

_SEEDS = (2, 4, 8, 25)
"""One device with three apps; four in a row over secured wires; a channel; one that is secured."""


@pytest.mark.parametrize("seed", _SEEDS)
def test_every_run_is_right_also_over_bad_links(seed: int, tmp_path: Path) -> None:
    if shutil.which("arm-none-eabi-gcc") is None:
        pytest.skip("arm-none-eabi-gcc is not installed")
    system = random_system(seed)
    wanted = [Result(app.app, _RUNS, _RUNS, 0) for app in system.plan.apps]
    assert run_system(system, tmp_path, _RUNS, loss=0.1, corrupt=0.01) == wanted
