"""A few random systems, with good links and with bad ones; ``python -m benchmarks.systems`` runs many.

Truth: the integer reference, and for plans the links that are left.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.compilers import require_cross_compiler
from tests.e2e.random_fallback import random_fallback, run_fallback
from tests.e2e.random_systems import Result, compare_system, random_system, run_system

pytestmark = pytest.mark.e2e

_RUNS = 4

_SEEDS = (2, 4, 8, 25)
"""One device with three apps; four in a row over secured wires; a channel; one that is secured."""


@pytest.mark.parametrize("seed", _SEEDS)
def test_every_run_is_right_also_over_bad_links(seed: int, tmp_path: Path) -> None:
    require_cross_compiler()
    system = random_system(seed)
    wanted = [Result(app.app, _RUNS, _RUNS, 0) for app in system.plan.apps]
    assert run_system(system, tmp_path, _RUNS, loss=0.1, corrupt=0.01) == wanted


@pytest.mark.parametrize("seed", [12, 18])
def test_the_schedule_expects_what_devices_do(seed: int, tmp_path: Path) -> None:
    """One device with three segments of an app; with seven, one of which has interleaved operands.

    The many short runs tell whether the schedule counts what the firmware does between them.
    """
    require_cross_compiler()
    for app in compare_system(random_system(seed), tmp_path, 60):
        assert app.errors == pytest.approx((0.0, 0.0), abs=0.05)


def test_runs_that_go_to_several_devices_in_turn_come_back_right(tmp_path: Path) -> None:
    """A relay that is a replica too and shows the results of both, over secured wires."""
    require_cross_compiler()
    system = random_system(1, replicated=True)
    wanted = [Result(app.app, _RUNS, _RUNS, 0) for app in system.plan.apps]
    assert run_system(system, tmp_path, _RUNS, loss=0.1, corrupt=0.01) == wanted


def test_whoever_is_left_goes_on_until_the_lost_one_is_back(tmp_path: Path) -> None:
    """Two devices with a secured wire; what is left is in a residency set of its own."""
    require_cross_compiler()
    system = random_fallback(27)
    verdict = run_fallback(system, tmp_path, loss=0.1, corrupt=0.01)
    assert verdict.good(system), verdict
    assert (verdict.away[system.lost], *verdict.back.values()) == (0, 0, 0)
    assert set(verdict.away.values()) == {0, 1}
