"""Results of consoles by phase. Truth: times written by hand."""

from __future__ import annotations

from synergyc.pipeline.plan_changes import Result, steady_ns

WHOLE, DIGEST = "0123456789abcdef" * 40, "=0a1b2c3d"


def _results(*contents: str) -> list[Result]:
    return [Result("wrist", run, 100 * run, content) for run, content in enumerate(contents)]


def test_rates_leave_out_large_results_that_were_written_whole_also_after_a_reboot() -> None:
    assert steady_ns(_results(WHOLE, WHOLE, DIGEST, DIGEST, WHOLE, DIGEST)) == [200, 300, 500]


def test_results_of_one_form_all_count() -> None:
    assert steady_ns(_results(WHOLE, WHOLE)) == [0, 100]
    assert steady_ns([]) == []
