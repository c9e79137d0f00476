"""Incidents as the command line says them."""

from __future__ import annotations

import pytest

from synergyc.pipeline.scenario import BROWN_OUT_NS, Change, Incident, changes, parse_incident


@pytest.mark.parametrize(
    ("text", "at_ns", "until_ns"),
    [
        ("chest@2s..5s", 2_000_000_000, 5_000_000_000),
        ("chest@2..5s", 2_000_000_000, 5_000_000_000),
        ("chest@250ms..1.5s", 250_000_000, 1_500_000_000),
        ("chest@2s", 2_000_000_000, None),
        ("chest@0.5", 500_000_000, None),
        ("chest@10..20ms", 10_000_000, 20_000_000),
    ],
)
def test_spans_are_read(text: str, at_ns: int, until_ns: int | None) -> None:
    assert parse_incident("drop", text) == Incident("drop", "chest", at_ns, until_ns)


@pytest.mark.parametrize(
    "text",
    ["", "chest", "chest@", "@2s", "chest@2h", "chest@-1s", "chest@5s..2s", "chest@2s..2s", "chest@a..b"],
)
def test_what_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"chest|DEVICE"):
        parse_incident("drop", text)


def test_a_stuck_core_needs_an_end_and_a_reset_has_none() -> None:
    with pytest.raises(ValueError, match="until when"):
        parse_incident("stuck", "chest@2s")
    with pytest.raises(ValueError, match="one time"):
        parse_incident("reset", "chest@2s..3s")


def test_changes_come_in_order_of_time() -> None:
    incidents = [
        parse_incident("drop", "chest@2s..5s"),
        parse_incident("brown-out", "wrist@3s"),
        parse_incident("stuck", "hub@1s..4s"),
        parse_incident("reset", "hub@6s"),
    ]
    assert changes(incidents) == (
        Change(1_000_000_000, "hub", "stop"),
        Change(2_000_000_000, "chest", "drop"),
        Change(3_000_000_000, "wrist", "drop"),
        Change(3_000_000_000 + BROWN_OUT_NS, "wrist", "restore"),
        Change(4_000_000_000, "hub", "resume"),
        Change(5_000_000_000, "chest", "restore"),
        Change(6_000_000_000, "hub", "reset"),
    )
