"""Plans that do not fit together as they can still run: with weights loaded for each run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from synergyc.plan.chain_costs import ChainCosts
from synergyc.plan.columns import Floats, Mask
from synergyc.plan.cost import weight_bytes
from synergyc.plan.instance import Instance
from synergyc.plan.selectors.base import Budget, Selection, first_that_fits, no_place_left, ranking
from synergyc.plan.space import Candidate, Chain
from synergyc.plan.table import CandidateTable, unit_index, with_blocks
from synergyc.plan.types import Segment


def loading(instance: Instance, rows: Sequence[int]) -> tuple[Instance, tuple[int, ...]] | None:
    """Return plan ``rows`` with weights loaded for each run where segments do not fit their chip together.

    Candidates that the tables do not list are added at their ends. None if such a plan cannot run either:
    flash is too small, a deadline is missed, or replicas, whose weights stay, are among those segments.
    """
    chosen = [instance.candidate(j, row) for j, row in enumerate(rows)]
    crowded = _crowded(instance, chosen)
    wanted = [replace(c, swapped=tuple(device in crowded for device in c.devices)) for c in chosen]
    if any(c.replicated and any(c.swapped) for c in wanted) or instance.checks.reasons(wanted):
        return None
    tables, found = [], []
    for j, (table, candidate) in enumerate(zip(instance.tables, wanted, strict=True)):
        row = rows[j] if not any(candidate.swapped) else _row_of(table, candidate)
        if row is None:
            row, table = len(table), _added(instance, table, candidate)
        if row == len(table):
            return None
        tables.append(table)
        found.append(row)
    return replace(instance, tables=tuple(tables)), tuple(found)


def all_loading(instance: Instance, budget: Budget) -> Selection:
    """First fit into flash, which has room for more than accelerators: all weights are loaded for each run.

    Apps with the fewest such plans come first, then those with the most weights; each takes as few segments
    as it can, on the devices with the largest flash that have room for it. The objective decides last.
    """
    chosen: dict[int, int] = {}
    for j in _hardest_first(instance):
        scores = instance.scores(j, chosen)
        keys = np.column_stack([instance.tables[j].segments, -_flash_bytes(instance, j), scores])
        possible = instance.free(j, chosen) & np.isfinite(scores[:, 0]) & _all_loaded(instance, j)
        row = first_that_fits(instance, j, ranking(keys, possible), chosen)
        if row is None:
            raise no_place_left(instance, j, chosen)
        chosen[j] = row
    return Selection(tuple(chosen[j] for j in range(len(chosen))))


def _hardest_first(instance: Instance) -> list[int]:
    """Return the apps, those with the fewest plans that load all weights first, then those with the most."""
    apps = range(len(instance.tables))
    sizes = [weight_bytes(table.model.network.layers) for table in instance.tables]
    ways = [
        sum(instance.admits({}, j, int(row)) for row in np.flatnonzero(_all_loaded(instance, j)))
        for j in apps
    ]
    return sorted(apps, key=lambda j: (ways[j], -sizes[j]))


def _flash_bytes(instance: Instance, j: int) -> Floats:
    """Return the flash of the devices of each candidate of ``j``, (n,)."""
    table = instance.tables[j]
    sizes = {device.name: device.chip.flash.size_bytes for device in instance.problem.devices}
    of_chains = [sum(sizes[name] for name in chain.devices) for chain in table.chain_list]
    return np.array(of_chains, dtype=np.float64)[table.chain]


def _all_loaded(instance: Instance, j: int) -> Mask:
    """Return the candidates of ``j`` that load the weights of all their segments."""
    table = instance.tables[j]
    loaded = [bool(chain.swapped) and all(chain.swapped) for chain in table.chain_list]
    return np.array(loaded, dtype=np.bool_)[table.chain]


def _crowded(instance: Instance, chosen: Sequence[Candidate]) -> set[str]:
    """Return the devices on which the segments of ``chosen`` do not fit together."""
    parts: defaultdict[str, list[Segment]] = defaultdict(list)
    for candidate in chosen:
        for segment in candidate.segments:
            parts[segment.device].append(segment)
    return {
        device for device, found in parts.items() if len(found) > 1 and not instance.checks.resident(found)
    }


def _chain_of(candidate: Candidate) -> Chain:
    return Chain(
        candidate.devices,
        candidate.sense_device,
        candidate.interact_device,
        candidate.swapped,
        candidate.replicated,
    )


def _row_of(table: CandidateTable, candidate: Candidate) -> int | None:
    """Return the row of ``candidate``; None if ``table`` does not list it."""
    chain = _chain_of(candidate)
    if chain not in table.chain_list:
        return None
    rows = np.flatnonzero(table.chain == table.chain_list.index(chain))
    for i, cut in enumerate(candidate.cuts):
        rows = rows[table.cuts[rows, i] == cut]
    return int(rows[0]) if len(rows) else None


def _added(instance: Instance, table: CandidateTable, candidate: Candidate) -> CandidateTable:
    """Return ``table`` with ``candidate`` at its end, if that keeps its deadline."""
    costs = ChainCosts(table.model, unit_index(instance.problem))
    boundaries = [0, *(costs.lasts.index(cut) for cut in candidate.cuts), len(costs.lasts) - 1]
    chain = _chain_of(candidate)
    return with_blocks(table, [costs.block(chain, np.array([boundaries], dtype=np.intp))], [chain])
