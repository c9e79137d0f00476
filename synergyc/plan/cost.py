"""The cost model: how long each unit works for one run of an app, and what follows from that.

docs/cost-model.md explains every term. A unit is ``DEVICE.cpu``, ``DEVICE.accelerator``, the sending side
of a wire ``DEVICE.LINK``, a shared channel ``LINK.channel``, a ``DEVICE.console``, or an app's sensor
``DEVICE.SENSOR/APP``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from synergyc.ir.network import Layer, Network, Tensor
from synergyc.plan.costing import Costing, Work
from synergyc.plan.cpu_work import CONSOLE_BITS, prepare_cycles, result_characters, result_cycles, tail_cycles
from synergyc.plan.cycles import START_CYCLES, layer_cycles, network_cycles, offset_matters
from synergyc.plan.energy import bus_energy_uj, layer_energy_uj, running_energy_uj
from synergyc.plan.layout import WORD_BYTES, region_count, travel_bytes
from synergyc.plan.placed import Moves
from synergyc.plan.problem import PlanApp, PlanLink, PlanProblem
from synergyc.plan.space import Candidate
from synergyc.plan.transfer import transfer_cost
from synergyc.plan.types import Basis, HandOff, Segment
from synergyc.targets import Chip, Cnn, load_runtime


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
    weights_us: float
    """Loading its weights."""


@dataclass(frozen=True)
class CostModel:
    """Costs of one app's candidates. Layers and segments are counted once for each chip.

    ``input_bytes``: the network's input as it is placed, where that is known. It may lie by channels, which
    takes less than word by word.
    """

    problem: PlanProblem
    app: PlanApp
    network: Network
    input_bytes: int | None = None
    _costs: dict[tuple[int, int, str], SegmentCost] = field(default_factory=dict, repr=False, compare=False)
    _layers: dict[str, tuple[LayerCost, ...]] = field(default_factory=dict, repr=False, compare=False)

    def cost(self, candidate: Candidate, way: Sequence[HandOff] = ()) -> Costing:
        """Return hand-offs and work of ``candidate``, of replicas the mean over the devices.

        ``way``: the hand-offs in order where they lead over relays; their tensors and sizes are not read.
        """
        if candidate.replicated:
            return self._replicas(candidate)
        steps = list(way)
        passed_bytes: dict[str, int] = {}
        moves: dict[str, tuple[Moves, Moves]] = {}
        work: list[Work] = []
        hand_offs: list[HandOff] = []
        cycles: dict[str, int] = {}
        weights_us: dict[str, float] = {}
        if self.app.rate_hz is not None:
            unit = f"{candidate.sense_device}.{self.app.sensor}/{self.app.name}"
            period_us = 1e6 / self.app.rate_hz
            work.append(Work("sense", (unit,), period_us, 0.0, "app file: sense.rate_hz", "given"))
        work += self._prepare(candidate)
        place = candidate.sense_device
        for segment in candidate.segments:
            tensors = self.boundary(segment.first - 1)
            for hand_off in self._hops(place, segment.device, tensors, steps):
                hand_offs.append(replace(hand_off, index=len(hand_offs)))
                work += self._transfer(hand_off)
            cost = self.segment_cost(segment.first, segment.last, self.problem.device(segment.device).chip)
            cycles[segment.name] = cost.cycles
            weights_us[segment.name] = cost.weights_us
            inference = self._inference(segment, cost)
            passed_bytes[segment.name] = self._passed_bytes(segment)
            moves[segment.name] = self._moves(segment)
            work += [replace(item, segment=segment.name) for item in inference]
            place = segment.device
        for hand_off in self._hops(place, candidate.interact_device, self.network.outputs, steps):
            hand_offs.append(replace(hand_off, index=len(hand_offs)))
            work += self._transfer(hand_off)
        work += self._tail(candidate)
        work += self._report(candidate)
        result_bytes = self.result_bytes(candidate.devices[-1])
        return Costing(
            candidate,
            tuple(hand_offs),
            tuple(work),
            cycles,
            result_bytes,
            weights_us,
            passed_bytes,
            moves,
        )

    def _replicas(self, candidate: Candidate) -> Costing:
        """Return the mean of the work of the devices, which take the runs in turn, also of latency."""
        share = 1 / len(candidate.devices)
        work: list[Work] = []
        hand_offs: list[HandOff] = []
        cycles: dict[str, int] = {}
        weights_us: dict[str, float] = {}
        moves: dict[str, tuple[Moves, Moves]] = {}
        for segment in candidate.segments:
            alone = replace(candidate, devices=(segment.device,), replicated=False)
            costing = self.cost(alone)
            cycles[segment.name] = next(iter(costing.cycles.values()))
            weights_us[segment.name] = next(iter(costing.weights_us.values()))
            moves[segment.name] = next(iter(costing.moves.values()))
            hand_offs += [replace(item, index=len(hand_offs) + i) for i, item in enumerate(costing.hand_offs)]
            work += [
                replace(
                    item,
                    duration_us=share * item.duration_us,
                    latency_us=share * item.latency_us,
                    energy_uj=share * item.energy_uj,
                    segment=segment.name if item.segment else "",
                )
                for item in costing.work
            ]
        result_bytes = self.result_bytes(candidate.devices[-1])
        return Costing(
            candidate, tuple(hand_offs), tuple(work), cycles, result_bytes, weights_us, moves=moves
        )

    def boundary(self, last: int) -> tuple[str, ...]:
        """Return the tensors that cross after layer ``last``: -1 the inputs, the last layer the outputs."""
        if last < 0:
            return tuple(tensor.name for tensor in self.network.inputs)
        if last == len(self.network.layers) - 1:
            return self.network.outputs
        return self.network.live_after(last)

    def size_bytes(self, tensors: Sequence[str], chip: Chip) -> int:
        """Return the bytes of ``tensors`` as they travel from ``chip``."""
        return sum(self._tensor_bytes(name, chip) for name in tensors)

    def _tensor_bytes(self, name: str, chip: Chip) -> int:
        if self.input_bytes is not None and name == self.network.inputs[0].name:
            return self.input_bytes
        return travel_bytes(self.network.tensor(name), chip.cnn)

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
            size_bytes = weight_bytes(self.network.layers[first : last + 1])
            weights_us = size_bytes * chip.cnn.timing.weight_byte_ns / 1000
            self._costs[key] = SegmentCost(cycles, infer_us, energy_uj, weights_us)
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

    def _hops(
        self, place: str, target: str, tensors: tuple[str, ...], steps: list[HandOff]
    ) -> Iterator[HandOff]:
        """Yield the hand-offs from ``place`` to ``target``: the next of ``steps``, or a direct one."""
        while place != target:
            to = steps.pop(0).target if steps else target
            link = self._link(place, to)
            size_bytes = self.size_bytes(tensors, self.problem.device(place).chip)
            yield HandOff(self.app.name, 0, place, to, link.name, tensors, size_bytes)
            place = to

    def _link(self, source: str, target: str) -> PlanLink:
        link = self.problem.link(source, target)
        if link is None:
            raise ValueError(f"candidate must only use links that exist, not {source} -> {target}")
        return link

    def moved_bytes(self, first: int, last: int, chip: Chip) -> tuple[int, int]:
        """Return the bytes that layers ``first`` to ``last`` read from their queue, and that they give."""
        part = self.network.segment(first, last)
        inputs = tuple(tensor.name for tensor in part.inputs)
        return self.size_bytes(inputs, chip), self.size_bytes(part.outputs, chip)

    def _passed_bytes(self, segment: Segment) -> int:
        """Return the bytes that a later segment needs and this one does not make."""
        chip = self.problem.device(segment.device).chip
        made = {layer.output.name for layer in self.network.layers[segment.first : segment.last + 1]}
        return self.size_bytes([name for name in self.boundary(segment.last) if name not in made], chip)

    def _moves(self, segment: Segment) -> tuple[Moves, Moves]:
        """Return how the input of a segment is copied, and its result."""
        cnn = self.problem.device(segment.device).chip.cnn
        part = self.network.segment(segment.first, segment.last)
        results = [self.network.tensor(name) for name in part.outputs]
        return _moves_of(part.inputs, cnn), _moves_of(results, cnn)

    def _inference(self, segment: Segment, cost: SegmentCost) -> Iterator[Work]:
        """Yield load, start, infer and unload: the accelerator holds one run's data from load to unload."""
        chip = self.problem.device(segment.device).chip
        timing, both = chip.cnn.timing, _accelerator_and_cpu(segment.device)
        if segment.swapped:
            size_bytes = weight_bytes(self.network.layers[segment.first : segment.last + 1])
            source = f"weight bytes x weight_byte_ns of {chip.name}.yaml"
            energy_uj = bus_energy_uj(size_bytes / WORD_BYTES, chip)
            yield Work("weights", both, cost.weights_us, cost.weights_us, source, *_words(chip, energy_uj))
        loaded_bytes, unloaded_bytes = self.moved_bytes(segment.first, segment.last, chip)
        yield self._move("load", both, loaded_bytes, chip)
        start_us = timing.start_overhead_ns / 1000
        start_source = f"start_overhead_ns of {chip.name}.yaml"
        yield Work("start", both, start_us, start_us, start_source, _measured(chip))
        poll_us = load_runtime().infer_cycles * 1e6 / chip.clocks.cpu_hz
        yield Work("poll", both[1:], poll_us, 0.0, "infer_cycles of runtime.yaml", "emulated")
        yield Work(
            "infer",
            both[:1],
            cost.infer_us,
            cost.infer_us,
            "accelerator cycles / inference_hz",
            "formula",
            cost.energy_uj,
            timing.infer_error,
        )
        yield self._move("unload", both, unloaded_bytes, chip)

    def _move(self, task: str, units: tuple[str, ...], size_bytes: int, chip: Chip) -> Work:
        words = size_bytes / WORD_BYTES
        move_us = words * chip.cnn.timing.word_ns / 1000
        source = f"words x word_ns of {chip.name}.yaml"
        return Work(task, units, move_us, move_us, source, *_words(chip, bus_energy_uj(words, chip)))

    def _transfer(self, hand_off: HandOff) -> Iterator[Work]:
        """Yield send, transfer, answer and receive, with frames pipelined (``synergyc.plan.transfer``)."""
        link = self._link(hand_off.source, hand_off.target)
        medium = link.medium
        chips = (self.problem.device(hand_off.source).chip, self.problem.device(hand_off.target).chip)
        cost = transfer_cost(hand_off.size_bytes, link, *chips)
        frames = float(cost.frames)
        source = f"cpu of {medium.name}.yaml"
        send_us, receive_us = float(cost.send_us), float(cost.receive_us)
        yield Work(
            "send",
            (f"{hand_off.source}.cpu",),
            send_us,
            float(cost.begin_us),
            source,
            "emulated",
            float(cost.sender_uj),
        )
        unit, back = link_unit(link, hand_off.source), link_unit(link, hand_off.target)
        wire = f"bits of {frames:.0f} frames / rate"
        flow_us = float(cost.flow_us)
        yield Work("transfer", (unit,), flow_us, flow_us + float(cost.hop_us), wire, "formula", error=0.0)
        answers = "bits of the acknowledgements / rate"
        yield Work("answer", (back,), float(cost.answers_us), 0.0, answers, "formula", error=0.0)
        yield Work(
            "receive",
            (f"{hand_off.target}.cpu",),
            receive_us,
            float(cost.decode_us),
            source,
            "emulated",
            float(cost.receiver_uj),
        )

    def prepare_us(self, device: str) -> float:
        """Return what ``device`` does with a sample that comes in the sensor's own shape."""
        if not self.app.prepares:
            return 0.0
        source = self.network.preparation
        shape = self.network.inputs[0].shape if source is None else source.source_shape
        reads_bytes = source is not None and source.reads_bytes
        return (
            prepare_cycles(shape, reads_bytes=reads_bytes)
            * 1e6
            / self.problem.device(device).chip.clocks.cpu_hz
        )

    def tail_us(self, device: str) -> float:
        """Return what the work behind the network takes on the CPU of ``device``."""
        return tail_cycles(self.network) * 1e6 / self.problem.device(device).chip.clocks.cpu_hz

    def _prepare(self, candidate: Candidate) -> Iterator[Work]:
        """Yield what the device that senses does with a sample in the sensor's own shape."""
        prepare_us, unit = self.prepare_us(candidate.sense_device), f"{candidate.sense_device}.cpu"
        if prepare_us:
            text = "prepare_*_cycles of runtime.yaml"
            yield Work("prepare", (unit,), prepare_us, prepare_us, text, "emulated")

    def _tail(self, candidate: Candidate) -> Iterator[Work]:
        """Yield the CPU's work behind the network, on the device that interacts."""
        tail_us, unit = self.tail_us(candidate.interact_device), f"{candidate.interact_device}.cpu"
        if tail_us:
            yield Work("tail", (unit,), tail_us, tail_us, "tail_cycles of runtime.yaml", "emulated")

    def result_bytes(self, last: str) -> int:
        """Return the bytes of a result as it is reported, if device ``last`` runs the last segment."""
        if self.network.tail:
            return self.network.result.size_bytes
        return self.size_bytes(self.network.outputs, self.problem.device(last).chip)

    def _report(self, candidate: Candidate) -> Iterator[Work]:
        """Yield what reporting the result on the console takes; it is there when its line begins."""
        device = self.problem.device(candidate.interact_device)
        if device.console_bd is None:
            return
        result = (self.app.name, self.result_bytes(candidate.devices[-1]))
        characters = result_characters(*result)
        cpu_us = result_cycles(*result) * 1e6 / device.chip.clocks.cpu_hz
        source = "characters x result_character_cycles, bytes of a digest x check_byte, of runtime.yaml"
        yield Work("interact", (f"{device.name}.cpu",), cpu_us, 0.0, source, "emulated")
        line_us = characters * CONSOLE_BITS * 1e6 / device.console_bd
        source = f"bits of {characters} characters / console rate"
        yield Work("interact", (f"{device.name}.console",), line_us, 0.0, source, "formula", error=0.0)


def _moves_of(tensors: Sequence[Tensor], cnn: Cnn) -> Moves:
    """Return the moves of ``tensors``: an equal piece of each in every data memory that it uses."""
    pieces: list[int] = []
    for tensor in tensors:
        count = region_count(tensor, cnn)
        pieces += count * [travel_bytes(tensor, cnn) // WORD_BYTES // count]
    return Moves.of(pieces)


def weight_bytes(layers: Sequence[Layer]) -> int:
    """Return the bytes of the weights of ``layers`` as they are packed for loading."""
    return sum(-(-layer.weight.size * layer.weight_bits // 8) for layer in layers if layer.weight is not None)


def link_unit(link: PlanLink, source: str) -> str:
    """Return the unit that ``source`` occupies when it sends over ``link``."""
    wire = link.medium.full_duplex and not link.medium.shared
    return f"{source}.{link.name}" if wire else f"{link.name}.channel"


def _accelerator_and_cpu(device: str) -> tuple[str, str]:
    return f"{device}.accelerator", f"{device}.cpu"


def _measured(chip: Chip) -> Basis:
    return "measured" if chip.cnn.timing.words_measured else "assumed"


def _words(chip: Chip, energy_uj: float) -> tuple[Basis, float, float | None]:
    """Return basis, energy and error of words that the CPU moves, in the order of ``Work``."""
    return _measured(chip), energy_uj, chip.cnn.timing.words_error
