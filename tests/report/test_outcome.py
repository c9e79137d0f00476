"""What of a run has no figure: it is shown as none, not as zero."""

from __future__ import annotations

from synergyc.report.outcome import UnitOutcome
from synergyc.report.outcome_tables import _unit_cells


def test_a_devices_part_of_a_channel_is_not_predicted() -> None:
    part = UnitOutcome("wrist", "all", None, 8938.7, 0.061, clock_hz=None, shared=True)
    assert _unit_cells(part) == ("-", "8,938.7", "-", "-", "6.1%")


def test_cycles_are_those_of_the_units_clock() -> None:
    accelerator = UnitOutcome("wrist", "accelerator", 2.0, 2.1, 0.01, clock_hz=50_000_000)
    assert _unit_cells(accelerator) == ("2.0", "2.1", "100", "105", "1.0%")
