"""A build as one HTML file: plan, timeline, memory maps, expectation against measurement."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import jinja2

from synergyc.manifest import Manifest, SegmentRecord
from synergyc.plan.types import HELD, Schedule
from synergyc.report.outcome import RunOutcome
from synergyc.targets import data_folder

_COLOURS = ("#3b76af", "#ef8536", "#519e3e", "#c53a32", "#8d69b8", "#84584e", "#d57dbe", "#7f7f7f")

_NO_APP = "#999999"
"""Work that is of no app, such as heartbeats of links."""

_WIDTH = 900
"""Of the drawings, in pixels."""

_SHOWN_PERIODS = 5
"""Periods of the slowest app that the timeline shows."""

_FIRST_RUN = 3
"""Run with which it begins: the pipeline is filled."""

_TICKS = 6
"""Marks on the axis of time, at least half as many."""


@dataclass(frozen=True)
class Block:
    """A part of a memory in use: ``begin`` up to ``end`` (slots, bytes) of ``row`` (processor, instance)."""

    segment: str
    label: str
    row: int
    begin: int
    end: int


@dataclass(frozen=True)
class MemoryMap:
    """What the segments of a device take of its accelerator's weight and data memory."""

    device: str
    chip: str
    processors: int
    slots: int
    instances: int
    instance_bytes: int
    weights: tuple[Block, ...]
    data: tuple[Block, ...]


@dataclass(frozen=True)
class BuildReport:
    """Everything that is shown; ``outcome`` None: nothing was emulated."""

    manifest: Manifest
    schedule: Schedule
    maps: tuple[MemoryMap, ...]
    outcome: RunOutcome | None


@dataclass(frozen=True)
class _Box:
    """A rectangle of a drawing."""

    x: float
    y: float
    width: float
    height: float
    colour: str
    label: str
    faint: bool = False


@dataclass(frozen=True)
class _Tick:
    """A mark on the axis of time."""

    x: float
    label: str


def html_report(report: BuildReport) -> str:
    """Return the page; it needs no other file."""
    folder = data_folder("templates") / "report"
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    manifest = report.manifest
    apps = _colours(tuple(report.schedule.apps))
    segments = {part.name: apps[part.app] for item in manifest.devices for part in item.segments}
    units = sorted({span.unit for span in report.schedule.spans})
    page: str = environment.get_template("report.html.j2").render(
        manifest=manifest,
        segments_of={app.name: _chain(manifest, app.name) for app in manifest.apps},
        outcome=report.outcome,
        outcomes={} if report.outcome is None else {app.name: app for app in report.outcome.apps},
        schedule=report.schedule,
        width=_WIDTH,
        apps=apps,
        units=units,
        timeline=_timeline(report.schedule, units, apps),
        ticks=_ticks(report.schedule),
        maps=[(item, _columns(item, segments), _bars(item, segments)) for item in report.maps],
    )
    return page


def _chain(manifest: Manifest, app: str) -> list[tuple[str, SegmentRecord]]:
    """Return the segments of an app with their devices, in the order in which a run passes them."""
    parts = [(item.name, part) for item in manifest.devices for part in item.segments if part.app == app]
    return sorted(parts, key=lambda part: part[1].first_layer)


def _colours(names: tuple[str, ...]) -> dict[str, str]:
    return {name: _COLOURS[i % len(_COLOURS)] for i, name in enumerate(names)}


def _window(schedule: Schedule) -> tuple[float, float]:
    slowest_us = max(
        (1e6 / app.throughput_hz for app in schedule.apps.values() if app.throughput_hz), default=1.0
    )
    begin_us = min((span.begin_us for span in schedule.spans if span.run >= _FIRST_RUN), default=0.0)
    return begin_us, begin_us + _SHOWN_PERIODS * slowest_us


def _timeline(schedule: Schedule, units: list[str], colours: Mapping[str, str]) -> list[_Box]:
    begin_us, end_us = _window(schedule)
    scale = _WIDTH / (end_us - begin_us)
    boxes = []
    for span in schedule.spans:
        if span.end_us <= begin_us or span.begin_us >= end_us:
            continue
        left = max(0.0, (span.begin_us - begin_us) * scale)
        right = min(float(_WIDTH), (span.end_us - begin_us) * scale)
        who = f"{span.app} run {span.run}: " if span.app else ""
        label = f"{who}{span.task}, {span.end_us - span.begin_us:,.1f} us"
        row = 22 * units.index(span.unit)
        boxes.append(
            _Box(
                round(left, 2),
                row,
                round(max(right - left, 0.5), 2),
                18,
                colours.get(span.app, _NO_APP),
                label,
                faint=span.task == HELD,
            )
        )
    return boxes


def _ticks(schedule: Schedule) -> list[_Tick]:
    """Return the marks of the axis, at round numbers of milliseconds from the begin of what is shown."""
    begin_us, end_us = _window(schedule)
    window_ms = (end_us - begin_us) / 1000
    step_ms = 10.0 ** math.ceil(math.log10(window_ms / _TICKS))
    step_ms = next(step_ms / part for part in (5, 2, 1) if window_ms * part / step_ms <= _TICKS)
    count = int(window_ms / step_ms)
    return [_Tick(round(i * step_ms * _WIDTH / window_ms, 2), f"{i * step_ms:g}") for i in range(count + 1)]


def _columns(memory: MemoryMap, colours: Mapping[str, str]) -> list[_Box]:
    """Return the weight memory: a column for each processor, slots from top to bottom."""
    width, height = _WIDTH / memory.processors, 240 / memory.slots
    return [
        _Box(
            round(block.row * width, 2),
            round(block.begin * height, 2),
            round(width - 0.5, 2),
            round((block.end - block.begin) * height, 2),
            colours[block.segment],
            f"{block.label}, processor {block.row}, slots {block.begin}-{block.end - 1}",
        )
        for block in memory.weights
    ]


def _bars(memory: MemoryMap, colours: Mapping[str, str]) -> list[_Box]:
    """Return the data memory: a row for each instance, bytes from left to right."""
    scale = _WIDTH / memory.instance_bytes
    return [
        _Box(
            round(block.begin * scale, 2),
            12 * block.row,
            round((block.end - block.begin) * scale, 2),
            10,
            colours[block.segment],
            f"{block.label}, instance {block.row}, bytes {block.begin}-{block.end - 1}",
        )
        for block in memory.data
    ]
