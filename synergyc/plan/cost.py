"""The cost model: how long each unit works for one run of an app, and what follows from that.

docs/cost-model.md explains every term. A unit is ``DEVICE.cpu``, ``DEVICE.accelerator``, the sending side
of a wire ``DEVICE.LINK``, a shared channel ``LINK.channel``, or an app's sensor ``DEVICE.SENSOR/APP``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from synergyc.ir.network import Network
from synergyc.plan.cycles import START_CYCLES, layer_cycles, network_cycles, offset_matters
from synergyc.plan.energy import bus_energy_uj, layer_energy_uj, running_energy_uj
from synergyc.plan.layout import WORD_BYTES, travel_bytes
from synergyc.plan.problem import PlanApp, PlanLink, PlanProblem
from synergyc.plan.space import Candidate
from synergyc.plan.types import AppPlan, HandOff, Prediction, Segment, Term
from synergyc.targets import Chip, transfer_us


@dataclass(frozen=True)
class Work:
    """One piece of work of a run: it occupies all ``units`` at once for ``duration_us``.

    ``latency_us`` is what it adds to the way from sensor to actuator; less than its duration where it
    overlaps with what comes next.
    """

    task: str
    units: tuple[str, ...]
    duration_us: float
    latency_us: float
    source: str
    energy_uj: float = 0.0


@dataclass(frozen=True)
class Costing:
    """A candidate with its hand-offs, the work of one run in order, and cycles by segment name."""

    candidate: Candidate
    hand_offs: tuple[HandOff, ...]
    work: tuple[Work, ...]
    cycles: Mapping[str, int]


@dataclass(frozen=True)
class LayerCost:
    """What a layer takes on a chip; ``exact`` unless its cycles depend on where its kernels lie."""

    cycles: int
    energy_uj: float
    exact: bool


@dataclass(frozen=True)
class SegmentCost:
    """What one run of a segment's inference takes on a chip."""

    cycles: int
    infer_us: float
    energy_uj: float


@dataclass(frozen=True)
class CostModel:
    """Costs of one app's candidates. Layers and segments are counted once for each chip."""

    problem: PlanProblem
    app: PlanApp
    network: Network
    _costs: dict[tuple[int, int, str], SegmentCost] = field(default_factory=dict, repr=False, compare=False)
    _layers: dict[str, tuple[LayerCost, ...]] = field(default_factory=dict, repr=False, compare=False)

    def cost(self, candidate: Candidate) -> Costing:
        """Return hand-offs and work of ``candidate``."""
        work: list[Work] = []
        hand_offs: list[HandOff] = []
        cycles: dict[str, int] = {}
        if self.app.rate_hz is not None:
            unit = f"{candidate.sense_device}.{self.app.sensor}/{self.app.name}"
            work.append(Work("sense", (unit,), 1e6 / self.app.rate_hz, 0.0, "app file: sense.rate_hz"))
        place = candidate.sense_device
        for segment in candidate.segments:
            tensors = self.boundary(segment.first - 1)
            if place != segment.device:
                hand_offs.append(self._hand_off(len(hand_offs), place, segment.device, tensors))
                work += self._transfer(hand_offs[-1])
            cost = self.segment_cost(segment.first, segment.last, self.problem.device(segment.device).chip)
            cycles[segment.name] = cost.cycles
            work += self._inference(segment, tensors, cost)
            place = segment.device
        if place != candidate.interact_device:
            hand_offs.append(
                self._hand_off(len(hand_offs), place, candidate.interact_device, self.network.outputs)
            )
            work += self._transfer(hand_offs[-1])
        return Costing(candidate, tuple(hand_offs), tuple(work), cycles)

    def boundary(self, last: int) -> tuple[str, ...]:
        """Return the tensors that cross after layer ``last``: -1 the inputs, the last layer the outputs."""
        if last < 0:
            return tuple(tensor.name for tensor in self.network.inputs)
        if last == len(self.network.layers) - 1:
            return self.network.outputs
        return self.network.live_after(last)

    def size_bytes(self, tensors: Sequence[str], chip: Chip) -> int:
        """Return the bytes of ``tensors`` as they travel from ``chip``."""
        return sum(travel_bytes(self.network.tensor(name), chip.cnn) for name in tensors)

    def segment_cost(self, first: int, last: int, chip: Chip) -> SegmentCost:
        """Return what inference of layers ``first`` to ``last`` (inclusive) takes on ``chip``."""
        key = (first, last, chip.name)
        if key not in self._costs:
            layers = self._layer_costs(chip)[first : last + 1]
            cycles = START_CYCLES + sum(layer.cycles for layer in layers)
            if not all(layer.exact for layer in layers):
                cycles = network_cycles(self.network.segment(first, last), chip)
            infer_us = cycles * 1e6 / chip.cnn.timing.inference_hz
            energy_uj = running_energy_uj(infer_us, chip) + sum(layer.energy_uj for layer in layers)
            self._costs[key] = SegmentCost(cycles, infer_us, energy_uj)
        return self._costs[key]

    def _layer_costs(self, chip: Chip) -> tuple[LayerCost, ...]:
        if chip.name not in self._layers:
            self._layers[chip.name] = tuple(
                LayerCost(
                    layer_cycles(layer, chip), layer_energy_uj(layer, chip), not offset_matters(layer, chip)
                )
                for layer in self.network.layers
            )
        return self._layers[chip.name]

    def _hand_off(self, index: int, source: str, target: str, tensors: tuple[str, ...]) -> HandOff:
        chip = self.problem.device(source).chip
        link = self._link(source, target)
        return HandOff(
            self.app.name, index, source, target, link.name, tensors, self.size_bytes(tensors, chip)
        )

    def _link(self, source: str, target: str) -> PlanLink:
        link = self.problem.link(source, target)
        if link is None:
            raise ValueError(f"candidate must only use links that exist, not {source} -> {target}")
        return link

    def _inference(self, segment: Segment, tensors: tuple[str, ...], cost: SegmentCost) -> Iterator[Work]:
        """Yield load, start, infer and unload: the accelerator holds one run's data from load to unload."""
        chip = self.problem.device(segment.device).chip
        timing, both = chip.cnn.timing, _accelerator_and_cpu(segment.device)
        words_source = f"formula: words x word_ns of {chip.name}.yaml"
        words = self.size_bytes(tensors, chip) / WORD_BYTES
        load_us = words * timing.word_ns / 1000
        yield Work("load", both, load_us, load_us, words_source, bus_energy_uj(words, chip))
        start_us = timing.start_overhead_ns / 1000
        yield Work("start", both, start_us, start_us, f"assumed: start_overhead_ns of {chip.name}.yaml")
        infer_us = cost.infer_us
        yield Work("infer", both[:1], infer_us, infer_us, "formula: accelerator cycles", cost.energy_uj)
        words = self.size_bytes(self.boundary(segment.last), chip) / WORD_BYTES
        unload_us = words * timing.word_ns / 1000
        yield Work("unload", both, unload_us, unload_us, words_source, bus_energy_uj(words, chip))

    def _transfer(self, hand_off: HandOff) -> Iterator[Work]:
        """Yield send, transfer and receive, with frames pipelined.

        The slowest of the three adds all its frames to the latency, the others their first or last one.
        """
        link = self._link(hand_off.source, hand_off.target)
        medium = link.medium
        frames = -(-hand_off.size_bytes // medium.mtu_bytes)
        wire_bytes = hand_off.size_bytes + frames * medium.frame_overhead_bytes
        wire_us = transfer_us(wire_bytes, link.rate_kbps, medium.bits_per_byte)
        cpu_us = wire_bytes * medium.cpu_ns_per_byte / 1000
        frame_us = cpu_us / frames
        cpu_source = f"assumed: cpu_ns_per_byte of {medium.name}.yaml"
        yield Work("send", (f"{hand_off.source}.cpu",), cpu_us, frame_us, cpu_source)
        source = f"formula: bits of {frames} frames / rate"
        energy_uj = wire_us * (medium.send_mw + medium.receive_mw) / 1000
        unit = link_unit(link, hand_off.source)
        yield Work("transfer", (unit,), wire_us, max(wire_us, cpu_us), source, energy_uj)
        yield Work("receive", (f"{hand_off.target}.cpu",), cpu_us, frame_us, cpu_source)


def link_unit(link: PlanLink, source: str) -> str:
    """Return the unit that ``source`` occupies when it sends over ``link``."""
    wire = link.medium.full_duplex and not link.medium.shared
    return f"{source}.{link.name}" if wire else f"{link.name}.channel"


def app_plans(costings: Sequence[Costing]) -> tuple[AppPlan, ...]:
    """Return the plans, with predictions, of apps that run together in the steady state.

    Every unit serves the apps in turn, one run of each; an app's period is the time of the busiest unit
    that it uses. Latency is that of a run that waits for no other.
    """
    busy_us: defaultdict[str, float] = defaultdict(float)
    for costing in costings:
        for work in costing.work:
            for unit in work.units:
                busy_us[unit] += work.duration_us
    return tuple(_app_plan(costing, busy_us) for costing in costings)


def _app_plan(costing: Costing, busy_us: Mapping[str, float]) -> AppPlan:
    candidate = costing.candidate
    terms = tuple(
        Term(unit, work.task, work.duration_us, work.source, 0.0 if i else work.energy_uj)
        for work in costing.work
        for i, unit in enumerate(work.units)
    )
    bottleneck = max((term.unit for term in terms), key=lambda unit: busy_us[unit])
    predicted = Prediction(
        throughput_hz=1e6 / busy_us[bottleneck],
        latency_ms=sum(work.latency_us for work in costing.work) / 1000,
        bottleneck=bottleneck,
        cycles=costing.cycles,
        terms=terms,
        energy_uj=sum(work.energy_uj for work in costing.work),
    )
    return AppPlan(
        candidate.app,
        candidate.sense_device,
        candidate.interact_device,
        candidate.segments,
        costing.hand_offs,
        predicted,
    )


def _accelerator_and_cpu(device: str) -> tuple[str, str]:
    return f"{device}.accelerator", f"{device}.cpu"
