"""All candidates of one app with their costs as arrays: what the selectors search.

The same sums as ``CostModel.cost`` (tests compare them), a chain of devices at a time instead of a candidate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations

import numpy as np
import numpy.typing as npt

from synergyc.plan.cost import CostModel, link_unit
from synergyc.plan.energy import bus_energy_uj
from synergyc.plan.layout import WORD_BYTES
from synergyc.plan.problem import PlanProblem
from synergyc.plan.space import Candidate, chain_sizes, chains, explain_empty, legal_cuts

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]

MAX_CANDIDATES = 60_000
"""Candidates of one app that are costed: longer chains of devices than these allow are left out."""


@dataclass(frozen=True)
class CandidateTable:
    """Candidates of one app, n rows; times in microseconds, energy in microjoules, U units.

    ``busy_us`` (n, U) is what one run takes of each unit, ``mask`` (n) one bit for each device that infers,
    ``model_us`` the latency without reaching the first and leaving the last device, ``longest`` the largest
    number of devices of a candidate, ``complete`` whether longer chains were left out.
    """

    model: CostModel
    chain_list: tuple[tuple[tuple[str, ...], str, str], ...]
    chain: Indices
    cuts: npt.NDArray[np.int32]
    busy_us: Floats
    latency_us: Floats
    energy_uj: Floats
    model_us: Floats
    size_bytes: Floats
    segments: Floats
    mask: npt.NDArray[np.uint64]
    longest: int
    complete: bool

    def __len__(self) -> int:
        return len(self.chain)

    def candidate(self, row: int) -> Candidate:
        """Return the candidate of a row."""
        devices, sense, interact = self.chain_list[self.chain[row]]
        cuts = tuple(int(cut) for cut in self.cuts[row, : len(devices) - 1])
        return Candidate(self.model.app.name, sense, interact, devices, cuts, len(self.model.network.layers))


def unit_index(problem: PlanProblem) -> dict[str, int]:
    """Return a column for every unit of ``problem``."""
    units = [f"{device.name}.{part}" for device in problem.devices for part in ("accelerator", "cpu")]
    units += [link_unit(link, end) for link in problem.links for end in link.ends]
    units += [
        f"{device.name}.{app.sensor}/{app.name}"
        for app in problem.apps
        if app.rate_hz is not None
        for device in problem.devices
        if app.sensor in device.sensors
    ]
    return {unit: i for i, unit in enumerate(dict.fromkeys(units))}


def candidate_table(
    model: CostModel, units: dict[str, int], max_candidates: int = MAX_CANDIDATES
) -> CandidateTable:
    """Return all candidates of an app that keep its deadline, up to ``max_candidates`` by length of chains.

    Raises SynergyError if there is none.
    """
    parts: list[_Block] = []
    chain_list: list[tuple[tuple[str, ...], str, str]] = []
    longest, total, complete = 0, 0, True
    costs = _Costs(model, units)
    sizes = chain_sizes(model.problem, model.app, model.network)
    for size in sizes:
        cuts = costs.cut_rows(size)
        expected = len(cuts) * math.perm(len(model.problem.devices), size)
        if parts and total + expected > max_candidates:
            complete = False
            break
        for devices, ends in chains(model.problem, model.app, (size,)):
            for sense, interact in ends:
                block = costs.block(devices, sense, interact, cuts, len(chain_list))
                if len(block.chain):
                    chain_list.append((devices, sense, interact))
                    parts.append(block)
                    total += len(block.chain)
                    longest = size
    if not parts:
        raise explain_empty(model.problem, model.app, model.network)
    return _joined(model, parts, tuple(chain_list), longest, complete)


def _joined(
    model: CostModel,
    parts: Sequence[_Block],
    chain_list: tuple[tuple[tuple[str, ...], str, str], ...],
    longest: int,
    complete: bool,
) -> CandidateTable:
    cuts = [np.pad(part.cuts, ((0, 0), (0, longest - 1 - part.cuts.shape[1]))) for part in parts]
    return CandidateTable(
        model,
        chain_list,
        np.concatenate([part.chain for part in parts]),
        np.concatenate(cuts),
        np.concatenate([part.busy_us for part in parts]),
        np.concatenate([part.latency_us for part in parts]),
        np.concatenate([part.energy_uj for part in parts]),
        np.concatenate([part.model_us for part in parts]),
        np.concatenate([part.size_bytes for part in parts]),
        np.concatenate([part.segments for part in parts]),
        np.concatenate([part.mask for part in parts]),
        longest,
        complete,
    )


@dataclass
class _Block:
    """Candidates of one chain of devices, one for each choice of cuts."""

    chain: Indices
    cuts: npt.NDArray[np.int32]
    busy_us: Floats
    latency_us: Floats
    energy_uj: Floats
    model_us: Floats
    size_bytes: Floats
    segments: Floats
    mask: npt.NDArray[np.uint64]

    def where(self, keep: Mask) -> _Block:
        """Return the rows that are to be kept."""
        return _Block(*(getattr(self, name)[keep] for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class _Tables:
    """Costs on one chip: by boundary (bytes that cross) and by pair of boundaries (inference)."""

    crossing_bytes: Floats
    infer_us: Floats
    infer_uj: Floats


@dataclass(frozen=True)
class _Costs:
    """Tables of one app: boundary 0 is its input, the last one its output, between them the cuts."""

    model: CostModel
    units: dict[str, int]
    _tables: dict[str, _Tables] = field(default_factory=dict)

    @cached_property
    def lasts(self) -> list[int]:
        """Last layer before each boundary."""
        return [-1, *legal_cuts(self.model.network), len(self.model.network.layers) - 1]

    def cut_rows(self, size: int) -> npt.NDArray[np.intp]:
        """Return all choices of boundaries for ``size`` devices, (n, size + 1), ends included."""
        inner = len(self.lasts) - 2
        rows = list(combinations(range(1, inner + 1), size - 1))
        middle = np.array(rows, dtype=np.intp).reshape(len(rows), size - 1)
        ends = np.zeros((len(rows), 1), dtype=np.intp)
        return np.hstack([ends, middle, ends + inner + 1])

    def tables(self, device: str) -> _Tables:
        """Return the costs on the chip of ``device``."""
        chip = self.model.problem.device(device).chip
        if chip.name not in self._tables:
            lasts = self.lasts
            size = len(lasts)
            infer_us, infer_uj = np.zeros((size, size)), np.zeros((size, size))
            for a in range(size):
                for b in range(a + 1, size):
                    cost = self.model.segment_cost(lasts[a] + 1, lasts[b], chip)
                    infer_us[a, b], infer_uj[a, b] = cost.infer_us, cost.energy_uj
            crossing = [self.model.size_bytes(self.model.boundary(last), chip) for last in lasts]
            self._tables[chip.name] = _Tables(np.array(crossing, dtype=np.float64), infer_us, infer_uj)
        return self._tables[chip.name]

    def block(
        self, devices: tuple[str, ...], sense: str, interact: str, rows: npt.NDArray[np.intp], index: int
    ) -> _Block:
        """Return the candidates of one chain that honour pins and the deadline."""
        app = self.model.app
        lasts = np.array(self.lasts, dtype=np.int32)
        names = [device.name for device in self.model.problem.devices]
        bits = sum(1 << names.index(device) for device in devices)
        count = len(rows)
        block = _Block(
            np.full(count, index, dtype=np.intp),
            lasts[rows[:, 1:-1]],
            np.zeros((count, len(self.units))),
            np.zeros(count),
            np.zeros(count),
            np.zeros(count),
            np.zeros(count),
            np.full(count, float(len(devices))),
            np.full(count, bits, dtype=np.uint64),
        )
        if app.rate_hz is not None:
            block.busy_us[:, self.units[f"{sense}.{app.sensor}/{app.name}"]] = 1e6 / app.rate_hz
        if sense != devices[0]:
            self._transfer(block, sense, devices[0], rows[:, 0])
        before_us = block.latency_us.copy()
        for i, device in enumerate(devices):
            if i:
                self._transfer(block, devices[i - 1], device, rows[:, i])
            self._inference(block, device, rows[:, i], rows[:, i + 1])
        block.model_us += block.latency_us - before_us
        if devices[-1] != interact:
            self._transfer(block, devices[-1], interact, rows[:, -1])
        keep = self._pinned(devices, lasts[rows])
        if app.deadline_ms is not None:
            keep &= block.latency_us <= app.deadline_ms * 1000
        return block if keep.all() else block.where(keep)

    def _pinned(self, devices: tuple[str, ...], lasts: npt.NDArray[np.int32]) -> Mask:
        keep = np.ones(len(lasts), dtype=np.bool_)
        for pin in self.model.app.pins:
            if pin.device not in devices:
                return np.zeros(len(lasts), dtype=np.bool_)
            i = devices.index(pin.device)
            keep &= (lasts[:, i] < pin.first) & (pin.last <= lasts[:, i + 1])
        return keep

    def _inference(self, block: _Block, device: str, first: Indices, last: Indices) -> None:
        chip = self.model.problem.device(device).chip
        table, timing = self.tables(device), chip.cnn.timing
        words = (table.crossing_bytes[first] + table.crossing_bytes[last]) / WORD_BYTES
        both_us = words * timing.word_ns / 1000 + timing.start_overhead_ns / 1000
        infer_us = table.infer_us[first, last]
        block.busy_us[:, self.units[f"{device}.accelerator"]] += both_us + infer_us
        block.busy_us[:, self.units[f"{device}.cpu"]] += both_us
        block.latency_us += both_us + infer_us
        block.energy_uj += table.infer_uj[first, last] + np.asarray(bus_energy_uj(1.0, chip) * words)

    def _transfer(self, block: _Block, source: str, target: str, boundary: Indices) -> None:
        link = self.model.problem.link(source, target)
        assert link is not None  # noqa: S101 - chains follow links
        medium = link.medium
        size_bytes = self.tables(source).crossing_bytes[boundary]
        frames = np.ceil(size_bytes / medium.mtu_bytes)
        wire_bytes = size_bytes + frames * medium.frame_overhead_bytes
        wire_us = wire_bytes * medium.bits_per_byte * 1000.0 / link.rate_kbps
        cpu_us = wire_bytes * medium.cpu_ns_per_byte / 1000
        block.busy_us[:, self.units[f"{source}.cpu"]] += cpu_us
        block.busy_us[:, self.units[f"{target}.cpu"]] += cpu_us
        block.busy_us[:, self.units[link_unit(link, source)]] += wire_us
        block.latency_us += np.maximum(wire_us, cpu_us) + 2 * cpu_us / frames
        block.energy_uj += wire_us * (medium.send_mw + medium.receive_mw) / 1000
        block.size_bytes += size_bytes
