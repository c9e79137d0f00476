"""The plan space of one app: where to sense, where to cut the network, which devices, where to show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise, permutations, product

from synergyc.diagnostics import Diagnostic, SynergyError
from synergyc.ir.network import Network
from synergyc.plan.problem import PlanApp, PlanProblem
from synergyc.plan.types import Segment


@dataclass(frozen=True)
class Candidate:
    """One way to run an app: ``devices[i]`` runs the layers after ``cuts[i - 1]`` up to ``cuts[i]``."""

    app: str
    sense_device: str
    interact_device: str
    devices: tuple[str, ...]
    cuts: tuple[int, ...]
    """Index of the last layer before each cut, ascending."""
    layers: int
    """Number of layers of the network."""

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The segments in pipeline order."""
        bounds = (-1, *self.cuts, self.layers - 1)
        return tuple(
            Segment(self.app, i, device, before + 1, last)
            for i, (device, (before, last)) in enumerate(zip(self.devices, pairwise(bounds), strict=True))
        )


def legal_cuts(network: Network) -> tuple[int, ...]:
    """Return the layers after which the network may be cut: where exactly one tensor crosses."""
    return tuple(i for i in range(len(network.layers) - 1) if len(network.live_after(i)) == 1)


def enumerate_candidates(problem: PlanProblem, app: PlanApp, network: Network) -> Iterator[Candidate]:
    """Yield every candidate that honours capabilities, links, pins, forbidden devices and ``split``.

    Whether its segments fit their chips is not checked here. The order is fixed: fewest devices first, then
    in the order of the system's devices and of the cuts.
    """
    cuts = legal_cuts(network)
    for devices, ends in chains(problem, app, chain_sizes(problem, app, network)):
        for chosen in combinations(cuts, len(devices) - 1):
            for sense, interact in ends:
                found = Candidate(app.name, sense, interact, devices, chosen, len(network.layers))
                if _honours_pins(found, app):
                    yield found


def chain_sizes(problem: PlanProblem, app: PlanApp, network: Network) -> tuple[int, ...]:
    """Return the numbers of devices that may share the network, ascending."""
    if app.split:
        return (app.split,)
    return tuple(range(1, min(len(_allowed(problem, app)), len(legal_cuts(network)) + 1) + 1))


def chains(
    problem: PlanProblem, app: PlanApp, sizes: Sequence[int]
) -> Iterator[tuple[tuple[str, ...], tuple[tuple[str, str], ...]]]:
    """Yield every chain of linked devices of ``sizes``, with the ends (sense, interact) that reach it."""
    senses, interacts = _sense_devices(problem, app), _interact_devices(problem, app)
    linked = {
        (a.name, b.name)
        for a, b in product(problem.devices, repeat=2)
        if a.name == b.name or problem.link(a.name, b.name)
    }
    for size in sizes:
        for devices in permutations(_allowed(problem, app), size):
            if all(pair in linked for pair in pairwise(devices)):
                ends = tuple(
                    (sense, interact)
                    for sense, interact in product(senses, interacts)
                    if (sense, devices[0]) in linked and (devices[-1], interact) in linked
                )
                if ends:
                    yield devices, ends


def explain_empty(problem: PlanProblem, app: PlanApp, network: Network) -> SynergyError:
    """Return the error that says why ``app`` has no candidate at all."""
    allowed = _allowed(problem, app)
    cuts = legal_cuts(network)
    parts = len(cuts) + 1
    problems = {
        "no-device-with-sensor": (not _sense_devices(problem, app), f"no device can sense {app.sensor!r}"),
        "no-device-with-actuator": (
            not _interact_devices(problem, app),
            f"no device can interact by {app.actuator!r}",
        ),
        "no-device-left": (not allowed, "every device is forbidden"),
    }
    for rule, (holds, message) in problems.items():
        if holds:
            return SynergyError(Diagnostic(rule, f"app {app.name!r}: {message}", app.location))
    if app.split and app.split > parts:
        return SynergyError(
            Diagnostic(
                "split-cuts",
                f"app {app.name!r}: network must have enough places where one tensor crosses",
                app.location,
                need=f"{app.split - 1} cut points",
                have=f"{len(cuts)} cut points",
                hint=f"split: {parts} at most",
            )
        )
    message = f"app {app.name!r}: no chain of linked devices honours its pins, forbidden devices and split"
    return SynergyError(Diagnostic("no-route", message, app.location, hint="add a link or loosen a pin"))


def _sense_devices(problem: PlanProblem, app: PlanApp) -> list[str]:
    able = [device.name for device in problem.devices if app.sensor in device.sensors]
    return [name for name in able if app.sense_on in (None, name)]


def _interact_devices(problem: PlanProblem, app: PlanApp) -> list[str]:
    able = [device.name for device in problem.devices if app.actuator in device.actuators]
    return [name for name in able if app.interact_on in (None, name)]


def _allowed(problem: PlanProblem, app: PlanApp) -> list[str]:
    return [device.name for device in problem.devices if device.name not in app.forbid]


def _honours_pins(candidate: Candidate, app: PlanApp) -> bool:
    return all(
        any(
            segment.device == pin.device and segment.first <= pin.first and pin.last <= segment.last
            for segment in candidate.segments
        )
        for pin in app.pins
    )
