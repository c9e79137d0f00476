"""The HTML report of a made-up build."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from synergyc.manifest import DeviceRecord, Manifest, WarningRecord
from synergyc.plan.types import AppSchedule, Schedule, Span
from synergyc.report.html import Block, BuildReport, MemoryMap, html_report
from tests.test_manifest import DEVICE, MINIMAL, SEGMENT


def page_of(name: str = "app.yaml") -> str:
    part = {**SEGMENT, "name": "one_s0", "app": "one"}
    power = {"idle_mw": 9.4, "runs_mw": 1.25, "links_mw": 0.0, "battery_h": 1234.5}
    wrist = DeviceRecord.model_validate({**DEVICE, "segments": [part], "power": power})
    late = WarningRecord(rule="late-results", message="results < late", need="5 ms", have="7 ms", hint=None)
    changes = {"app_file": name, "devices": (wrist,), "warnings": (late,)}
    manifest = Manifest.model_validate(MINIMAL).model_copy(update=changes)
    spans = tuple(Span("wrist.cpu", "one", run, "load", 100.0 * run, 100.0 * run + 40) for run in range(8))
    spans += (Span("wrist.cpu", "", 0, "beat", 350.0, 360.0),)  # of no app
    schedule = Schedule(spans, {"one": AppSchedule(10_000.0, 0.04, 0.04)}, {"wrist.cpu": 0.4})
    memory = MemoryMap(
        "wrist", "max78000", 64, 768, 16, 32768,
        (Block("one_s0", "one_s0: l0", 3, 0, 18),), (Block("one_s0", "one_s0: l0", 0, 0, 256),),
    )  # fmt: skip
    return html_report(BuildReport(manifest, schedule, (memory,), None))


def test_page_is_well_formed_but_for_its_head() -> None:
    body = page_of().partition("<body>")[2].partition("</body>")[0]
    tree = ElementTree.fromstring(f"<body>{body.replace('&rarr;', '-')}</body>")  # noqa: S314 - our own text
    titles = [node.text or "" for node in tree.iter("title")]
    assert "one_s0: l0, processor 3, slots 0-17" in titles
    assert {"one run 3: load, 40.0 us", "beat, 10.0 us"} <= set(titles)
    assert "Nothing was emulated" in body


def test_power_and_warnings_of_the_build_are_told() -> None:
    text = page_of()
    assert '<td class="n">1.25</td><td class="n">0.00</td><td class="n">1,234.5</td>' in text
    assert "(late-results): results &lt; late; wanted 5 ms, expected 7 ms" in text


def test_a_segment_has_the_colour_of_its_app_in_every_drawing() -> None:
    text = page_of()
    colours = re.findall(r'<rect[^>]*fill="(#[0-9a-f]+)"[^>]*><title>one', text)
    assert len(colours) > 2
    assert len(set(colours)) == 1


def test_the_axis_of_time_has_round_marks() -> None:
    """Five periods of 0.1 ms: a mark every 0.1 ms, 180 of the 900 pixels apart."""
    marks = re.findall(r'<text x="([0-9.]+)" y="39"[^>]*>([0-9.]+)</text>', page_of())
    assert marks == [(f"{180.0 * i}", f"{0.1 * i:g}") for i in range(6)]


def test_names_cannot_break_out() -> None:
    assert "<script>" not in page_of("<script>.yaml")
