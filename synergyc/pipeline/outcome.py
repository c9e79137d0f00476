"""From statistics, console lines and sense logs of emulated devices to the outcome of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from synergyc.emulate.board import UnitStatistics
from synergyc.manifest import AppRecord, DeviceRecord, LinkRecord, Manifest
from synergyc.pipeline.consoles import AppSenses, ConsoleReader
from synergyc.pipeline.expectation import Expected, accuracies, answer_of, is_right
from synergyc.pipeline.plan_changes import Result, plan_changes, plan_phases, results_of, steady_ns
from synergyc.pipeline.scenario import Incident, Scenario
from synergyc.plan.energy import bus_energy_uj, layer_energy_uj, running_energy_uj
from synergyc.report.outcome import AppOutcome, DeviceOutcome, Latency, RunOutcome, SwapOutcome, UnitOutcome
from synergyc.targets import load_board, load_chip, load_medium

_PS_PER_US = 10**6


@dataclass(frozen=True)
class Moment:
    """What all units have done so far: by device, and time on air by (shared link, device)."""

    devices: Mapping[str, UnitStatistics]
    air_ps: Mapping[tuple[str, str], int]


@dataclass(frozen=True)
class Window:
    """When sensing began (on each device for itself), the first result, and the last one."""

    begun: Moment
    steady: Moment
    done: Moment


def run_outcome(
    manifest: Manifest,
    expected: Mapping[str, Expected],
    consoles: Mapping[str, ConsoleReader],
    senses: Mapping[str, AppSenses],
    window: Window,
    scenario: Scenario,
    *,
    virtual_s: float,
    sequential: bool,
) -> RunOutcome:
    """Return what was seen of a whole run."""
    apps = tuple(
        _app_outcome(
            app,
            expected[app.name],
            results_of(app.name, consoles),
            senses[app.name],
            sequential=sequential,
        )
        for app in manifest.apps
    )
    rounds = max((app.sent for app in apps), default=1) or 1
    devices = tuple(
        _device_outcome(device, manifest, window, expected, consoles[device.name], rounds)
        for device in manifest.devices
    )
    return RunOutcome(
        apps,
        devices,
        virtual_s,
        sequential=sequential,
        disturbed=scenario.disturbs,
        changes=plan_changes(manifest, consoles),
        phases=plan_phases(manifest, consoles),
        late=tuple(_late(scenario.incidents, consoles)),
    )


def _late(incidents: Sequence[Incident], consoles: Mapping[str, ConsoleReader]) -> Iterator[str]:
    """Yield the incidents that came when no result was to come any more."""
    lines = [item for console in consoles.values() for item in console.lines if item.line.kind == "R"]
    last_ns = max((item.at_ns for item in lines), default=0)
    for item in incidents:
        if lines and item.at_ns > last_ns:
            yield (
                f"{item.device}, {item.kind} at {item.at_ns / 1e9:.3f} s: the last result came at"
                f" {last_ns / 1e9:.3f} s"
            )


def _app_outcome(
    app: AppRecord,
    expected: Expected,
    results: Sequence[Result],
    sense: AppSenses,
    *,
    sequential: bool,
) -> AppOutcome:
    """Judge every result: wrong is also one that was never sensed, or was delivered before."""
    delivered: Counter[int] = Counter()
    right, wrong_run = 0, None
    answers: list[tuple[int, int]] = []
    latencies_ns: list[int] = []
    for item in results:
        good, values = is_right(item.content, item.run, expected)
        began_ns = sense.sensed_before(item.run, item.at_ns)
        delivered[item.run] += 1
        fresh = delivered[item.run] <= max(1, sense.times(item.run))
        right += good and fresh
        if not good and wrong_run is None:
            wrong_run = item.run
        if began_ns is not None:
            latencies_ns.append(item.at_ns - began_ns)
        if expected.labels is not None and values is not None:
            answers.append((expected.index(item.run), answer_of(values, expected.network)))
    sent = sense.sensed
    steady = steady_ns(results)
    span_ns = sum(latencies_ns) if sequential else (steady[-1] - steady[0] if steady else 0)
    counted = len(latencies_ns) if sequential else len(steady) - 1
    return AppOutcome(
        name=app.name,
        sent=sent,
        right=right,
        wrong=len(results) - right,
        dropped=max(0, sent - len(results)),
        throughput_hz=counted * 1e9 / span_ns if span_ns else 0.0,
        latency=latency(latencies_ns),
        predicted_throughput_hz=app.predicted.throughput_hz,
        predicted_energy_uj=app.predicted.energy_uj,
        predicted_latency_ms=app.predicted.unloaded_latency_ms if sequential else app.predicted.latency_ms,
        accuracy=accuracies(expected, answers),
        wrong_run=wrong_run,
    )


def latency(latencies_ns: Sequence[int]) -> Latency | None:
    """Return the distribution of latencies; None if there are none."""
    if not latencies_ns:
        return None
    values = np.asarray(latencies_ns) / 1e6
    p50, p95 = (float(np.percentile(values, share, method="higher")) for share in (50, 95))
    return Latency(p50, p95, float(values.max()), float(values.mean()))


def _device_outcome(
    device: DeviceRecord,
    manifest: Manifest,
    window: Window,
    expected: Mapping[str, Expected],
    console: ConsoleReader,
    rounds: int,
) -> DeviceOutcome:
    memory = console.reports("memory")
    sends, links = console.reports("send"), console.reports("link")
    secure = console.reports("secure")
    return DeviceOutcome(
        name=device.name,
        units=tuple(_units(device, manifest, window, console, rounds)),
        instructions=window.done.devices[device.name].instructions,
        sent_frames=sum(int(line.fields[5]) for line in sends),
        resent_frames=sum(int(line.fields[6]) for line in sends),
        dropped_tensors=sum(int(line.fields[4]) for line in sends),
        lost_peers=sum(int(line.fields[2]) for line in links),
        refused_frames=sum(int(field) for line in secure for field in line.fields[2:4]),
        boots=console.counts["B"],
        stack_bytes=int(memory[-1].fields[1]) if memory else 0,
        ram_bytes=int(memory[-1].fields[3]) if memory else 0,
        energy_uj=_energy_uj(device, manifest, window, expected, console),
        swap=_swap(device, console, rounds),
    )


def _swap(device: DeviceRecord, console: ConsoleReader, rounds: int) -> SwapOutcome | None:
    """Return a device's loads of weights, by its own report; None where all stay in place."""
    if not device.loads:
        return None
    reports = console.reports("swap")
    loads, ticks = (int(field) for field in reports[-1].fields[2:4]) if reports else (0, 0)
    predicted = sum(item.loads_per_run for item in device.loads)
    predicted_ms = sum(item.loads_per_run * item.load_ms for item in device.loads)
    return SwapOutcome(
        loads,
        ticks * 1000 / console.tick_hz / loads if loads else 0.0,
        rounds * predicted,
        predicted_ms / predicted if predicted else 0.0,
    )


def _energy_uj(
    device: DeviceRecord,
    manifest: Manifest,
    window: Window,
    expected: Mapping[str, Expected],
    console: ConsoleReader,
) -> float:
    """Return the energy above idle of all runs: accelerator, its arithmetic, its bus, transceivers."""
    chip = load_chip(device.chip)
    begun, done = (state.devices[device.name] for state in (window.begun, window.done))
    energy_uj = running_energy_uj((done.accelerator_busy_ps - begun.accelerator_busy_ps) / _PS_PER_US, chip)
    energy_uj += bus_energy_uj(done.accelerator_accesses - begun.accelerator_accesses, chip)
    tasks = [line.fields for line in console.reports("task")]
    infers = [(int(plan), app, int(count)) for _, app, name, count, *_, plan in tasks if name == "infer"]
    for (app, first, last), count in _inferences(device, manifest, infers):
        layers = expected[app].network.layers[first : last + 1]
        energy_uj += count * sum(layer_energy_uj(layer, chip) for layer in layers)
    for link in manifest.links:
        if device.name in link.ends:
            medium = load_medium(link.medium)
            sent_us = _sent_us(link, device.name, window.done) - _sent_us(link, device.name, window.begun)
            energy_uj += sent_us * (medium.send_mw + medium.receive_mw) / 1000
    return energy_uj


def _inferences(
    device: DeviceRecord, manifest: Manifest, infers: Sequence[tuple[int, str, int]]
) -> Iterator[tuple[tuple[str, int, int], int]]:
    """Yield app, first and last layer of each segment of each plan, and how often it ran.

    ``infers``: plan, app and count of each segment as the device reports them, in the plan's order.
    """
    for app in manifest.apps:
        segments = [
            (0, item.first_layer, item.last_layer) for item in device.segments if item.app == app.name
        ]
        for plan in manifest.image_plans[1:]:
            placed = [item.segments for item in plan.apps if item.app == app.name]
            segments += [
                (plan.number, first, last)
                for item in placed
                for name, first, last in item
                if name == device.name
            ]
        for plan_number in {number for number, _, _ in segments}:
            layers = [(app.name, first, last) for number, first, last in segments if number == plan_number]
            counts = [count for number, name, count in infers if (number, name) == (plan_number, app.name)]
            yield from zip(layers, counts, strict=False)


def _units(
    device: DeviceRecord, manifest: Manifest, window: Window, console: ConsoleReader, rounds: int
) -> Iterator[UnitOutcome]:
    """Yield each unit of a device: its work over all runs, and its share of time in the steady state.

    An accelerator is busy from the first word of a load to the last one of an unload.
    """
    chip = load_chip(device.chip)
    begun, steady, done = (state.devices[device.name] for state in (window.begun, window.steady, window.done))
    steady_us = max(1e-9, (done.elapsed_ps - steady.elapsed_ps) / _PS_PER_US)
    predicted_us = _predicted_us(device, manifest)

    def unit(name: str, spent: float, in_steady: float, **more: Any) -> UnitOutcome:
        predicted = None if more.get("shared") else predicted_us.get(name, 0.0)
        return UnitOutcome(
            device.name, name, predicted, spent / rounds, min(1.0, in_steady / steady_us), **more
        )

    cpu_hz = chip.clocks.cpu_hz
    yield unit("cpu", _cpu_us(begun, done, cpu_hz), _cpu_us(steady, done, cpu_hz), clock_hz=cpu_hz)
    held_us = _held_us(console)
    runs = done.accelerator_runs - steady.accelerator_runs
    yield unit(
        "accelerator",
        (done.accelerator_busy_ps - begun.accelerator_busy_ps) / _PS_PER_US,
        (done.accelerator_busy_ps - steady.accelerator_busy_ps) / _PS_PER_US
        + runs * held_us / max(1, done.accelerator_runs),
        clock_hz=chip.cnn.timing.inference_hz,
        held_us=held_us / rounds,
    )
    for link in manifest.links:
        if device.name in link.ends:
            sent = [
                _sent_us(link, device.name, state) for state in (window.begun, window.steady, window.done)
            ]
            shared = load_medium(link.medium).shared
            yield unit(link.name, sent[2] - sent[0], sent[2] - sent[1], clock_hz=None, shared=shared)
    if any(app.interact["on"] == device.name for app in manifest.apps):
        uart = load_board(device.board).console_uart
        lines = [state.uart_busy_ps[uart] / _PS_PER_US for state in (begun, steady, done)]
        yield unit("console", lines[2] - lines[0], lines[2] - lines[1], clock_hz=None)


def _cpu_us(before: UnitStatistics, after: UnitStatistics, cpu_hz: int) -> float:
    cycles = after.cpu_cycles - before.cpu_cycles - (after.cpu_sleep_cycles - before.cpu_sleep_cycles)
    return cycles * 1e6 / cpu_hz


def _sent_us(link: LinkRecord, device: str, state: Moment) -> float:
    """Return how long a device's frames have occupied a link so far."""
    if load_medium(link.medium).shared:
        return state.air_ps.get((link.name, device), 0) / _PS_PER_US
    return state.devices[device].uart_busy_ps[link.ends[device]] / _PS_PER_US


def _held_us(console: ConsoleReader) -> float:
    """Return the time for which loads and unloads have held a device's accelerator, by its own report.

    Weights that were swapped too: nothing runs before they are in place.
    """
    tasks = [line for line in console.reports("task") if line.fields[2] in ("load", "unload")]
    ticks = sum(int(line.fields[4]) for line in tasks)
    ticks += sum(int(line.fields[3]) for line in console.reports("swap"))
    return ticks * 1e6 / console.tick_hz


def _predicted_us(device: DeviceRecord, manifest: Manifest) -> dict[str, float]:
    """Return the predicted work of one run of every app, by unit of the device.

    Of the accelerator only the computation counts: loading and unloading are bus accesses of the CPU.
    """
    total: dict[str, float] = {}
    for app in manifest.apps:
        for term in app.predicted.terms:
            owner, _, unit = term.unit.partition(".")
            if owner == device.name and (unit != "accelerator" or term.task == "infer"):
                total[unit] = total.get(unit, 0.0) + term.duration_us
    return total
