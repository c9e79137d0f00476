"""What a report of a build shows: its manifest, the schedule played again, memory maps, an emulated run."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from synergyc.ir import store
from synergyc.ir.network import Network
from synergyc.manifest import DeviceRecord, Manifest, SegmentRecord, checked_bytes, read_manifest
from synergyc.pipeline.replacing import placed_segments
from synergyc.pipeline.run import RunOptions, run
from synergyc.plan.cost import CostModel
from synergyc.plan.problem import PlanApp, PlanDevice, PlanLink, PlanProblem
from synergyc.plan.space import Candidate
from synergyc.plan.timeline import schedule
from synergyc.plan.types import Schedule
from synergyc.report.html import Block, BuildReport, MemoryMap
from synergyc.synth.geometry import set_bits
from synergyc.synth.occupancy import weight_slots
from synergyc.synth.placed import PlacedNetwork
from synergyc.targets import Chip, link_medium, load_board, load_chip

_SHOWN_RUNS = 12
"""Runs of each app whose schedule is played."""


def build_report(folder: Path, runs: int) -> BuildReport:
    """Return what there is to say of the build in ``folder``; ``runs`` are emulated, 0: none.

    Raises SynergyError if the build is missing or damaged, or the run cannot be carried out.
    """
    manifest = read_manifest(folder)
    for device in manifest.devices:
        checked_bytes(folder, device.elf)
    networks = {}
    for app in manifest.apps:
        checked_bytes(folder, app.network)
        networks[app.name] = store.load(folder / app.network.path, Network)
    maps = tuple(item for device in manifest.devices for item in _memory_maps(device, networks))
    outcome = run(folder, RunOptions(runs)) if runs else None
    return BuildReport(manifest, _schedule(manifest, networks), maps, outcome)


def _schedule(manifest: Manifest, networks: dict[str, Network]) -> Schedule:
    """Play the plan that the manifest records."""
    devices = []
    for item in manifest.devices:
        board = load_board(item.board)
        devices.append(PlanDevice(item.name, load_chip(item.chip), console_bd=board.console_rate_bd))
    links = tuple(
        PlanLink(
            item.name,
            tuple(item.ends),
            link_medium(item.medium, secure=bool(item.secured)),
            item.rate_kbps,
        )
        for item in manifest.links
    )
    apps = tuple(
        PlanApp(
            app.name, app.sense["sensor"], app.interact["actuator"], rate_hz=_sensor_hz(manifest, app.name)
        )
        for app in manifest.apps
    )
    problem = PlanProblem(tuple(devices), links, apps, shared_accelerators=True)
    costings = [
        CostModel(problem, app, networks[app.name]).cost(_candidate(manifest, app.name, networks[app.name]))
        for app in apps
    ]
    return schedule(problem, costings, _SHOWN_RUNS)


def _sensor_hz(manifest: Manifest, app: str) -> float | None:
    """Return the sensor's rate as the plan's terms tell it: those of replicas are shares of its period."""
    record = next(item for item in manifest.apps if item.name == app)
    periods_us = [term.duration_us for term in record.predicted.terms if term.task == "sense"]
    return 1e6 / sum(periods_us) if periods_us else None


def _candidate(manifest: Manifest, name: str, network: Network) -> Candidate:
    app = next(item for item in manifest.apps if item.name == name)
    parts = sorted(
        (segment.first_layer, segment.last_layer, device.name, bool(device.loads), segment.residency)
        for device in manifest.devices
        for segment in device.segments
        if segment.app == name
    )
    if app.replicas:
        parts.sort(key=lambda part: app.replicas.index(part[2]))
    return Candidate(
        name,
        app.sense["on"],
        app.interact["on"],
        tuple(device for _, _, device, *_ in parts),
        () if app.replicas else tuple(last for _, last, *_ in parts[:-1]),
        len(network.layers),
        tuple(swapped for *_, swapped, _ in parts),
        replicated=bool(app.replicas),
        residency=tuple(number for *_, number in parts),
    )


def _memory_maps(device: DeviceRecord, networks: dict[str, Network]) -> Iterator[MemoryMap]:
    """Yield what lies in a device's memories: a map for each residency set."""
    chip = load_chip(device.chip)
    placed = placed_segments(device, networks, chip)
    for number in sorted({item.residency for item in device.segments}):
        segments = tuple(item for item in device.segments if item.residency == number)
        title = f"{device.name}, weights in set {number}" if device.loads else device.name
        yield _memory_map(title, chip, segments, placed)


def _memory_map(
    title: str, chip: Chip, segments: tuple[SegmentRecord, ...], placed: dict[str, PlacedNetwork]
) -> MemoryMap:
    cnn = chip.cnn
    weights: list[Block] = []
    data: list[Block] = []
    for record in segments:
        network = placed[record.name]
        for layer in network:
            label = f"{record.name}: {layer.layer.name}"
            if layer.stores_weights:
                slots = weight_slots(layer, cnn)
                span = (int(slots.min()), int(slots.max()) + 1)
                weights += [Block(record.name, label, row, *span) for row in set_bits(layer.processors)]
        data += _data_blocks(record.name, network, cnn.processors_per_instance)
    slots_limit = max(cnn.slots(processor) for processor in range(cnn.processors))
    return MemoryMap(
        title,
        chip.name,
        cnn.processors,
        slots_limit,
        cnn.instances,
        cnn.instance_bytes,
        tuple(weights),
        tuple(data),
    )


def _data_blocks(segment: str, network: PlacedNetwork, per_instance: int) -> Iterator[Block]:
    """Yield each layer's output in the memory instances that it lies in."""
    for layer in network:
        tensor = layer.layer.output
        processors = set_bits(layer.output_processors)
        passes = -(-tensor.shape[0] // len(processors))
        words = math.prod(tensor.shape[1:]) * passes * (4 if tensor.width_bits > 8 else 1)
        begin = layer.out_offset_bytes
        end = begin + 4 * words * (1 + layer.write_gap)
        for row in sorted({processor // per_instance for processor in processors}):
            yield Block(segment, f"{segment}: {tensor.name}", row, begin, end)
