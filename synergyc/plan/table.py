"""All candidates of one app with their costs as arrays: what the selectors search.

The same sums as ``CostModel.cost`` (tests compare them), a chain of devices at a time instead of a candidate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from synergyc.diagnostics import Diagnostic, SynergyError
from synergyc.plan.columns import Block, ChainCosts, Floats, Indices, Mask
from synergyc.plan.cost import CostModel, link_unit
from synergyc.plan.energy import wanted_rate_hz
from synergyc.plan.problem import PlanProblem
from synergyc.plan.space import (
    MOST_SWAPPING,
    Candidate,
    Chain,
    chain_sizes,
    chains,
    explain_empty,
)

MAX_CANDIDATES = 60_000
"""Candidates of one app that are costed: longer chains of devices than these allow are left out.

Three devices of twelve, for networks of ten layers. With them 20 apps x 12 devices take 1.1 GiB at most
(benchmarks/plan.py).
"""


_COLUMNS = (
    "chain",
    "cuts",
    "busy_us",
    "energy_uj",
    "run_uj",
    "latency_us",
    "model_us",
    "size_bytes",
    "segments",
    "mask",
    "begun",
)
"""Fields with an entry for each candidate."""


@dataclass(frozen=True)
class CandidateTable:
    """Candidates of one app, n rows; times in microseconds, energy in microjoules, U units.

    ``busy_us`` (n, U) is what one run takes of each unit, ``energy_uj`` (n, D) of each device above idle,
    ``run_uj`` (n) of all devices together, ``mask`` (n) one bit for each device that infers,
    ``model_us`` the latency without reaching the first and leaving the last device. Rows that are
    ``begun`` (n) stand for all chains with some begin, by lower bounds, and name no candidate. ``unlisted``
    are the numbers of devices of chains that are left out, ascending.
    """

    model: CostModel
    chain_list: tuple[Chain, ...]
    chain: Indices
    cuts: npt.NDArray[np.int32]
    busy_us: Floats
    energy_uj: Floats
    run_uj: Floats
    latency_us: Floats
    model_us: Floats
    size_bytes: Floats
    segments: Floats
    mask: npt.NDArray[np.uint64]
    begun: Mask
    unlisted: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.chain)

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

    def places(self, row: int) -> frozenset[str]:
        """Return the devices that sense, infer or interact in the candidate of a row."""
        chain: Chain = self.chain_list[self.chain[row]]
        return chain.places

    def candidate(self, row: int) -> Candidate:
        """Return the candidate of a row, the same object each time."""
        if row not in self._made:
            chain: Chain = self.chain_list[self.chain[row]]
            cuts = tuple(int(cut) for cut in self.cuts[row, : chain.cuts])
            self._made[row] = chain.candidate(self.model.app.name, cuts, len(self.model.network.layers))
        return self._made[row]

    @cached_property
    def _made(self) -> dict[int, Candidate]:
        return {}


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

    The shortest chains are listed in any case, unless they are more than ``MAX_CANDIDATES``: of an app that
    asks for many devices by ``split``. Then the table may be empty, with all of them unlisted. Raises
    SynergyError if there is no candidate.
    """
    parts: list[Block] = []
    chain_list: list[Chain] = []
    total = 0
    costs = ChainCosts(model, units)
    unlisted = chain_sizes(model.problem, model.app, model.network)
    while unlisted:
        size, *longer = unlisted
        count = math.comb(len(costs.lasts) - 2, size - 1) * math.perm(len(model.problem.devices), size)
        swapping = model.problem.weight_swap and size <= MOST_SWAPPING
        if (parts or count > MAX_CANDIDATES) and total + count > max_candidates and not swapping:
            break
        cuts, unlisted = costs.cut_rows(size), tuple(longer)
        for chain in chains(model.problem, model.app, (size,)):
            block = costs.replicas(chain) if chain.replicated else costs.block(chain, cuts)
            if len(block.cuts):
                parts.append(block)
                chain_list.append(chain)
                total += len(block.cuts)
    if not parts and unlisted:
        for chain in chains(model.problem, model.app, unlisted[:1]):
            return _joined(model, [costs.block(chain, costs.cut_rows(unlisted[0])[:0])], [chain], unlisted)
    if not parts:
        raise deadline_missed(model, units) or explain_empty(model.problem, model.app, model.network)
    return _joined(model, parts, chain_list, unlisted)


def deadline_missed(model: CostModel, units: dict[str, int]) -> SynergyError | None:
    """Return the error for an app of which no candidate keeps the deadline; None if it has none anyway."""
    deadline_ms = model.app.deadline_ms
    if deadline_ms is None:
        return None
    try:
        late = candidate_table(replace(model, app=replace(model.app, deadline_ms=None)), units)
    except SynergyError:
        return None
    if not len(late):
        return None
    return SynergyError(
        Diagnostic(
            "deadline-missed",
            f"no plan of app {model.app.name!r} keeps its deadline, even with the system to itself",
            model.app.location,
            need=f"{deadline_ms:g} ms",
            have=f"{late.latency_us.min() / 1000:.3f} ms",
            hint="loosen deadline_ms, add devices or faster links, or take a smaller network",
        )
    )


def with_blocks(table: CandidateTable, blocks: Sequence[Block], added: Sequence[Chain]) -> CandidateTable:
    """Return ``table`` with the candidates of further chains, one block for each, at its end."""
    new = _joined(table.model, blocks, added, table.unlisted)
    both = stacked([table, replace(new, chain=new.chain + len(table.chain_list))])
    return replace(both, chain_list=(*table.chain_list, *added))


def stacked(tables: Sequence[CandidateTable]) -> CandidateTable:
    """Return the rows of all ``tables``, which have the same chains, in order."""
    width = max(table.cuts.shape[1] for table in tables)
    return replace(tables[0], **_columns([replace(t, cuts=_padded(t.cuts, width)) for t in tables]))


def _joined(
    model: CostModel, blocks: Sequence[Block], chain_list: Sequence[Chain], unlisted: tuple[int, ...]
) -> CandidateTable:
    width = max(block.cuts.shape[1] for block in blocks)
    parts = [
        replace(block, cuts=_padded(block.cuts, width), chain=np.full(len(block.cuts), i, dtype=np.intp))
        for i, block in enumerate(blocks)
    ]
    return CandidateTable(model, tuple(chain_list), unlisted=unlisted, **_columns(parts))


def _columns(parts: Sequence[Block] | Sequence[CandidateTable]) -> dict[str, Any]:
    """Return the rows of all ``parts`` by column; typed as what ``replace`` takes."""
    return {name: np.concatenate([getattr(part, name) for part in parts]) for name in _COLUMNS}


def _padded(cuts: npt.NDArray[np.int32], width: int) -> npt.NDArray[np.int32]:
    return np.pad(cuts, ((0, 0), (0, width - cuts.shape[1])))
