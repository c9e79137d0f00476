"""All candidates of one app with their costs as arrays: what the selectors search.

The same sums as ``CostModel.cost`` (tests compare them), a chain of devices at a time instead of a candidate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import combinations

import numpy as np
import numpy.typing as npt

from synergyc.plan.cost import CONSOLE_BITS, CostModel, link_unit, result_characters, weight_bytes
from synergyc.plan.energy import bus_energy_uj, wanted_rate_hz
from synergyc.plan.layout import WORD_BYTES
from synergyc.plan.problem import PlanProblem
from synergyc.plan.space import (
    Candidate,
    Chain,
    chain_sizes,
    chains,
    explain_empty,
    is_segment,
    legal_cuts,
)
from synergyc.plan.transfer import transfer_cost
from synergyc.targets import load_runtime

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]

MAX_CANDIDATES = 60_000
"""Candidates of one app that are costed: longer chains of devices than these allow are left out."""


_COLUMNS = (
    "chain",
    "cuts",
    "busy_us",
    "energy_uj",
    "latency_us",
    "model_us",
    "size_bytes",
    "segments",
    "mask",
)
"""Fields with an entry for each candidate."""


@dataclass(frozen=True)
class CandidateTable:
    """Candidates of one app, n rows; times in microseconds, energy in microjoules, U units.

    ``busy_us`` (n, U) is what one run takes of each unit, ``energy_uj`` (n, D) of each device above idle,
    ``mask`` (n) one bit for each device that infers,
    ``model_us`` the latency without reaching the first and leaving the last device, ``longest`` the largest
    number of devices of a candidate, ``complete`` whether longer chains were left out.
    """

    model: CostModel
    chain_list: tuple[Chain, ...]
    chain: Indices
    cuts: npt.NDArray[np.int32]
    busy_us: Floats
    energy_uj: Floats
    latency_us: Floats
    model_us: Floats
    size_bytes: Floats
    segments: Floats
    mask: npt.NDArray[np.uint64]
    longest: int
    complete: bool

    def __len__(self) -> int:
        return len(self.chain)

    @cached_property
    def run_uj(self) -> Floats:
        """Energy of one run on all devices above idle, (n,)."""
        return np.asarray(self.energy_uj.sum(axis=1))

    @cached_property
    def drain(self) -> Floats:
        """Share of each battery that an hour at the wanted rate takes, (n, batteries)."""
        app, devices = self.model.app, self.model.problem.devices
        battery_mwh = np.array([item.battery_mwh or 0.0 for item in devices])
        held = np.flatnonzero(battery_mwh)
        return np.asarray(self.energy_uj[:, held] * (wanted_rate_hz(app) / 1000 / battery_mwh[held]))

    def only(self, rows: Indices) -> CandidateTable:
        """Return the table of these rows."""
        return replace(self, **{name: getattr(self, name)[rows] for name in _COLUMNS})

    def candidate(self, row: int) -> Candidate:
        """Return the candidate of a row."""
        chain: Chain = self.chain_list[self.chain[row]]
        cuts = tuple(int(cut) for cut in self.cuts[row, : chain.cuts])
        return chain.candidate(self.model.app.name, cuts, len(self.model.network.layers))


def unit_index(problem: PlanProblem) -> dict[str, int]:
    """Return a column for every unit of ``problem``."""
    units = [f"{device.name}.{part}" for device in problem.devices for part in ("accelerator", "cpu")]
    units += [f"{device.name}.console" for device in problem.devices if device.console_bd is not None]
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
    chain_list: list[Chain] = []
    longest, total, complete = 0, 0, True
    costs = _Costs(model, units)
    for size in chain_sizes(model.problem, model.app, model.network):
        cuts = costs.cut_rows(size)
        expected = len(cuts) * math.perm(len(model.problem.devices), size)
        if parts and total + expected > max_candidates:
            complete = False
            break
        for chain in chains(model.problem, model.app, (size,)):
            block = costs.replicas(chain) if chain.replicated else costs.block(chain, cuts)
            if len(block.cuts):
                parts.append(replace(block, chain=np.full(len(block.cuts), len(chain_list), dtype=np.intp)))
                chain_list.append(chain)
                total += len(block.cuts)
                longest = max(longest, len(chain.devices))
    if not parts:
        raise explain_empty(model.problem, model.app, model.network)
    return _joined(model, parts, tuple(chain_list), longest, complete)


def _joined(
    model: CostModel,
    parts: Sequence[_Block],
    chain_list: tuple[Chain, ...],
    longest: int,
    complete: bool,
) -> CandidateTable:
    width = max(part.cuts.shape[1] for part in parts)
    cuts = [np.pad(part.cuts, ((0, 0), (0, width - part.cuts.shape[1]))) for part in parts]
    return CandidateTable(
        model,
        chain_list,
        np.concatenate([part.chain for part in parts]),
        np.concatenate(cuts),
        np.concatenate([part.busy_us for part in parts]),
        np.concatenate([part.energy_uj for part in parts]),
        np.concatenate([part.latency_us for part in parts]),
        np.concatenate([part.model_us for part in parts]),
        np.concatenate([part.size_bytes for part in parts]),
        np.concatenate([part.segments for part in parts]),
        np.concatenate([part.mask for part in parts]),
        longest,
        complete,
    )


@dataclass(frozen=True)
class _Block:
    """Candidates of one chain of devices, one for each choice of cuts."""

    chain: Indices
    cuts: npt.NDArray[np.int32]
    busy_us: Floats
    energy_uj: Floats
    latency_us: Floats
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
    weight_bytes: Floats


@dataclass(frozen=True)
class _Costs:
    """Tables of one app: boundary 0 is its input, the last one its output, between them the cuts."""

    model: CostModel
    units: dict[str, int]
    _tables: dict[str, _Tables] = field(default_factory=dict)

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

    def tables(self, device: str) -> _Tables:
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

    @cached_property
    def whole(self) -> Mask:
        """Whether the layers between two boundaries make all that is needed after them, by their numbers."""
        size = len(self.lasts)
        found = np.zeros((size, size), dtype=np.bool_)
        for a in range(size):
            for b in range(a + 1, size):
                found[a, b] = is_segment(self.model.network, self.lasts[a] + 1, self.lasts[b])
        return found

    def _empty(self, chain: Chain, rows: npt.NDArray[np.intp]) -> _Block:
        lasts = np.array(self.lasts, dtype=np.int32)
        names = [device.name for device in self.model.problem.devices]
        bits = sum(1 << names.index(device) for device in chain.devices)
        count = len(rows)
        return _Block(
            np.zeros(count, dtype=np.intp),
            lasts[rows[:, 1:-1]],
            np.zeros((count, len(self.units))),
            np.zeros((count, len(names))),
            np.zeros(count),
            np.zeros(count),
            np.zeros(count),
            np.full(count, float(len(chain.devices))),
            np.full(count, bits, dtype=np.uint64),
        )

    def replicas(self, chain: Chain) -> _Block:
        """Return the one candidate of devices that take the runs in turn: the mean over them."""
        rows = self.cut_rows(1)
        total = self._empty(chain, rows)
        app = self.model.app
        if any(pin.device not in chain.devices or len(chain.devices) > 1 for pin in app.pins):
            return total.where(np.zeros(len(rows), dtype=np.bool_))
        for device in chain.devices:
            one = self._costed(replace(chain, devices=(device,), replicated=False), rows)
            for name in ("busy_us", "energy_uj", "latency_us", "model_us", "size_bytes"):
                value = getattr(total, name)
                value += getattr(one, name) / (1 if name == "size_bytes" else len(chain.devices))
        return total.where(self._in_time(total))

    def _in_time(self, block: _Block) -> Mask:
        deadline_ms = self.model.app.deadline_ms
        limit_us = math.inf if deadline_ms is None else deadline_ms * 1000
        return np.asarray(block.latency_us <= limit_us)

    def block(self, chain: Chain, rows: npt.NDArray[np.intp]) -> _Block:
        """Return the candidates of one chain that honour pins and the deadline."""
        lasts = np.array(self.lasts, dtype=np.int32)
        block = self._costed(chain, rows)
        keep = self._pinned(chain.devices, lasts[rows]) & self._in_time(block)
        for i in range(len(chain.devices)):
            keep &= self.whole[rows[:, i], rows[:, i + 1]]
        return block if keep.all() else block.where(keep)

    def _costed(self, chain: Chain, rows: npt.NDArray[np.intp]) -> _Block:
        app, devices = self.model.app, chain.devices
        block = self._empty(chain, rows)
        if app.rate_hz is not None:
            block.busy_us[:, self.units[f"{chain.sense}.{app.sensor}/{app.name}"]] = 1e6 / app.rate_hz
        if chain.sense != devices[0]:
            self._transfer(block, chain.sense, devices[0], rows[:, 0])
        before_us = block.latency_us.copy()
        for i, device in enumerate(devices):
            if i:
                self._transfer(block, devices[i - 1], device, rows[:, i])
            swapped = bool(chain.swapped) and chain.swapped[i]
            self._inference(block, device, rows[:, i], rows[:, i + 1], swapped=swapped)
        block.model_us[:] = block.latency_us - before_us
        if devices[-1] != chain.interact:
            self._transfer(block, devices[-1], chain.interact, rows[:, -1])
        self._report(block, devices[-1], chain.interact)
        return block

    def _pinned(self, devices: tuple[str, ...], lasts: npt.NDArray[np.int32]) -> Mask:
        keep = np.ones(len(lasts), dtype=np.bool_)
        for pin in self.model.app.pins:
            if pin.device not in devices:
                return np.zeros(len(lasts), dtype=np.bool_)
            i = devices.index(pin.device)
            keep &= (lasts[:, i] < pin.first) & (pin.last <= lasts[:, i + 1])
        return keep

    def _inference(self, block: _Block, device: str, first: Indices, last: Indices, *, swapped: bool) -> None:
        chip = self.model.problem.device(device).chip
        table, timing = self.tables(device), chip.cnn.timing
        words = (table.crossing_bytes[first] + table.crossing_bytes[last]) / WORD_BYTES
        both_us = words * timing.word_ns / 1000 + timing.start_overhead_ns / 1000
        if swapped:
            stored = table.weight_bytes[first, last]
            both_us = both_us + stored * timing.weight_byte_ns / 1000
            words = words + stored / WORD_BYTES
        infer_us = table.infer_us[first, last]
        poll_us = load_runtime().infer_cycles * 1e6 / chip.clocks.cpu_hz
        block.busy_us[:, self.units[f"{device}.accelerator"]] += both_us + infer_us
        block.busy_us[:, self.units[f"{device}.cpu"]] += both_us + poll_us
        block.latency_us[:] += both_us + infer_us
        energy_uj = table.infer_uj[first, last] + np.asarray(bus_energy_uj(1.0, chip) * words)
        block.energy_uj[:, self._place(device)] += energy_uj

    def _transfer(self, block: _Block, source: str, target: str, boundary: Indices) -> None:
        problem = self.model.problem
        link = problem.link(source, target)
        assert link is not None  # noqa: S101 - chains follow links
        size_bytes = self.tables(source).crossing_bytes[boundary]
        cost = transfer_cost(size_bytes, link, problem.device(source).chip, problem.device(target).chip)
        block.busy_us[:, self.units[f"{source}.cpu"]] += cost.send_us
        block.busy_us[:, self.units[f"{target}.cpu"]] += cost.receive_us
        block.busy_us[:, self.units[link_unit(link, source)]] += cost.flow_us
        block.busy_us[:, self.units[link_unit(link, target)]] += cost.answers_us
        block.latency_us[:] += cost.latency_us
        block.energy_uj[:, self._place(source)] += cost.wire_us * link.medium.send_mw / 1000
        block.energy_uj[:, self._place(target)] += cost.wire_us * link.medium.receive_mw / 1000
        block.size_bytes[:] += size_bytes

    def _report(self, block: _Block, last: str, interact: str) -> None:
        device = self.model.problem.device(interact)
        if device.console_bd is None:
            return
        characters = result_characters(self.model.app.name, int(self.tables(last).crossing_bytes[-1]))
        cpu_us = characters * load_runtime().result_character_cycles * 1e6 / device.chip.clocks.cpu_hz
        block.busy_us[:, self.units[f"{interact}.cpu"]] += cpu_us
        block.busy_us[:, self.units[f"{interact}.console"]] += (
            characters * CONSOLE_BITS * 1e6 / device.console_bd
        )

    def _place(self, device: str) -> int:
        return [item.name for item in self.model.problem.devices].index(device)
