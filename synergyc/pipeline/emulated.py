"""A build as emulated devices: its images on boards, joined by its links."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from synergyc.emulate.accelerator_port import AcceleratorModel
from synergyc.emulate.board import Board
from synergyc.emulate.elf import load_elf
from synergyc.emulate.radio import Channel
from synergyc.emulate.simulation import Simulation
from synergyc.emulate.wire import PacketFaults, Wire
from synergyc.manifest import LinkRecord, Manifest, checked_bytes
from synergyc.pipeline.scenario import Scenario
from synergyc.targets import load_board, load_medium


def simulation(
    folder: Path,
    manifest: Manifest,
    scenario: Scenario,
    accelerators: Mapping[str, AcceleratorModel] | None = None,
) -> Simulation:
    """Return the devices of a build, powered up and joined by links with the faults of ``scenario``.

    ``accelerators``, by device, take the place of the boards' own.
    """
    boards = []
    for device in manifest.devices:
        checked_bytes(folder, device.elf)
        image, accelerator = load_elf(folder / device.elf.path), (accelerators or {}).get(device.name)
        boards.append(Board(load_board(device.board), image, device.name, accelerator=accelerator))
    wires, channels = [], []
    for number, link in enumerate(manifest.links):
        if load_medium(link.medium).shared:
            channels.append(_channel(link, number, scenario))
        else:
            wires.append(_wire(link, number, scenario))
    return Simulation(boards, wires, channels)


def _wire(link: LinkRecord, number: int, scenario: Scenario) -> Wire:
    first, second = link.ends.items()
    one, two = (_faults(scenario, 2 * number + side) for side in (0, 1))
    delay_ps = round(scenario.delay_ms * 10**9)
    return Wire(first, second, link.rate_kbps * 1000, (one, two), delay_ps)


def _channel(link: LinkRecord, number: int, scenario: Scenario) -> Channel:
    medium = load_medium(link.medium)
    return Channel(
        ends=tuple(link.ends.items()),
        uart_bd=medium.uart_rate_kbps(link.rate_kbps) * 1000,
        rate_bps=link.rate_kbps * 1000,
        overhead_bytes=medium.air_overhead_bytes,
        faults=_faults(scenario, 2 * number),
        delay_ps=round(scenario.delay_ms * 10**9),
    )


def _faults(scenario: Scenario, number: int) -> PacketFaults | None:
    if not (scenario.loss or scenario.corrupt):
        return None
    return PacketFaults(scenario.seed * 1000 + number, scenario.loss, scenario.corrupt)
