"""Flash and RAM that a plan takes of each device at least, and what stands against it.

Queues are those of ``firmware.assign``, each of one tensor: what ``firmware.sizing`` comes down to where
RAM is short. Code counts only as far as every image has it. So what is refused here cannot be built; what
is not may still miss the linker's limits by a few KiB.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from synergyc.diagnostics import Diagnostic
from synergyc.ir.network import Network
from synergyc.plan.cost import CostModel, weight_bytes
from synergyc.plan.layout import WORD_BYTES, least_input_bytes
from synergyc.plan.problem import PlanDevice, PlanProblem
from synergyc.plan.space import Candidate
from synergyc.plan.types import Segment
from synergyc.targets import load_runtime

_RINGS = 2
"""Buffers of a UART that drives a link: out and in."""


@dataclass
class Need:
    """What an app takes of one device: tensors in queues, weights and a sample in flash, links by name."""

    tensor_bytes: int = 0
    weight_bytes: int = 0
    sample_bytes: int = 0
    swaps: bool = False
    """Whether its weights are loaded from flash during runs."""
    links: set[str] = field(default_factory=set)


def needs_of(model: CostModel, candidate: Candidate) -> dict[str, Need]:
    """Return what ``candidate`` takes of each device that has a part in it."""
    found: defaultdict[str, Need] = defaultdict(Need)
    segments = candidate.segments
    for lane in [(item,) for item in segments] if candidate.replicated else [segments]:
        _add_lane(found, model, candidate, lane)
    network = model.network
    if network.tail:
        found[candidate.interact_device].tensor_bytes += WORD_BYTES * math.prod(network.result.shape)
    if not model.app.prepares:
        found[candidate.sense_device].sample_bytes = _crossing_bytes(model, candidate.sense_device, -1)
    return dict(found)


def _add_lane(
    found: defaultdict[str, Need], model: CostModel, candidate: Candidate, lane: Sequence[Segment]
) -> None:
    """Add the queues, weights and links of one chain from the sensor to the result."""
    problem, network = model.problem, model.network
    stations = [candidate.sense_device, *(segment.device for segment in lane), candidate.interact_device]
    bounds = [lane[0].first - 1, *(segment.last for segment in lane)]
    crossing_bytes = [
        _crossing_bytes(model, device, bound) for bound, device in zip(bounds, stations, strict=False)
    ]
    if model.app.prepares:  # the driver writes samples to a queue; those in flash need none
        found[stations[0]].tensor_bytes += crossing_bytes[0]
    for size_bytes, (source, target) in zip(crossing_bytes, pairwise(stations), strict=True):
        link = problem.link(source, target) if source != target else None
        if link is not None:
            found[source].links.add(link.name)
            found[target].links.add(link.name)
            found[target].tensor_bytes += size_bytes
    for segment, size_bytes in zip(lane, crossing_bytes[1:], strict=True):
        need = found[segment.device]
        need.weight_bytes += weight_bytes(network.layers[segment.first : segment.last + 1])
        need.swaps |= segment.swapped
        shown = segment is lane[-1] and segment.device == candidate.interact_device
        if not (shown and not network.tail and not candidate.replicated):  # it may stay in the accelerator
            need.tensor_bytes += size_bytes


def _crossing_bytes(model: CostModel, device: str, last: int) -> int:
    """Return the bytes of what crosses after layer ``last``, -1 the input, at least."""
    cnn = model.problem.device(device).chip.cnn
    if last < 0:
        return sum(least_input_bytes(tensor, cnn) for tensor in model.network.inputs)
    return model.size_bytes(model.boundary(last), model.problem.device(device).chip)


@dataclass(frozen=True)
class Memories:
    """Compares what candidates take of devices with what these have; each one's needs are counted once.

    What every plan is held to is the flash of devices that swap weights; the rest, where the problem says so.
    """

    problem: PlanProblem
    networks: Mapping[str, Network]
    _needs: dict[Candidate, Mapping[str, Need]] = field(default_factory=dict)
    _models: dict[str, CostModel] = field(default_factory=dict)

    def hold(self, candidates: Sequence[Candidate]) -> bool:
        """Return whether devices have room for all ``candidates`` at once."""
        return next(self.reasons(candidates), None) is None

    def reasons(self, candidates: Sequence[Candidate]) -> Iterator[Diagnostic]:
        """Yield what stands against ``candidates`` together, device by device."""
        limited = self.problem.device_memories
        if not limited and not any(any(candidate.swapped) for candidate in candidates):
            return
        parts: defaultdict[str, dict[str, Need]] = defaultdict(dict)
        for candidate in candidates:
            for name, need in self._needs_of(candidate).items():
                parts[name][candidate.app] = need
        for device in self.problem.devices:
            needs = parts.get(device.name, {})
            if limited or any(need.swaps for need in needs.values()):
                yield from _flash(device, needs)
            if limited:
                yield from self._ram(device, needs)

    def _needs_of(self, candidate: Candidate) -> Mapping[str, Need]:
        if candidate not in self._needs:
            self._needs[candidate] = needs_of(self._model(candidate.app), candidate)
        return self._needs[candidate]

    def _model(self, name: str) -> CostModel:
        if name not in self._models:
            app = next(item for item in self.problem.apps if item.name == name)
            self._models[name] = CostModel(self.problem, app, self.networks[name])
        return self._models[name]

    def _ram(self, device: PlanDevice, needs: Mapping[str, Need]) -> Iterator[Diagnostic]:
        waiting = {app: need.tensor_bytes for app, need in needs.items() if need.tensor_bytes}
        links = {name for need in needs.values() for name in need.links}
        buffers = sum(_RINGS * link.medium.ring_bytes for link in self.problem.links if link.name in links)
        room_bytes = device.chip.sram.size_bytes - load_runtime().ram_least_bytes - buffers
        if sum(waiting.values()) > room_bytes:
            yield Diagnostic(
                "device-ram",
                f"device {device.name!r}: tensors of {_names(waiting)} that wait there must fit its RAM,"
                " beside the stack and buffers of links",
                need=f"{sum(waiting.values()):,} bytes",
                have=f"{room_bytes:,} bytes",
                hint="cut where less crosses (pin), sense.on the device that infers, or forbid this one",
            )


def _flash(device: PlanDevice, needs: Mapping[str, Need]) -> Iterator[Diagnostic]:
    runtime = load_runtime()
    swaps = any(need.swaps for need in needs.values())
    code_bytes = runtime.flash_reserve_bytes if swaps else runtime.flash_least_bytes
    taken = {app: need.weight_bytes + need.sample_bytes for app, need in needs.items()}
    room_bytes = device.chip.flash.size_bytes - code_bytes
    if sum(taken.values()) > room_bytes:
        yield Diagnostic(
            "flash-weights",
            f"device {device.name!r}: weights and samples of {_names(taken)} must fit its flash, beside code",
            need=f"{sum(taken.values()):,} bytes",
            have=f"{room_bytes:,} bytes",
            hint="narrower weights (quantize: bits), sense.on another device, or forbid this one",
        )


def _names(parts: Mapping[str, int]) -> str:
    """Return the apps that take most, first."""
    return ", ".join(repr(app) for app in sorted(parts, key=lambda app: -parts[app]))
