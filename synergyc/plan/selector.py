"""Choosing a plan: every candidate is costed, the best one that fits its chips is taken."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, product
from typing import Protocol

from synergyc.diagnostics import Diagnostic, SynergyError, did_you_mean, fail
from synergyc.ir.network import Network
from synergyc.plan.cost import CostModel, app_plans
from synergyc.plan.problem import Objective, PlanApp, PlanProblem
from synergyc.plan.space import Candidate, enumerate_candidates, explain_empty
from synergyc.plan.types import AppPlan, Plan, Segment
from synergyc.targets import Chip

Fits = Callable[[Network, Chip], tuple[Diagnostic, ...]]
"""Tells what stands against running a segment on a chip; nothing if it fits."""

MAX_COMBINATIONS = 20_000
"""What the exhaustive selector compares at most: about five seconds."""

ALTERNATIVES = 5
"""Runners-up that are kept."""

Score = tuple[float, ...]
Combination = tuple[Candidate, ...]


@dataclass(frozen=True)
class Rejected:
    """A plan that would have come before others that fit, and what stands against it."""

    apps: tuple[AppPlan, ...]
    reasons: tuple[Diagnostic, ...]


@dataclass(frozen=True)
class PlanResult:
    """The chosen plan, the best others that fit, and the better ones that do not fit.

    ``gap`` is the relative distance of the objective to a proven bound: 0 where ``optimal``.
    """

    plan: Plan
    alternatives: tuple[Plan, ...]
    rejected: tuple[Rejected, ...]
    optimal: bool
    gap: float
    solve_s: float = field(compare=False)


class Selector(Protocol):
    """A way to choose among all plans of a problem."""

    def __call__(
        self, problem: PlanProblem, networks: Mapping[str, Network], fits: Fits, objective: Objective
    ) -> PlanResult:
        """Return the choice; raises SynergyError if there is none."""
        ...


def choose(
    problem: PlanProblem,
    networks: Mapping[str, Network],
    fits: Fits,
    objective: Objective = "throughput",
    selector: str = "exact",
) -> PlanResult:
    """Return the best plan for ``problem`` with one network for each app.

    Raises SynergyError if the selector is unknown, a pin lies outside its network, no candidate honours
    what the app file asks, none fits, or there are too many to compare.
    """
    if selector not in SELECTORS:
        hint = did_you_mean(selector, SELECTORS)
        raise fail("unknown-selector", f"selector must be a known one, not {selector!r}", hint=hint)
    outside = [item for app in problem.apps for item in _check_pins(app, networks[app.name])]
    if outside:
        raise SynergyError(outside)
    return SELECTORS[selector](problem, networks, fits, objective)


def select_exact(
    problem: PlanProblem, networks: Mapping[str, Network], fits: Fits, objective: Objective
) -> PlanResult:
    """Compare all combinations of the apps' candidates; the selector ``exact``."""
    started = time.perf_counter()
    search = _Search(
        tuple(CostModel(problem, app, networks[app.name]) for app in problem.apps), fits, objective
    )
    ranked = search.ranked()
    chosen: list[Combination] = []
    rejected: list[Rejected] = []
    for combination in ranked:
        reasons = search.reasons(combination)
        if reasons:
            rejected.append(Rejected(search.plan(combination), reasons))
            continue
        chosen.append(combination)
        if len(chosen) > ALTERNATIVES:
            break
    if not chosen:
        raise _nothing_fits(rejected)
    plans = [Plan(search.plan(item), objective, "exact", len(ranked)) for item in chosen]
    return PlanResult(
        plan=plans[0],
        alternatives=tuple(plans[1:]),
        rejected=tuple(rejected),
        optimal=True,
        gap=0.0,
        solve_s=time.perf_counter() - started,
    )


SELECTORS: Mapping[str, Selector] = {"exact": select_exact}


@dataclass(frozen=True)
class _Search:
    """One exhaustive search. What a segment's check said is asked once."""

    models: tuple[CostModel, ...]
    fits: Fits
    objective: Objective
    _checked: dict[tuple[str, int, int, str], tuple[Diagnostic, ...]] = field(default_factory=dict)

    def ranked(self) -> list[Combination]:
        """Return all combinations, best first; equals stay in the order of enumeration."""
        spaces = []
        for model in self.models:
            candidates = enumerate_candidates(model.problem, model.app, model.network)
            spaces.append(tuple(islice(candidates, MAX_COMBINATIONS + 1)))
            if not spaces[-1]:
                raise explain_empty(model.problem, model.app, model.network)
        count = math.prod(map(len, spaces))
        if count > MAX_COMBINATIONS:
            raise fail(
                "plan-space-size",
                "exact selector must not compare so many plans",
                need=f"{'more than ' * (len(spaces) == 1)}{min(count, MAX_COMBINATIONS + 1)} plans",
                have=f"{MAX_COMBINATIONS} plans",
                hint="set split, pin layers, forbid devices or say on which device to sense and interact",
            )
        return sorted(product(*spaces), key=lambda combination: self._score(self.plan(combination)))

    def plan(self, combination: Combination) -> tuple[AppPlan, ...]:
        """Return the plans of apps that run together."""
        costings = [model.cost(item) for model, item in zip(self.models, combination, strict=True)]
        return app_plans(costings)

    def reasons(self, combination: Combination) -> tuple[Diagnostic, ...]:
        """Return what stands against the segments of ``combination``."""
        pairs = zip(self.models, combination, strict=True)
        parts = [(model, segment) for model, candidate in pairs for segment in candidate.segments]
        reasons = [reason for model, segment in parts for reason in self._check(model, segment)]
        return (*reasons, *_shared_accelerators([segment for _, segment in parts]))

    def _check(self, model: CostModel, segment: Segment) -> tuple[Diagnostic, ...]:
        chip = model.problem.device(segment.device).chip
        key = (segment.app, segment.first, segment.last, chip.name)
        if key not in self._checked:
            self._checked[key] = self.fits(model.network.segment(segment.first, segment.last), chip)
        return self._checked[key]

    def _score(self, apps: Sequence[AppPlan]) -> Score:
        """Return the sort key: the objective, the other one, then fewer devices and fewer bytes.

        Rounded, so that equal plans do not differ by the order of additions.
        """
        goals = {
            "throughput": -round(sum(app.predicted.throughput_hz for app in apps), 6),
            "latency": round(sum(app.predicted.latency_ms for app in apps), 6),
        }
        other = next(goal for goal in goals if goal != self.objective)
        segments = sum(len(app.segments) for app in apps)
        size_bytes = sum(hand_off.size_bytes for app in apps for hand_off in app.hand_offs)
        return (goals[self.objective], goals[other], segments, size_bytes)


def _shared_accelerators(segments: Sequence[Segment]) -> Iterator[Diagnostic]:
    """Two segments on one accelerator would have to be swapped, which the firmware does not do yet."""
    for device in dict.fromkeys(segment.device for segment in segments):
        names = [segment.name for segment in segments if segment.device == device]
        if len(names) > 1:
            message = f"device {device!r} must run one segment, not {', '.join(names)}"
            need, have = f"{len(names)} segments", "1 segment"
            hint = "forbid the device for all apps but one, or add a device"
            yield Diagnostic("shared-accelerator", message, need=need, have=have, hint=hint)


def _check_pins(app: PlanApp, network: Network) -> list[Diagnostic]:
    last = len(network.layers) - 1
    return [
        Diagnostic(
            "pin-range",
            f"app {app.name!r}: pinned layers must exist",
            pin.location,
            need=f"layer {pin.last}",
            have=f"layers 0-{last}",
        )
        for pin in app.pins
        if pin.last > last
    ]


def _nothing_fits(rejected: Sequence[Rejected]) -> SynergyError:
    """Return the error for the plan that comes nearest: the one with the least excess, then the best."""
    nearest = min(rejected, key=lambda item: _excess(item.reasons))
    segments = "; ".join(str(segment) for app in nearest.apps for segment in app.segments)
    head = Diagnostic(
        "plan-fits-nowhere",
        f"none of {len(rejected)} plans fits; the nearest one ({segments}) breaks these limits:",
        hint="more or larger devices, narrower weights (quantize: bits), a smaller network",
    )
    return SynergyError((head, *nearest.reasons))


def _excess(reasons: Sequence[Diagnostic]) -> tuple[float, int]:
    """Return the largest ratio of need to have, and the number of broken limits."""
    return max(_ratio(reason) for reason in reasons), len(reasons)


def _ratio(reason: Diagnostic) -> float:
    """Return need over have by the first number in each; infinite where there is no such pair."""
    numbers = [re.search(r"\d[\d,]*", text or "") for text in (reason.need, reason.have)]
    need, have = (int(found[0].replace(",", "")) if found else 0 for found in numbers)
    return need / have if need and have else math.inf
