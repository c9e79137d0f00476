"""Long chains of devices built segment by segment: labels with what they take so far and at least to the end.

A label is the begin of a chain: devices, boundaries between them, and what one run takes up to there. What is
still to come is bounded by a dynamic programme over (device, boundary) in which a device may come twice; each
figure is the smallest on its own. So a label's figures are lower bounds of those of every chain that begins
with it, and a search may drop the label where they rule out a better plan.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np

from synergyc.diagnostics import Diagnostic, SynergyError
from synergyc.plan.chain_costs import ChainCosts
from synergyc.plan.columns import Columns, Floats, Indices, Mask
from synergyc.plan.space import Chain, allowed_devices, interact_devices, sense_devices
from synergyc.plan.table import CandidateTable, deadline_missed, unit_index, with_blocks

_ROWS_AT_ONCE = 50_000
"""Longer labels that are looked at together: some tens of megabytes."""

_SOME = 1_000
"""Begins that go on where a table would list too many chains: selectors have something to choose from."""


@dataclass(frozen=True)
class Labels:
    """Begins of chains, n rows of k segments.

    ``senses`` (n,) and ``devices`` (n, k) are columns of the problem's devices, ``ends`` (n, k) the boundary
    after each segment; ``taken`` (n, K) is what one run takes of each unit in microseconds, of each device
    and of all together in microjoules, its latency in microseconds, and bytes handed over. The sum has a
    column of its own: each device alone may be spared what is still to come, all of them may not.
    """

    senses: Indices
    devices: Indices
    ends: Indices
    taken: Floats

    def __len__(self) -> int:
        return len(self.senses)

    def only(self, rows: Indices | Mask | slice) -> Labels:
        """Return the labels of these rows."""
        return Labels(*(getattr(self, item.name)[rows] for item in fields(self)))

    @staticmethod
    def together(parts: list[Labels]) -> Labels:
        """Return the rows of all ``parts``, at least one."""
        names = [item.name for item in fields(Labels)]
        return Labels(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    @staticmethod
    def by_size(parts: list[Labels]) -> Iterator[Labels]:
        """Yield the distinct labels of all ``parts``, those of one number of segments at a time."""
        for size in sorted({part.devices.shape[1] for part in parts}):
            labels = Labels.together([part for part in parts if part.devices.shape[1] == size])
            keys = np.column_stack([labels.senses, labels.devices, labels.ends])
            yield labels.only(np.unique(keys, axis=0, return_index=True)[1])


Keep = Callable[[Labels], Labels]
"""Returns those of some labels that are worth being made longer."""

Fits = Callable[[str, int, int], bool]
"""Tells whether layers fit a chip of their own: asked are device, first and last layer."""


@dataclass(frozen=True)
class LongChains:
    """All chains of one app with ``fewest`` to ``most`` devices, none of them listed."""

    costs: ChainCosts
    fewest: int
    most: int

    @staticmethod
    def of(table: CandidateTable) -> LongChains:
        """Return the chains that ``table`` does not list."""
        costs = ChainCosts(table.model, unit_index(table.model.problem))
        return LongChains(costs, table.unlisted[0], table.unlisted[-1])

    def start(self) -> Labels:
        """Return every begin of one segment."""
        senses, devices = np.nonzero(self._linked & self._senses[:, None] & self._allowed)
        rows, ends = np.nonzero(self._possible[devices, 0])
        senses, devices = senses[rows], devices[rows]
        taken = self._moves[senses, devices, 0] + self._work[devices, 0, ends]
        app = self.costs.model.app
        if app.prepares:
            for name, place in self.costs.places.items():
                taken[senses == place] += self.costs.prepare_taken(name)
        if app.rate_hz is not None:
            for name, place in self.costs.places.items():
                column = self.costs.units.get(f"{name}.{app.sensor}/{app.name}")
                if column is not None:
                    taken[senses == place, column] += 1e6 / app.rate_hz
        return self._promising(Labels(senses, devices[:, None], ends[:, None], taken))

    def longer(self, labels: Labels, keep: Keep) -> tuple[Labels, Labels]:
        """Return what one more segment makes of ``labels`` and ``keep`` keeps: begins, and whole chains."""
        step = max(1, _ROWS_AT_ONCE // max(1, int(self._allowed.sum()) * self._last))
        parts = [
            keep(self._promising(self._extended(labels.only(slice(i, i + step)))))
            for i in range(0, max(1, len(labels)), step)
        ]
        found = Labels.together(parts)
        whole = found.ends[:, -1] == self._last
        return found.only(~whole), found.only(whole)

    def some(self, most: int, fits: Fits) -> list[Labels]:
        """Return some whole chains: in each round the ``most`` begins with the shortest latency go on.

        Begins whose last segment does not fit go on only where no others are left.
        """

        def keep(labels: Labels) -> Labels:
            fitting = self.fitting(labels, fits)
            return fitting if len(fitting) else labels

        begins, done = keep(self.start()), []
        while len(begins):
            latency_us = self._least(begins)[:, -2]
            begins, whole = self.longer(begins.only(latency_us.argsort(kind="stable")[:most]), keep)
            done.append(whole)
        return done

    def bounds(self, labels: Labels, like: CandidateTable) -> CandidateTable:
        """Return what chains that begin with ``labels`` take at least, as rows that name no candidates."""
        least, count = self._least(labels), len(labels)
        units, devices = len(self.costs.units), len(self.costs.places)
        return replace(
            like,
            chain=np.zeros(count, dtype=np.intp),
            cuts=np.zeros((count, like.cuts.shape[1]), dtype=np.int32),
            busy_us=least[:, :units],
            energy_uj=least[:, units : units + devices],
            run_uj=least[:, -3],
            latency_us=least[:, -2],
            model_us=np.zeros(count),
            size_bytes=least[:, -1],
            segments=np.full(count, float(max(labels.devices.shape[1], self.fewest))),
            mask=np.bitwise_or.reduce(np.uint64(1) << labels.devices.astype(np.uint64), axis=1),
            begun=np.ones(count, dtype=np.bool_),
        )

    def added(self, table: CandidateTable, labels: Labels) -> CandidateTable:
        """Return ``table`` with the candidates of whole ``labels`` at its end, costed as all others."""
        blocks: list[Columns] = []
        chains: list[Chain] = []
        for chain, rows in self._grouped(labels):
            block = self.costs.block(chain, rows)
            if len(block):
                blocks.append(block)
                chains.append(chain)
        return with_blocks(table, blocks, chains) if blocks else table

    def fitting(self, labels: Labels, fits: Fits) -> Labels:
        """Return the labels whose last segment fits."""
        before = labels.ends[:, -2] if labels.ends.shape[1] > 1 else np.zeros(len(labels), dtype=np.intp)
        keys = np.column_stack([labels.devices[:, -1], before, labels.ends[:, -1]])
        distinct, group = np.unique(keys, axis=0, return_inverse=True)
        names, lasts = list(self.costs.places), self.costs.lasts
        answers = [fits(names[d], lasts[begin] + 1, lasts[end]) for d, begin, end in distinct]
        return labels.only(np.array(answers, dtype=np.bool_)[group.reshape(-1)])

    def _grouped(self, labels: Labels) -> Iterator[tuple[Chain, Indices]]:
        """Yield each chain of devices, from sensing to interacting, with its choices of boundaries."""
        names = list(self.costs.places)
        keys = np.column_stack([labels.senses, labels.devices])
        ends = np.hstack([np.zeros((len(labels), 1), dtype=np.intp), labels.ends])
        distinct, group = np.unique(keys, axis=0, return_inverse=True)
        for i, (sense, *devices) in enumerate(distinct):
            rows = ends[group.reshape(-1) == i]
            for interact in np.flatnonzero(self._interacts & self._linked[devices[-1]]):
                yield Chain(tuple(names[d] for d in devices), names[sense], names[interact]), rows

    def _extended(self, labels: Labels) -> Labels:
        last, boundary = labels.devices[:, -1], labels.ends[:, -1]
        free = self._linked[last] & self._allowed
        np.put_along_axis(free, labels.devices, False, axis=1)
        rows, devices, ends = np.nonzero(free[:, :, None] & self._possible[:, boundary].transpose(1, 0, 2))
        taken = labels.taken[rows] + self._moves[last[rows], devices, boundary[rows]]
        taken += self._work[devices, boundary[rows], ends]
        return Labels(
            labels.senses[rows],
            np.column_stack([labels.devices[rows], devices]),
            np.column_stack([labels.ends[rows], ends]),
            taken,
        )

    def _promising(self, labels: Labels) -> Labels:
        """Return the labels from which an end can be reached, in time and with enough devices."""
        latency_us = self._least(labels)[:, -2]
        deadline_ms = self.costs.model.app.deadline_ms
        limit_us = np.inf if deadline_ms is None else deadline_ms * 1000
        reached = np.isfinite(latency_us) & (latency_us <= limit_us)
        if labels.devices.shape[1] >= self.most:
            reached &= labels.ends[:, -1] == self._last
        return labels.only(reached)

    def _least(self, labels: Labels) -> Floats:
        missing = max(0, self.fewest - labels.devices.shape[1])
        return np.asarray(labels.taken + self._to_come[missing, labels.devices[:, -1], labels.ends[:, -1]])

    @property
    def _last(self) -> int:
        """Number of the boundary behind the last layer."""
        return len(self.costs.lasts) - 1

    def _marked(self, names: list[str]) -> Mask:
        return np.array([name in names for name in self.costs.places], dtype=np.bool_)

    @cached_property
    def _allowed(self) -> Mask:
        return self._marked(allowed_devices(self.costs.model.problem, self.costs.model.app))

    @cached_property
    def _senses(self) -> Mask:
        return self._marked(sense_devices(self.costs.model.problem, self.costs.model.app))

    @cached_property
    def _interacts(self) -> Mask:
        return self._marked(interact_devices(self.costs.model.problem, self.costs.model.app))

    @cached_property
    def _linked(self) -> Mask:
        """Whether a device is, or has a link to, another, (D, D)."""
        problem, names = self.costs.model.problem, list(self.costs.places)
        return np.array(
            [[one == other or problem.link(one, other) is not None for other in names] for one in names],
            dtype=np.bool_,
        )

    @cached_property
    def _possible(self) -> Mask:
        """Whether a device may run what lies between two boundaries, (D, B, B): whole, and as pinned."""
        lasts, size = np.array(self.costs.lasts), len(self.costs.lasts)
        found = np.zeros((len(self.costs.places), size, size), dtype=np.bool_)
        found[:] = self.costs.whole
        before, after = lasts[:, None], lasts[None, :]
        for pin in self.costs.model.app.pins:
            apart = (after < pin.first) | (pin.last <= before)
            holds = (before < pin.first) & (pin.last <= after)
            for name, place in self.costs.places.items():
                found[place] &= apart | holds if name == pin.device else apart
        return found

    @cached_property
    def _moves(self) -> Floats:
        """What it takes to hand over at each boundary, (D, D, B, K)."""
        names, width = list(self.costs.places), self._width
        found = np.zeros((len(names), len(names), len(self.costs.lasts), width))
        for s, t in np.argwhere(self._linked & ~np.eye(len(names), dtype=np.bool_)):
            found[s, t] = self.costs.move_taken(names[s], names[t])
        return found

    @cached_property
    def _work(self) -> Floats:
        """What inference between two boundaries takes, (D, B, B, K)."""
        return np.stack([self.costs.inference_taken(name) for name in self.costs.places])

    @property
    def _width(self) -> int:
        return len(self.costs.units) + len(self.costs.places) + 3

    @cached_property
    def _to_come(self) -> Floats:
        """What is at least to come behind a segment that ends on a device at a boundary, (R, D, B, K).

        R is the number of segments that must still come at least; infinite where no end can be reached.
        """
        names, last = list(self.costs.places), self._last
        found = np.full((max(1, self.fewest), len(names), last + 1, self._width), np.inf)
        for d, t in np.argwhere(self._linked & self._interacts & self._allowed[:, None]):
            end = self._moves[d, t, last] + self.costs.report_taken(names[d], names[t])
            found[0, d, last] = np.minimum(found[0, d, last], end)
        others = self._linked & self._allowed & ~np.eye(len(names), dtype=np.bool_)
        for boundary in range(last - 1, 0, -1):
            for missing in range(len(found)):
                behind = found[max(0, missing - 1), :, boundary + 1 :]
                steps = self._work[:, boundary, boundary + 1 :] + behind
                steps[~self._possible[:, boundary, boundary + 1 :]] = np.inf
                onward = self._moves[:, :, boundary] + steps.min(axis=1)
                onward[~others] = np.inf
                found[missing, :, boundary] = onward.min(axis=1)
        return found


def with_some(table: CandidateTable, fits: Fits) -> CandidateTable:
    """Return ``table``, which lists nothing, with some of its candidates; all of them stay unlisted.

    Raises SynergyError if none is found.
    """
    chains, app = LongChains.of(table), table.model.app
    for labels in Labels.by_size(chains.some(_SOME, fits)):
        table = chains.added(table, labels)
    if not len(table):
        message = (
            f"app {app.name!r}: no chain of {chains.fewest} devices was found that can share its network"
        )
        hint = "split it among fewer devices, forbid some, or loosen its pins and deadline"
        raise deadline_missed(table.model, chains.costs.units) or SynergyError(
            Diagnostic("split-devices", message, app.location, hint=hint)
        )
    return table
