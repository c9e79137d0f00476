"""From statistics, console lines and sense logs of emulated devices to the outcome of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from synergyc.emulate.board import UnitStatistics
from synergyc.manifest import AppRecord, DeviceRecord, LinkRecord, Manifest
from synergyc.pipeline.consoles import ConsoleReader, SenseReader
from synergyc.pipeline.expectation import Expected, accuracies, is_right
from synergyc.pipeline.scenario import Scenario
from synergyc.report.outcome import AppOutcome, DeviceOutcome, Latency, RunOutcome, UnitOutcome
from synergyc.targets import Chip, load_chip, load_medium

_PS_PER_US = 10**6


@dataclass(frozen=True)
class Window:
    """Statistics of all devices: when sensing began, at the first result, and at the last one."""

    begun: Mapping[str, UnitStatistics]
    steady: Mapping[str, UnitStatistics]
    done: Mapping[str, UnitStatistics]


@dataclass(frozen=True)
class _Result:
    """A result as a console shows it."""

    run: int
    at_ns: int
    content: str


def run_outcome(
    manifest: Manifest,
    expected: Mapping[str, Expected],
    consoles: Mapping[str, ConsoleReader],
    senses: Mapping[str, SenseReader],
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
            list(_results(app, consoles[app.interact["on"]])),
            senses[app.name],
            sequential=sequential,
        )
        for app in manifest.apps
    )
    rounds = max((app.sent for app in apps), default=1) or 1
    devices = tuple(
        _device_outcome(device, manifest, window, consoles[device.name], rounds)
        for device in manifest.devices
    )
    return RunOutcome(apps, devices, virtual_s, sequential=sequential, disturbed=scenario.disturbs)


def _results(app: AppRecord, console: ConsoleReader) -> Iterator[_Result]:
    for item in console.lines:
        if item.line.kind == "R" and item.line.fields[0] == app.name:
            yield _Result(int(item.line.fields[1]), item.at_ns, item.line.fields[2])


def _app_outcome(
    app: AppRecord,
    expected: Expected,
    results: Sequence[_Result],
    sense: SenseReader,
    *,
    sequential: bool,
) -> AppOutcome:
    """Judge every result: wrong is also one that was never sensed, or was delivered before."""
    delivered: Counter[int] = Counter()
    right = 0
    hits: list[bool] = []
    latencies_ns: list[int] = []
    for item in results:
        good, values = is_right(item.content, item.run, expected)
        began_ns = sense.sensed_before(item.run, item.at_ns)
        delivered[item.run] += 1
        fresh = delivered[item.run] <= max(1, len(sense.times_ns.get(item.run, ())))
        right += good and fresh
        if began_ns is not None:
            latencies_ns.append(item.at_ns - began_ns)
        if expected.labels is not None and values is not None:
            hits.append(int(np.argmax(values)) == int(expected.labels[expected.index(item.run)]))
    sent = sense.sensed
    span_ns = sum(latencies_ns) if sequential else (results[-1].at_ns - results[0].at_ns if results else 0)
    counted = len(latencies_ns) if sequential else len(results) - 1
    return AppOutcome(
        name=app.name,
        sent=sent,
        right=right,
        wrong=len(results) - right,
        dropped=max(0, sent - len(results)),
        throughput_hz=counted * 1e9 / span_ns if span_ns else 0.0,
        latency=_latency(latencies_ns),
        predicted_throughput_hz=app.predicted.throughput_hz,
        predicted_latency_ms=app.predicted.latency_ms,
        accuracy=accuracies(expected, hits),
    )


def _latency(latencies_ns: Sequence[int]) -> Latency | None:
    if not latencies_ns:
        return None
    values = np.asarray(latencies_ns) / 1e6
    p50, p95 = (float(np.percentile(values, share, method="higher")) for share in (50, 95))
    return Latency(p50, p95, float(values.max()), float(values.mean()))


def _device_outcome(
    device: DeviceRecord, manifest: Manifest, window: Window, console: ConsoleReader, rounds: int
) -> DeviceOutcome:
    chip = load_chip(device.chip)
    name = device.name
    work_us = _spent_us(device, manifest, chip, window.begun[name], window.done[name])
    steady_us = _spent_us(device, manifest, chip, window.steady[name], window.done[name])
    steady_ps = window.done[name].elapsed_ps - window.steady[name].elapsed_ps
    predicted_us = _predicted_us(device, manifest)
    channels = {link.name for link in manifest.links if load_medium(link.medium).shared}
    clocks_hz = {"cpu": chip.clocks.cpu_hz, "accelerator": chip.cnn.timing.inference_hz}
    units = tuple(
        UnitOutcome(
            device=name,
            unit=unit,
            predicted_us=predicted_us.get(unit, 0.0),
            emulated_us=spent / rounds,
            busy=min(1.0, steady_us[unit] * _PS_PER_US / steady_ps) if steady_ps > 0 else 0.0,
            clock_hz=clocks_hz.get(unit),
            shared=unit in channels,
        )
        for unit, spent in work_us.items()
    )
    memory = console.reports("memory")
    sends, links = console.reports("send"), console.reports("link")
    return DeviceOutcome(
        name=name,
        units=units,
        instructions=window.done[name].instructions,
        sent_frames=sum(int(line.fields[5]) for line in sends),
        resent_frames=sum(int(line.fields[6]) for line in sends),
        dropped_tensors=sum(int(line.fields[4]) for line in sends),
        lost_peers=sum(int(line.fields[2]) for line in links),
        boots=console.counts["B"],
        stack_bytes=int(memory[-1].fields[1]) if memory else 0,
        ram_bytes=int(memory[-1].fields[3]) if memory else 0,
    )


def _spent_us(
    device: DeviceRecord, manifest: Manifest, chip: Chip, before: UnitStatistics, after: UnitStatistics
) -> dict[str, float]:
    """Return the time that each unit worked between two statistics; of a link what the device sends."""
    cycles = after.cpu_cycles - before.cpu_cycles - (after.cpu_sleep_cycles - before.cpu_sleep_cycles)
    spent = {
        "cpu": cycles * 1e6 / chip.clocks.cpu_hz,
        "accelerator": (after.accelerator_busy_ps - before.accelerator_busy_ps) / _PS_PER_US,
    }
    for link in manifest.links:
        if device.name in link.ends:
            uart = link.ends[device.name]
            sent = after.uart_busy_ps[uart] - before.uart_busy_ps[uart]
            spent[link.name] = sent / _PS_PER_US * _air_share(link)
    return spent


def _air_share(link: LinkRecord) -> float:
    """Return the time on air for time on the UART: of full frames, where a radio module is between."""
    medium = load_medium(link.medium)
    if not medium.shared:
        return 1.0
    frame_bytes = medium.mtu_bytes + medium.frame_overhead_bytes
    uart_bytes = frame_bytes - medium.air_overhead_bytes
    uart_bits = 10 * uart_bytes / medium.uart_rate_kbps(link.rate_kbps)
    return medium.bits_per_byte * frame_bytes / link.rate_kbps / uart_bits


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
