"""From statistics and console lines of emulated devices to the outcome of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from synergyc.emulate.board import UnitStatistics
from synergyc.firmware.framing import ConsoleLine
from synergyc.manifest import AppRecord, DeviceRecord, Manifest
from synergyc.report.outcome import AppOutcome, DeviceOutcome, UnitOutcome
from synergyc.targets import load_chip


def app_outcome(
    app: AppRecord,
    *,
    runs: int,
    right: Sequence[bool],
    at_ns: Sequence[int],
    delivered: int,
    accuracy: Mapping[str, float] | None,
) -> AppOutcome:
    """Return the outcome of an app: ``right`` and ``at_ns`` for each reported result, in order.

    Throughput is that between the first and the last result, so that boot and the first run's way through
    the pipeline do not count. ``delivered`` is the number of different runs among the results: a run that is
    reported twice is wrong the second time.
    """
    twice = len(right) - delivered
    span_ns = at_ns[-1] - at_ns[0] if len(at_ns) > 1 else 0
    return AppOutcome(
        name=app.name,
        sent=runs,
        right=sum(right) - twice,
        wrong=len(right) - sum(right) + twice,
        dropped=runs - delivered,
        throughput_hz=(len(at_ns) - 1) * 1e9 / span_ns if span_ns else 0.0,
        predicted_throughput_hz=app.predicted.throughput_hz,
        predicted_latency_ms=app.predicted.latency_ms,
        accuracy=accuracy,
    )


def device_outcome(
    device: DeviceRecord,
    manifest: Manifest,
    before: UnitStatistics,
    after: UnitStatistics,
    lines: Sequence[ConsoleLine],
    runs: int,
) -> DeviceOutcome:
    """Return what ``device`` did between two statistics, and what its console ``lines`` say of it."""
    chip = load_chip(device.chip)
    elapsed_us = (after.elapsed_ps - before.elapsed_ps) / 1e6
    cycles = after.cpu_cycles - before.cpu_cycles - (after.cpu_sleep_cycles - before.cpu_sleep_cycles)
    spent_us = {
        "cpu": cycles * 1e6 / chip.clocks.cpu_hz,
        "accelerator": (after.accelerator_busy_ps - before.accelerator_busy_ps) / 1e6,
    }
    clocks_hz = {"cpu": chip.clocks.cpu_hz, "accelerator": chip.cnn.timing.inference_hz}
    for link in manifest.links:
        if device.name in link.ends:
            uart = link.ends[device.name]
            spent_us[link.name] = (after.uart_busy_ps[uart] - before.uart_busy_ps[uart]) / 1e6
    predicted_us = _predicted_us(device, manifest)
    units = tuple(
        UnitOutcome(
            device=device.name,
            unit=unit,
            predicted_us=predicted_us.get(unit, 0.0),
            emulated_us=spent / runs,
            busy=spent / elapsed_us if elapsed_us else 0.0,
            clock_hz=clocks_hz.get(unit),
        )
        for unit, spent in spent_us.items()
    )
    return DeviceOutcome(
        name=device.name,
        units=units,
        instructions=after.instructions,
        resent_frames=sum(int(line.fields[6]) for line in _reports(lines, "send")),
        stack_bytes=max((int(line.fields[1]) for line in _reports(lines, "stack")), default=0),
    )


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


def _reports(lines: Sequence[ConsoleLine], about: str) -> list[ConsoleLine]:
    """Return the statistics lines (kind S) about one thing."""
    return [line for line in lines if line.kind == "S" and line.fields[0] == about]
