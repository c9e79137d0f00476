"""What consoles tell of plans that came into force: changes, and what each app reached under each plan."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from synergyc.manifest import Manifest, PlanLoadRecord
from synergyc.pipeline.consoles import ConsoleReader
from synergyc.report.outcome import PlanChange, PlanPhase


@dataclass(frozen=True)
class Result:
    """A result as a console shows it."""

    device: str
    run: int
    at_ns: int
    content: str


def results_of(app: str, consoles: Mapping[str, ConsoleReader]) -> list[Result]:
    """Return the results of ``app`` on all consoles, in order of time."""
    found = [
        Result(name, int(item.line.fields[1]), item.at_ns, item.line.fields[2])
        for name, console in consoles.items()
        for item in console.lines
        if item.line.kind == "R" and item.line.fields[0] == app
    ]
    return sorted(found, key=lambda result: result.at_ns)


def steady_ns(results: Sequence[Result]) -> list[int]:
    """Return when results were shown, without large ones that were written whole: later ones are digests.

    A device writes the first ones whole, so that each value can be compared; they take longer by far.
    """
    shortest = min((len(item.content) for item in results), default=0)
    return [item.at_ns for item in results if len(item.content) == shortest]


def plan_changes(manifest: Manifest, consoles: Mapping[str, ConsoleReader]) -> tuple[PlanChange, ...]:
    """Return every change of plan of every device, in order of time."""
    names = sorted(consoles)
    found = [
        change
        for name, console in consoles.items()
        for change in _device_changes(manifest, name, console, names)
    ]
    return tuple(sorted(found, key=lambda change: (change.at_s, change.device)))


def _device_changes(
    manifest: Manifest, device: str, console: ConsoleReader, names: Sequence[str]
) -> Iterator[PlanChange]:
    """Yield a device's changes; what it has loaded before decides what it must load."""
    loaded = None
    for item in console.lines:
        if item.line.kind not in "BV":
            continue
        plan = int(item.line.fields[0]) if item.line.kind == "V" else 0
        load = _load(manifest, plan, device)
        if item.line.kind == "V":
            _, devices, dropped, ticks = item.line.fields
            yield PlanChange(
                device,
                plan,
                tuple(name for bit, name in enumerate(names) if int(devices, 16) >> bit & 1),
                item.at_ns / 1e9,
                int(dropped),
                1000 * int(ticks) / console.tick_hz,
                load.load_ms if load is not None and load.residency != loaded else 0.0,
            )
        loaded = load.residency if load is not None else loaded


def _load(manifest: Manifest, plan: int, device: str) -> PlanLoadRecord | None:
    """Return what a plan has loaded on a device; None if no segment of it runs there."""
    loads = next((item.loads for item in manifest.image_plans if item.number == plan), ())
    return next((load for load in loads if load.device == device), None)


def plan_phases(manifest: Manifest, consoles: Mapping[str, ConsoleReader]) -> tuple[PlanPhase, ...]:
    """Return what each app delivered on each device between changes of its plan; () if there were none."""
    if not any(console.counts["V"] for console in consoles.values()):
        return ()
    found = [phase for app in manifest.apps for phase in _app_phases(manifest, app.name, consoles)]
    return tuple(found)


def _app_phases(manifest: Manifest, app: str, consoles: Mapping[str, ConsoleReader]) -> Iterator[PlanPhase]:
    epochs = {name: list(_epochs(console)) for name, console in consoles.items()}
    phases: dict[tuple[str, int], list[Result]] = {}
    for result in results_of(app, consoles):
        begins = [at_ns for at_ns, _ in epochs[result.device]]
        phases.setdefault((result.device, bisect_right(begins, result.at_ns) - 1), []).append(result)
    for (device, epoch), results in phases.items():
        plan, steady = epochs[device][epoch][1], steady_ns(results)
        span_ns = steady[-1] - steady[0]
        yield PlanPhase(
            app=app,
            device=device,
            plan=plan,
            begin_s=results[0].at_ns / 1e9,
            end_s=results[-1].at_ns / 1e9,
            results=len(results),
            throughput_hz=(len(steady) - 1) * 1e9 / span_ns if span_ns else 0.0,
            predicted_hz=_predicted_hz(manifest, plan, app),
        )


def _epochs(console: ConsoleReader) -> Iterator[tuple[int, int]]:
    """Yield when each plan came into force, and its number: a device boots into the first one."""
    yield 0, 0
    for item in console.lines:
        if item.line.kind in "BV":
            yield item.at_ns, int(item.line.fields[0]) if item.line.kind == "V" else 0


def _predicted_hz(manifest: Manifest, plan: int, app: str) -> float:
    if plan == 0:
        return next(item.predicted.throughput_hz for item in manifest.apps if item.name == app)
    apps = next(item.apps for item in manifest.image_plans if item.number == plan)
    return next((item.throughput_hz for item in apps if item.app == app), 0.0)
