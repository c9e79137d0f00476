"""The cost model against what was measured on silicon and published (vendor READMEs, AN7664)."""

from __future__ import annotations

from pathlib import Path

import pytest

from models import zoo
from synergyc.pipeline.measured import Measurement, compare_with_measurements, measurements_markdown

PAGE = Path(__file__).parent.parent.parent / "docs" / "measurements.md"

BARS = {
    ("max78000", "infer ms"): 0.01,
    ("max78002", "infer ms"): 0.04,
    ("max78002", "load ms"): 0.05,
    ("max78002", "weights ms"): 0.05,
    ("max78002", "infer uJ"): 0.25,
}


@pytest.fixture(scope="module")
def found() -> tuple[Measurement, ...]:
    return compare_with_measurements(zoo.network)


def test_errors_are_within_the_bars(found: tuple[Measurement, ...]) -> None:
    assert {(item.chip, item.what) for item in found} == set(BARS)
    for item in found:
        assert abs(item.error) < BARS[item.chip, item.what], item


def test_published_page_is_current(found: tuple[Measurement, ...]) -> None:
    assert PAGE.read_text() == measurements_markdown(found), (
        "write it again: synergyc bench cost -o docs/measurements.md"
    )
