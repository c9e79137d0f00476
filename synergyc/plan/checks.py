"""Whether segments fit their chips, alone and beside each other, and plans their devices.

What is asked again is known.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from synergyc.diagnostics import Diagnostic
from synergyc.ir.network import Network
from synergyc.plan.memory import Memories
from synergyc.plan.problem import PlanProblem
from synergyc.plan.space import Candidate
from synergyc.plan.types import Segment
from synergyc.targets import Chip

Fits = Callable[[Sequence[Network], Chip], tuple[Diagnostic, ...]]
"""Tells what stands against segments that are resident together on a chip; nothing if they fit.

Assumed: segments that do not fit do not fit beside further ones either. Bounds and proofs rest on it.
"""

MIXED_RESIDENCY = "mixed-residency"
"""Rule: on one device all segments are resident, or all load their weights for a run."""

Part = tuple[str, int, int]


@dataclass(frozen=True)
class Checks:
    """Asks ``fits`` about the segments of candidates. What was said is kept."""

    problem: PlanProblem
    networks: Mapping[str, Network]
    fits: Fits
    _said: dict[tuple[str, tuple[Part, ...]], tuple[Diagnostic, ...]] = field(default_factory=dict)
    _alone: dict[Candidate, bool] = field(default_factory=dict)

    def alone(self, candidate: Candidate) -> bool:
        """Return whether each segment fits a chip of its own, and devices have room for the rest."""
        if candidate not in self._alone:
            fits = not any(self._ask(segment.device, (segment,)) for segment in candidate.segments)
            self._alone[candidate] = fits and self.have_room([candidate])
        return self._alone[candidate]

    def segment_fits(self, app: str, device: str, first: int, last: int) -> bool:
        """Return whether layers ``first`` to ``last`` of ``app`` fit a chip of their own."""
        return not self._ask(device, (Segment(app, 0, device, first, last),))

    def together(self, candidates: Sequence[Candidate]) -> bool:
        """Return whether all segments of ``candidates`` can be resident at once."""
        by_device = self._by_device(candidates)
        if not self.problem.shared_accelerators and any(len(parts) > 1 for parts in by_device.values()):
            return False
        if not all(self.alone(candidate) for candidate in candidates):
            return False
        return not any(self._beside(device, parts) for device, parts in by_device.items())

    def have_room(self, candidates: Sequence[Candidate]) -> bool:
        """Return whether flash and RAM of all devices have room for ``candidates`` at once."""
        return self._memories.hold(candidates)

    @property
    def crowded(self) -> bool:
        """Whether any segments have been refused beside each other so far."""
        return any(said and len(parts) > 1 for (_, parts), said in self._said.items())

    def resident(self, segments: Sequence[Segment]) -> bool:
        """Return whether segments of one device can be in its accelerator's memories together."""
        return not self._ask(segments[0].device, segments)

    def reasons(self, candidates: Sequence[Candidate]) -> tuple[Diagnostic, ...]:
        """Return everything that stands against ``candidates`` together."""
        segments = [segment for candidate in candidates for segment in candidate.segments]
        found = [reason for segment in segments for reason in self._ask(segment.device, (segment,))]
        for device, parts in self._by_device(candidates).items():
            if len(parts) > 1 and not self.problem.shared_accelerators:
                found.append(_shared_accelerator(device, parts))
            elif len(parts) > 1 and not any(self._ask(device, (part,)) for part in parts):
                found += self._beside(device, parts)
        return (*found, *self._memories.reasons(candidates))

    def _beside(self, device: str, parts: Sequence[Segment]) -> tuple[Diagnostic, ...]:
        """Return what stands against segments that fit alone, on one accelerator."""
        swapped = sum(part.swapped for part in parts)
        if len(parts) < 2 or swapped == len(parts):
            return ()
        if swapped:
            names = ", ".join(part.name for part in parts)
            message = f"device {device!r}: {names} must all be resident, or all load weights for each run"
            return (Diagnostic(MIXED_RESIDENCY, message),)
        return self._ask(device, parts)

    def _by_device(self, candidates: Sequence[Candidate]) -> dict[str, list[Segment]]:
        found: defaultdict[str, list[Segment]] = defaultdict(list)
        for candidate in candidates:
            for segment in candidate.segments:
                found[segment.device].append(segment)
        return found

    @cached_property
    def _memories(self) -> Memories:
        return Memories(self.problem, self.networks)

    @cached_property
    def _order(self) -> Mapping[str, int]:
        return {app.name: number for number, app in enumerate(self.problem.apps)}

    def _ask(self, device: str, segments: Sequence[Segment]) -> tuple[Diagnostic, ...]:
        """Ask about segments in the order in which a plan has them: builds place them in that order."""
        chip = self.problem.device(device).chip
        ordered = sorted(segments, key=lambda segment: (self._order[segment.app], segment.first))
        parts = tuple((segment.app, segment.first, segment.last) for segment in ordered)
        key = (chip.name, parts)
        if key not in self._said:
            networks = [self.networks[app].segment(first, last) for app, first, last in parts]
            self._said[key] = self.fits(networks, chip)
        return self._said[key]


def _shared_accelerator(device: str, segments: Sequence[Segment]) -> Diagnostic:
    """Two segments on one accelerator would have to be resident together, which firmware cannot do yet."""
    names = ", ".join(segment.name for segment in segments)
    return Diagnostic(
        "shared-accelerator",
        f"device {device!r} must run one segment, not {names}",
        need=f"{len(segments)} segments",
        have="1 segment",
        hint="forbid the device for all apps but one, or add a device",
    )
