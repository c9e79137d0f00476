"""Warnings of results that miss a deadline in the schedule. Truth: what a full queue does to a latency."""

from __future__ import annotations

import pytest

from synergyc.plan.document import plan_document
from synergyc.plan.selector import PlanResult, choose
from tests.plan.problems import chain, pair
from tests.plan.test_selector import at_most

NETWORK = chain("n", (3, 8, 16, 4))


def _planned(**app: object) -> PlanResult:
    return choose(pair(split=2, **app), {"a": NETWORK}, at_most(2))


@pytest.fixture(scope="module")
def free() -> PlanResult:
    """Return the plan without a deadline: a sensor as fast as it can keeps all queues full."""
    return _planned()


def test_a_deadline_between_both_latencies_is_kept_by_the_plan_and_missed_in_the_schedule(
    free: PlanResult,
) -> None:
    predicted = free.plan.apps[0].predicted
    assert predicted.scheduled is not None
    unloaded_ms, waiting_ms = predicted.latency_ms, predicted.scheduled.largest_latency_ms
    assert waiting_ms > 1.2 * unloaded_ms
    result = _planned(deadline_ms=1.1 * unloaded_ms)
    (warning,) = result.warnings
    assert warning.rule == "late-results"
    assert warning.need == f"{1.1 * unloaded_ms:g} ms"
    assert f"{waiting_ms:.2f} ms at most" in (warning.have or "")
    assert "sense: rate_hz" in (warning.hint or "")
    assert warning.render("warning").startswith("warning: results of app 'a'")
    assert plan_document(result)["warnings"] == [warning.to_json()]


def test_a_slow_sensor_or_a_late_deadline_needs_no_warning(free: PlanResult) -> None:
    predicted = free.plan.apps[0].predicted
    assert predicted.scheduled is not None
    assert free.warnings == ()
    assert _planned(deadline_ms=1.01 * predicted.scheduled.largest_latency_ms).warnings == ()
    slow_hz = 0.5 * predicted.scheduled.throughput_hz
    assert _planned(deadline_ms=1.1 * predicted.latency_ms, rate_hz=slow_hz).warnings == ()


def test_a_sensor_with_a_rate_gets_another_hint(free: PlanResult) -> None:
    predicted = free.plan.apps[0].predicted
    fast_hz = 10 * predicted.throughput_hz
    (warning,) = _planned(deadline_ms=1.1 * predicted.latency_ms, rate_hz=fast_hz).warnings
    assert "lower rates" in (warning.hint or "")
