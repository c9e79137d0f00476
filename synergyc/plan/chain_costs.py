"""Costs of all cuts of a chain of devices at a time, by columns: the same sums as ``CostModel.cost``.

What a device does for a pair of boundaries, and what a link does for one, is counted once and looked up for
every chain. Boundary 0 is the network's input, the last one its output, between them the legal cuts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import combinations

import numpy as np
import numpy.typing as npt

from synergyc.plan.columns import Columns, Floats, Indices, Mask
from synergyc.plan.cost import CostModel, link_unit, weight_bytes
from synergyc.plan.cpu_work import CONSOLE_BITS, result_characters, result_cycles
from synergyc.plan.energy import bus_energy_uj
from synergyc.plan.layout import WORD_BYTES
from synergyc.plan.space import Chain, is_segment, legal_cuts
from synergyc.plan.transfer import transfer_cost
from synergyc.targets import load_runtime


@dataclass(frozen=True)
class _Inference:
    """A device's work by pair of boundaries.

    ``busy_us`` (B, B, 2) of accelerator and CPU, ``units`` their columns; ``latency_us`` and ``energy_uj``
    (B, B); ``place`` is the device's column of energies.
    """

    units: Indices
    busy_us: Floats
    latency_us: Floats
    energy_uj: Floats
    place: int


@dataclass(frozen=True)
class _Move:
    """A hand-off by boundary: ``busy_us`` (B, units), ``energy_uj`` (B, 2) of source and target."""

    units: Indices
    busy_us: Floats
    latency_us: Floats
    places: Indices
    energy_uj: Floats
    size_bytes: Floats


@dataclass(frozen=True)
class _Tables:
    """Costs on one chip: by boundary (bytes that cross) and by pair of boundaries (inference)."""

    crossing_bytes: Floats
    infer_us: Floats
    infer_uj: Floats
    weight_bytes: Floats


@dataclass(frozen=True)
class ChainCosts:
    """Costs of one app's candidates; ``units`` are the columns of busy times."""

    model: CostModel
    units: dict[str, int]
    _tables: dict[str, _Tables] = field(default_factory=dict)
    _inferences: dict[tuple[str, bool], _Inference] = field(default_factory=dict)
    _moves: dict[tuple[str, str], _Move] = field(default_factory=dict)

    @cached_property
    def lasts(self) -> list[int]:
        """Last layer before each boundary."""
        network = self.model.network
        cuts = legal_cuts(network, several=self.model.problem.multi_tensor_cuts)
        return [-1, *cuts, len(network.layers) - 1]

    def cut_rows(self, size: int) -> npt.NDArray[np.intp]:
        """Return all choices of boundaries for ``size`` devices, (n, size + 1), ends included."""
        inner = len(self.lasts) - 2
        rows = list(combinations(range(1, inner + 1), size - 1))
        middle = np.array(rows, dtype=np.intp).reshape(len(rows), size - 1)
        ends = np.zeros((len(rows), 1), dtype=np.intp)
        return np.hstack([ends, middle, ends + inner + 1])

    @cached_property
    def whole(self) -> Mask:
        """Whether the layers between two boundaries make all that is needed after them, by their numbers."""
        size = len(self.lasts)
        found = np.zeros((size, size), dtype=np.bool_)
        for a in range(size):
            for b in range(a + 1, size):
                found[a, b] = is_segment(self.model.network, self.lasts[a] + 1, self.lasts[b])
        return found

    @cached_property
    def places(self) -> dict[str, int]:
        """Column of each device's energies."""
        return {device.name: i for i, device in enumerate(self.model.problem.devices)}

    def _empty(self, chain: Chain, rows: npt.NDArray[np.intp]) -> Columns:
        lasts = np.array(self.lasts, dtype=np.int32)
        bits = sum(1 << self.places[device] for device in chain.devices)
        count = len(rows)
        return Columns(
            chain=np.zeros(count, dtype=np.intp),
            cuts=lasts[rows[:, 1:-1]],
            busy_us=np.zeros((count, len(self.units))),
            energy_uj=np.zeros((count, len(self.places))),
            run_uj=np.zeros(count),
            latency_us=np.zeros(count),
            model_us=np.zeros(count),
            size_bytes=np.zeros(count),
            segments=np.full(count, float(len(chain.devices))),
            mask=np.full(count, bits, dtype=np.uint64),
            begun=np.zeros(count, dtype=np.bool_),
        )

    def replicas(self, chain: Chain) -> Columns:
        """Return the one candidate of devices that take the runs in turn: the mean over them."""
        rows = self.cut_rows(1)
        total = self._empty(chain, rows)
        app = self.model.app
        if app.pins:
            return total.only(np.zeros(len(rows), dtype=np.bool_))
        for device in chain.devices:
            one = self._costed(replace(chain, devices=(device,), replicated=False), rows)
            for name in ("busy_us", "energy_uj", "latency_us", "model_us", "size_bytes"):
                value = getattr(total, name)
                value += getattr(one, name) / (1 if name == "size_bytes" else len(chain.devices))
        total.run_uj[:] = total.energy_uj.sum(axis=1)
        return total.only(self._in_time(total))

    def inference_taken(self, device: str) -> Floats:
        """Return what resident inference between two boundaries takes, (B, B, K): see ``plan.labels``."""
        work, size = self._inference(device, swapped=False), len(self.lasts)
        taken = np.zeros((size, size, self._width))
        taken[:, :, work.units] = work.busy_us
        taken[:, :, len(self.units) + work.place] = taken[:, :, -3] = work.energy_uj
        taken[:, :, -2] = work.latency_us
        return taken

    def move_taken(self, source: str, target: str) -> Floats:
        """Return what a hand-off takes by boundary, (B, K)."""
        move = self._move(source, target)
        taken = np.zeros((len(self.lasts), self._width))
        taken[:, move.units] = move.busy_us
        taken[:, len(self.units) + move.places] = move.energy_uj
        taken[:, -3] = move.energy_uj.sum(axis=1)
        taken[:, -2], taken[:, -1] = move.latency_us, move.size_bytes
        return taken

    def report_taken(self, last: str, interact: str) -> Floats:
        """Return what reporting the result of device ``last`` on ``interact`` takes, (K,)."""
        taken = np.zeros(self._width)
        for unit, busy_us in self._report(last, interact).items():
            taken[self.units[unit]] = busy_us
        taken[-2] = self.model.tail_us(interact)
        return taken

    def prepare_taken(self, sense: str) -> Floats:
        """Return what preparing a sample on ``sense`` takes, (K,)."""
        taken = np.zeros(self._width)
        taken[self.units[f"{sense}.cpu"]] = taken[-2] = self.model.prepare_us(sense)
        return taken

    @property
    def _width(self) -> int:
        """Number of units and devices, and energy of all devices, latency and bytes."""
        return len(self.units) + len(self.places) + 3

    def _in_time(self, block: Columns) -> Mask:
        deadline_ms = self.model.app.deadline_ms
        limit_us = math.inf if deadline_ms is None else deadline_ms * 1000
        return np.asarray(block.latency_us <= limit_us)

    def block(self, chain: Chain, rows: npt.NDArray[np.intp]) -> Columns:
        """Return the candidates of one chain that honour pins and the deadline."""
        lasts = np.array(self.lasts, dtype=np.int32)
        block = self._costed(chain, rows)
        keep = self._pinned(chain.devices, lasts[rows]) & self._in_time(block)
        for i in range(len(chain.devices)):
            keep &= self.whole[rows[:, i], rows[:, i + 1]]
        return block if keep.all() else block.only(keep)

    def _costed(self, chain: Chain, rows: Indices) -> Columns:
        app, devices = self.model.app, chain.devices
        block = self._empty(chain, rows)
        if app.rate_hz is not None:
            block.busy_us[:, self.units[f"{chain.sense}.{app.sensor}/{app.name}"]] = 1e6 / app.rate_hz
        prepare_us = self.model.prepare_us(chain.sense)
        block.busy_us[:, self.units[f"{chain.sense}.cpu"]] += prepare_us
        block.latency_us[:] += prepare_us
        if chain.sense != devices[0]:
            self._add_move(block, chain.sense, devices[0], rows[:, 0])
        before_us = block.latency_us.copy()
        block.latency_us[:] = 0.0  # apart, so that equal chips give equal times to the last bit
        for i, device in enumerate(devices):
            if i:
                self._add_move(block, devices[i - 1], device, rows[:, i])
            work = self._inference(device, swapped=bool(chain.swapped) and chain.swapped[i])
            pair = (rows[:, i], rows[:, i + 1])
            block.busy_us[:, work.units] += work.busy_us[pair]
            block.latency_us[:] += work.latency_us[pair]
            block.energy_uj[:, work.place] += work.energy_uj[pair]
        block.model_us[:] = block.latency_us
        block.latency_us[:] += before_us
        if devices[-1] != chain.interact:
            self._add_move(block, devices[-1], chain.interact, rows[:, -1])
        self._add_report(block, devices[-1], chain.interact)
        block.run_uj[:] = block.energy_uj.sum(axis=1)
        return block

    def _add_move(self, block: Columns, source: str, target: str, boundary: Indices) -> None:
        move = self._move(source, target)
        block.busy_us[:, move.units] += move.busy_us[boundary]
        block.latency_us[:] += move.latency_us[boundary]
        block.energy_uj[:, move.places] += move.energy_uj[boundary]
        block.size_bytes[:] += move.size_bytes[boundary]

    def _add_report(self, block: Columns, last: str, interact: str) -> None:
        for unit, busy_us in self._report(last, interact).items():
            block.busy_us[:, self.units[unit]] += busy_us
        block.latency_us[:] += self.model.tail_us(interact)

    def _report(self, last: str, interact: str) -> dict[str, float]:
        """Return the time of each unit for the work behind the network and reporting a result."""
        device, tail_us = self.model.problem.device(interact), self.model.tail_us(interact)
        if device.console_bd is None:
            return {f"{interact}.cpu": tail_us}
        result = (self.model.app.name, self.model.result_bytes(last))
        cpu_us = result_cycles(*result) * 1e6 / device.chip.clocks.cpu_hz
        line_us = result_characters(*result) * CONSOLE_BITS * 1e6 / device.console_bd
        return {f"{interact}.cpu": tail_us + cpu_us, f"{interact}.console": line_us}

    def _pinned(self, devices: tuple[str, ...], lasts: npt.NDArray[np.int32]) -> Mask:
        keep = np.ones(len(lasts), dtype=np.bool_)
        for pin in self.model.app.pins:
            if pin.device not in devices:
                return np.zeros(len(lasts), dtype=np.bool_)
            i = devices.index(pin.device)
            keep &= (lasts[:, i] < pin.first) & (pin.last <= lasts[:, i + 1])
        return keep

    def _table(self, device: str) -> _Tables:
        """Return the costs on the chip of ``device``."""
        chip = self.model.problem.device(device).chip
        if chip.name not in self._tables:
            lasts, layers = self.lasts, self.model.network.layers
            size = len(lasts)
            infer_us, infer_uj, stored = (np.zeros((size, size)) for _ in range(3))
            for a in range(size):
                for b in range(a + 1, size):
                    cost = self.model.segment_cost(lasts[a] + 1, lasts[b], chip)
                    infer_us[a, b], infer_uj[a, b] = cost.infer_us, cost.energy_uj
                    stored[a, b] = weight_bytes(layers[lasts[a] + 1 : lasts[b] + 1])
            crossing = [self.model.size_bytes(self.model.boundary(last), chip) for last in lasts]
            self._tables[chip.name] = _Tables(
                np.array(crossing, dtype=np.float64), infer_us, infer_uj, stored
            )
        return self._tables[chip.name]

    def _inference(self, device: str, *, swapped: bool) -> _Inference:
        key = (device, swapped)
        if key in self._inferences:
            return self._inferences[key]
        chip = self.model.problem.device(device).chip
        table, timing = self._table(device), chip.cnn.timing
        words = (table.crossing_bytes[:, None] + table.crossing_bytes[None, :]) / WORD_BYTES
        both_us = words * timing.word_ns / 1000 + timing.start_overhead_ns / 1000
        if swapped:
            both_us = both_us + table.weight_bytes * timing.weight_byte_ns / 1000
            words = words + table.weight_bytes / WORD_BYTES
        poll_us = load_runtime().infer_cycles * 1e6 / chip.clocks.cpu_hz
        accelerator_us = both_us + table.infer_us
        self._inferences[key] = _Inference(
            np.array([self.units[f"{device}.accelerator"], self.units[f"{device}.cpu"]]),
            np.stack([accelerator_us, both_us + poll_us], axis=2),
            accelerator_us,
            table.infer_uj + bus_energy_uj(1.0, chip) * words,
            self.places[device],
        )
        return self._inferences[key]

    def _move(self, source: str, target: str) -> _Move:
        key = (source, target)
        if key in self._moves:
            return self._moves[key]
        problem = self.model.problem
        link = problem.link(source, target)
        assert link is not None  # noqa: S101 - chains follow links
        size_bytes = self._table(source).crossing_bytes
        cost = transfer_cost(size_bytes, link, problem.device(source).chip, problem.device(target).chip)
        there, back = link_unit(link, source), link_unit(link, target)
        busy = {f"{source}.cpu": cost.send_us, f"{target}.cpu": cost.receive_us, there: cost.flow_us}
        busy[back] = busy.get(back, 0.0) + cost.answers_us
        self._moves[key] = _Move(
            np.array([self.units[unit] for unit in busy]),
            np.stack(list(busy.values()), axis=1),
            cost.latency_us,
            np.array([self.places[source], self.places[target]]),
            np.stack([cost.sender_uj, cost.receiver_uj], axis=1),
            size_bytes,
        )
        return self._moves[key]
