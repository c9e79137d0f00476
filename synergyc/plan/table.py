"""All candidates of one app with their costs as arrays: what the selectors search.

The same sums as ``CostModel.cost`` (tests compare them), a chain of devices at a time instead of a candidate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from synergyc.plan.columns import Block, ChainCosts, Floats, Indices
from synergyc.plan.cost import CostModel, link_unit
from synergyc.plan.energy import wanted_rate_hz
from synergyc.plan.problem import PlanProblem
from synergyc.plan.space import (
    Candidate,
    Chain,
    chain_sizes,
    chains,
    explain_empty,
)

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
    parts: list[Block] = []
    chain_list: list[Chain] = []
    longest, total, complete = 0, 0, True
    costs = ChainCosts(model, units)
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
    parts: Sequence[Block],
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
