"""All candidates of one app with their costs as arrays: what the selectors search.

The same sums as ``CostModel.cost`` (tests compare them), a chain of devices at a time instead of a candidate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from synergyc.diagnostics import Diagnostic, SynergyError
from synergyc.plan.chain_costs import ChainCosts
from synergyc.plan.columns import Columns, Floats, joined
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

Three devices of twelve, for networks of ten layers. With them 20 apps x 12 devices take 1.4 GiB at most
(benchmarks/plan.py).
"""


@dataclass(frozen=True)
class CandidateTable(Columns):
    """Candidates of one app. ``unlisted`` are the numbers of devices of chains left out, ascending."""

    model: CostModel
    chain_list: tuple[Chain, ...]
    unlisted: tuple[int, ...] = ()

    @cached_property
    def drain(self) -> Floats:
        """Share of each battery that an hour at the wanted rate takes, (n, batteries)."""
        app, devices = self.model.app, self.model.problem.devices
        battery_mwh = np.array([item.battery_mwh or 0.0 for item in devices])
        held = np.flatnonzero(battery_mwh)
        return np.asarray(self.energy_uj[:, held] * (wanted_rate_hz(app) / 1000 / battery_mwh[held]))

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
    parts: list[Columns] = []
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
            if len(block):
                parts.append(block)
                chain_list.append(chain)
                total += len(block)
    if not parts and unlisted:
        for chain in chains(model.problem, model.app, unlisted[:1]):
            return _table(model, [costs.block(chain, costs.cut_rows(unlisted[0])[:0])], [chain], unlisted)
    if not parts:
        raise deadline_missed(model, units) or explain_empty(model.problem, model.app, model.network)
    return _table(model, parts, chain_list, unlisted)


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


def with_blocks(table: CandidateTable, blocks: Sequence[Columns], added: Sequence[Chain]) -> CandidateTable:
    """Return ``table`` with the candidates of further chains, one block for each, at its end."""
    new = _table(table.model, blocks, added, table.unlisted)
    both = stacked([table, replace(new, chain=new.chain + len(table.chain_list))])
    return replace(both, chain_list=(*table.chain_list, *added))


def stacked(tables: Sequence[CandidateTable]) -> CandidateTable:
    """Return the rows of all ``tables``, which have the same chains, in order."""
    return replace(tables[0], **joined(tables))


def _table(
    model: CostModel, blocks: Sequence[Columns], chain_list: Sequence[Chain], unlisted: tuple[int, ...]
) -> CandidateTable:
    """Return the table of ``blocks``, one for each chain."""
    parts = [replace(block, chain=np.full(len(block), i, dtype=np.intp)) for i, block in enumerate(blocks)]
    return CandidateTable(**joined(parts), model=model, chain_list=tuple(chain_list), unlisted=unlisted)
