"""How long one run of every app takes when all begin together, by the played schedule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from synergyc.plan.instance import Instance
from synergyc.plan.residency import with_residency
from synergyc.plan.space import Candidate
from synergyc.plan.timeline import schedule
from synergyc.plan.types import AppSchedule


@dataclass(frozen=True)
class Rounds:
    """Plays rounds of one system. What an app takes on its own is played once for each candidate."""

    instance: Instance
    _alone_ms: dict[tuple[int, Candidate], float] = field(default_factory=dict)

    def together_ms(self, candidates: Sequence[Candidate]) -> float:
        """Return the longest latency where all apps begin at once and their runs overlap."""
        played = self._played(range(len(candidates)), with_residency(candidates, self.instance.checks))
        return max(app.latency_ms for app in played)

    def one_by_one_ms(self, candidates: Sequence[Candidate]) -> float:
        """Return when the last app has its result where one begins as the one before it has ended."""
        return sum(self._alone(j, candidate) for j, candidate in enumerate(candidates))

    def _alone(self, j: int, candidate: Candidate) -> float:
        if (j, candidate) not in self._alone_ms:
            # Set 0 is in place at boot, set 1 is loaded: others were there since the last round.
            settled = replace(candidate, residency=tuple(int(swapped) for swapped in candidate.swapped))
            self._alone_ms[j, candidate] = self._played([j], [settled])[0].latency_ms
        return self._alone_ms[j, candidate]

    def _played(self, apps: Sequence[int], candidates: Sequence[Candidate]) -> list[AppSchedule]:
        models = [self.instance.tables[j].model for j in apps]
        costings = [model.cost(item) for model, item in zip(models, candidates, strict=True)]
        return list(schedule(self.instance.problem, costings, runs=1).apps.values())
