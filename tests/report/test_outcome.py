"""What a terminal shows of a run, and what of it has no figure: shown as none, not as zero."""

from __future__ import annotations

import io
from dataclasses import replace

from rich.console import Console

from synergyc.report.outcome import DeviceOutcome, RunOutcome, UnitOutcome
from synergyc.report.outcome_tables import _unit_cells, outcome_report


def test_a_devices_part_of_a_channel_is_not_predicted() -> None:
    part = UnitOutcome("wrist", "all", None, 8938.7, 0.061, clock_hz=None, shared=True)
    assert _unit_cells(part) == ("-", "8,938.7", "-", "-", "6.1%")


def test_cycles_are_those_of_the_units_clock() -> None:
    accelerator = UnitOutcome("wrist", "accelerator", 2.0, 2.1, 0.01, clock_hz=50_000_000)
    assert _unit_cells(accelerator) == ("2.0", "2.1", "100", "105", "1.0%")


def test_counts_of_devices_are_shown_where_something_went_wrong() -> None:
    calm = DeviceOutcome(*("wrist", (), 1, 11, 0, 0, 0, 0, 1), stack_bytes=1, ram_bytes=1, energy_uj=0.0)
    assert "sent again" not in _shown(calm)
    troubled = (
        replace(calm, resent_frames=3),
        replace(calm, dropped_tensors=1),
        replace(calm, lost_peers=1),
        replace(calm, refused_frames=1),
        replace(calm, boots=2),
    )
    for device in troubled:
        assert "sent again" in _shown(device)


def _shown(device: DeviceOutcome) -> str:
    console = Console(file=io.StringIO(), width=150)
    console.print(outcome_report(RunOutcome((), (device,), 1.0)))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()
