"""The plan space of one app: where to sense, where to cut the network, which devices, where to show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, pairwise, permutations, product

from synergyc.diagnostics import Diagnostic, SynergyError
from synergyc.ir.network import Network
from synergyc.plan.problem import PlanApp, PlanProblem
from synergyc.plan.types import Segment


@dataclass(frozen=True)
class Candidate:
    """One way to run an app: ``devices[i]`` runs the layers after ``cuts[i - 1]`` up to ``cuts[i]``.

    ``swapped[i]``: that device may have to load the weights for a run; empty: all stay resident.
    ``residency[i]``: the set that the segment belongs to there, as ``plan.residency`` finds it; empty: not
    known yet. ``replicated``: each device runs the whole network, one run after another in turn.
    """

    app: str
    sense_device: str
    interact_device: str
    devices: tuple[str, ...]
    cuts: tuple[int, ...]
    """Index of the last layer before each cut, ascending."""
    layers: int
    """Number of layers of the network."""
    swapped: tuple[bool, ...] = ()
    replicated: bool = False
    residency: tuple[int, ...] = ()

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The segments in pipeline order."""
        count = len(self.devices)
        swapped, residency = self.swapped or (False,) * count, self.residency or (0,) * count
        bounds = (-1, *self.cuts, self.layers - 1)
        parts = [(-1, self.layers - 1)] * len(self.devices) if self.replicated else list(pairwise(bounds))
        return tuple(
            Segment(self.app, i, self.devices[i], before + 1, last, swapped[i], residency[i])
            for i, (before, last) in enumerate(parts)
        )


@dataclass(frozen=True)
class Chain:
    """The devices of a candidate, and how they serve it; all but its cuts."""

    devices: tuple[str, ...]
    sense: str
    interact: str
    swapped: tuple[bool, ...] = ()
    replicated: bool = False

    @cached_property
    def places(self) -> frozenset[str]:
        """All devices with a part in it."""
        return frozenset({*self.devices, self.sense, self.interact})

    @property
    def cuts(self) -> int:
        """Number of cuts that it needs."""
        return 0 if self.replicated else len(self.devices) - 1

    def candidate(self, app: str, cuts: tuple[int, ...], layers: int) -> Candidate:
        """Return the candidate with these cuts in a network of so many layers."""
        return Candidate(
            app, self.sense, self.interact, self.devices, cuts, layers, self.swapped, self.replicated
        )


MOST_SWAPPING = 2
"""Chains of up to so many devices may load weights for every run."""

MOST_REPLICAS = 4
"""Devices that may take the runs of one app in turn, unless the app asks for more."""


def legal_cuts(network: Network, *, several: bool = False) -> tuple[int, ...]:
    """Return the layers after which the network may be cut: where one tensor crosses, or ``several`` may."""
    return tuple(i for i in range(len(network.layers) - 1) if several or len(network.live_after(i)) == 1)


def is_segment(network: Network, first: int, last: int) -> bool:
    """Return whether layers ``first`` to ``last`` make every tensor that is needed after them.

    Plans hand tensors from a segment to the next one, not past it.
    """
    made = {layer.output.name for layer in network.layers[first : last + 1]}
    return made.issuperset(network.live_after(last))


def enumerate_candidates(problem: PlanProblem, app: PlanApp, network: Network) -> Iterator[Candidate]:
    """Yield every candidate that honours capabilities, links, pins, ``forbid``, ``split`` and ``replicas``.

    Whether its segments fit their chips is not checked here. The order is fixed: fewest devices first, then
    in the order of the system's devices and of the cuts.
    """
    cuts = legal_cuts(network, several=problem.multi_tensor_cuts)
    for chain in chains(problem, app, chain_sizes(problem, app, network)):
        for chosen in combinations(cuts, chain.cuts):
            found = chain.candidate(app.name, chosen, len(network.layers))
            parts = () if chain.replicated else found.segments
            if _honours_pins(found, app) and all(is_segment(network, s.first, s.last) for s in parts):
                yield found


def chain_sizes(problem: PlanProblem, app: PlanApp, network: Network) -> tuple[int, ...]:
    """Return the numbers of devices that may share the network, ascending."""
    if app.split:
        return (app.split,)
    if wants_replicas(app):
        return (1,)
    cuts = legal_cuts(network, several=problem.multi_tensor_cuts)
    return tuple(range(1, min(len(allowed_devices(problem, app)), len(cuts) + 1) + 1))


def chains(problem: PlanProblem, app: PlanApp, sizes: Sequence[int]) -> Iterator[Chain]:
    """Yield every chain of linked devices of ``sizes``, then the sets of devices that take runs in turn.

    An app that asks for replicas has the latter only.
    """
    senses, interacts = sense_devices(problem, app), interact_devices(problem, app)
    linked = {
        (a.name, b.name)
        for a, b in product(problem.devices, repeat=2)
        if a.name == b.name or problem.link(a.name, b.name)
    }
    for size in () if wants_replicas(app) else sizes:
        for devices in permutations(allowed_devices(problem, app), size):
            if all(pair in linked for pair in pairwise(devices)):
                for sense, interact in product(senses, interacts):
                    if (sense, devices[0]) in linked and (devices[-1], interact) in linked:
                        for swapped in _swaps(problem, size):
                            yield Chain(devices, sense, interact, swapped)
    if app.replicas != 1 and 1 in sizes:
        yield from _replicas(problem, app)


def wants_replicas(app: PlanApp) -> bool:
    """Return whether ``app`` asks for several devices that take its runs in turn."""
    return app.replicas not in (None, 1)


def replica_counts(app: PlanApp, devices: int) -> range:
    """Return the numbers of devices that may take the runs of ``app`` in turn, if ``devices`` could."""
    if app.replicas is None:
        return range(2, min(devices, MOST_REPLICAS) + 1)
    return range(app.replicas, min(devices, app.replicas) + 1)


def _replicas(problem: PlanProblem, app: PlanApp) -> Iterator[Chain]:
    for sense, interact in product(sense_devices(problem, app), interact_devices(problem, app)):
        for alike in _alike(problem, app, sense, interact):
            for count in replica_counts(app, len(alike)):
                for devices in combinations(alike, count):
                    yield Chain(devices, sense, interact, (), replicated=True)


def _alike(problem: PlanProblem, app: PlanApp, sense: str, interact: str) -> list[list[str]]:
    """Return the devices that may be replicas together, by chip: they get equal shares of the runs.

    Each has a link to the device that senses and to that which interacts, or is one of them.
    """
    found: dict[str, list[str]] = {}
    for name in allowed_devices(problem, app):
        if all(end == name or problem.link(end, name) is not None for end in (sense, interact)):
            found.setdefault(problem.device(name).chip.name, []).append(name)
    return list(found.values())


def _swaps(problem: PlanProblem, size: int) -> Iterator[tuple[bool, ...]]:
    if problem.weight_swap and size <= MOST_SWAPPING:
        yield from product((False, True), repeat=size)
    else:
        yield ()


def explain_empty(problem: PlanProblem, app: PlanApp, network: Network) -> SynergyError:
    """Return the error that says why ``app`` has no candidate at all."""
    allowed = allowed_devices(problem, app)
    cuts = legal_cuts(network, several=problem.multi_tensor_cuts)
    parts = len(cuts) + 1
    problems = {
        "no-device-with-sensor": (not sense_devices(problem, app), f"no device can sense {app.sensor!r}"),
        "no-device-with-actuator": (
            not interact_devices(problem, app),
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
    if wants_replicas(app):
        return _too_few_replicas(problem, app)
    message = f"app {app.name!r}: no chain of linked devices honours its pins, forbidden devices and split"
    return SynergyError(Diagnostic("no-route", message, app.location, hint="add a link or loosen a pin"))


def _too_few_replicas(problem: PlanProblem, app: PlanApp) -> SynergyError:
    ends = product(sense_devices(problem, app), interact_devices(problem, app))
    sets = [alike for sense, interact in ends for alike in _alike(problem, app, sense, interact)]
    reached = max(sets, key=len, default=[])
    return SynergyError(
        Diagnostic(
            "replica-devices",
            f"app {app.name!r}: replicas need one kind of chip, and each a link to the device that senses"
            " and to that which interacts, or be one of them",
            app.location,
            need=f"{app.replicas} devices",
            have=f"{len(reached)} devices ({', '.join(reached)})",
            hint="add links, or ask for fewer replicas",
        )
    )


def sense_devices(problem: PlanProblem, app: PlanApp) -> list[str]:
    """Return the devices on which ``app`` may sense."""
    able = [device.name for device in problem.devices if app.sensor in device.sensors]
    return [name for name in able if app.sense_on in (None, name)]


def interact_devices(problem: PlanProblem, app: PlanApp) -> list[str]:
    """Return the devices on which ``app`` may interact."""
    able = [device.name for device in problem.devices if app.actuator in device.actuators]
    return [name for name in able if app.interact_on in (None, name)]


def allowed_devices(problem: PlanProblem, app: PlanApp) -> list[str]:
    """Return the devices that may run layers of ``app``."""
    return [device.name for device in problem.devices if device.name not in app.forbid]


def _honours_pins(candidate: Candidate, app: PlanApp) -> bool:
    """Return whether pinned layers run on their device alone, which those of replicas do not."""
    if candidate.replicated:
        return not app.pins
    return all(
        any(
            segment.device == pin.device and segment.first <= pin.first and pin.last <= segment.last
            for segment in candidate.segments
        )
        for pin in app.pins
    )
