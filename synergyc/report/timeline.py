"""The schedule as lines of text: one for each unit, time from left to right."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_uppercase

from rich.console import Group, RenderableType
from rich.text import Text

from synergyc.plan.types import HELD, Schedule, Span

WIDTH = 48
"""Characters of a line's time axis."""

SHOWN_RUNS = 4
"""So many runs of the app with the shortest period are shown, from the steady state."""

_FIRST_RUN = 6

_HELD = "-"
"""Sign of an accelerator that holds a result."""


def timeline(schedule: Schedule) -> RenderableType:
    """Return what every unit does for some runs of the steady state: a letter for each app, dots for idle."""
    begin_us, end_us = _window(schedule)
    letters = dict(zip(schedule.apps, ascii_uppercase, strict=False))
    units = sorted({span.unit for span in schedule.spans})
    names = max(len(unit) for unit in units)
    legend = ", ".join(f"{letter} {app}" for app, letter in letters.items())
    lines = [
        Text(
            f"Timeline of {(end_us - begin_us) / 1000:,.2f} ms ({legend}; lower case: odd runs; "
            f"{_HELD}: done, no room for the result)",
            style="bold",
        )
    ]
    for unit in units:
        spans = [span for span in schedule.spans if span.unit == unit]
        cells = _cells(spans, letters, begin_us, end_us)
        lines.append(Text(f"{unit:<{names}} {cells} {schedule.busy.get(unit, 0.0):4.0%}"))
    return Group(*lines, Text(""))


def _window(schedule: Schedule) -> tuple[float, float]:
    """Return begin and end of what is shown: runs that find the pipeline filled."""
    shortest = min(1e6 / app.throughput_hz for app in schedule.apps.values() if app.throughput_hz)
    begins = [span.begin_us for span in schedule.spans if span.run >= _FIRST_RUN]
    begin_us = min(begins, default=0.0)
    return begin_us, begin_us + SHOWN_RUNS * shortest


def _cells(spans: Sequence[Span], letters: dict[str, str], begin_us: float, end_us: float) -> str:
    cells = ["."] * WIDTH
    scale = WIDTH / (end_us - begin_us)
    for span in spans:
        first, last = (int((at_us - begin_us) * scale) for at_us in (span.begin_us, span.end_us))
        letter = letters.get(span.app, "?")
        sign = _HELD if span.task == HELD else letter.lower() if span.run % 2 else letter
        for cell in range(max(first, 0), min(max(last, first + 1), WIDTH)):
            cells[cell] = sign
    return "".join(cells)
