"""What is done to a running system: bad links, devices that vanish, stand still or are reset."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from synergyc.emulate.simulation import Simulation
from synergyc.manifest import Manifest, find_device

IncidentKind = Literal["drop", "reset", "brown-out", "stuck"]

BROWN_OUT_NS = 50_000_000
"""Time without power of a brown-out: long enough for memories to lose their content."""

_UNITS_NS = {"s": 10**9, "ms": 10**6, "us": 10**3}
_NUMBER = r"(\d+(?:\.\d*)?|\.\d+)(s|ms|us)?"
_SPAN = re.compile(rf"(?P<device>[^@]+)@{_NUMBER}(?:\.\.{_NUMBER})?")


@dataclass(frozen=True)
class Incident:
    """Something that happens to a device at a virtual time; ``until_ns`` None: for good, or in an instant."""

    kind: IncidentKind
    device: str
    at_ns: int
    until_ns: int | None = None


@dataclass(frozen=True)
class Scenario:
    """Faults of all links (chances for each packet, added delay) and incidents; the same for one seed."""

    loss: float = 0.0
    corrupt: float = 0.0
    delay_ms: float = 0.0
    seed: int = 0
    incidents: tuple[Incident, ...] = ()

    @property
    def disturbs(self) -> bool:
        """Whether runs may be lost by what is done here."""
        return bool(self.loss or self.corrupt or self.incidents)

    @property
    def ends_ns(self) -> int:
        """When the last incident is over."""
        return max((item.until_ns or item.at_ns for item in self.incidents), default=0)


@dataclass(frozen=True)
class Change:
    """One change of a device at a time: the begin or the end of an incident."""

    at_ns: int
    device: str
    action: Literal["drop", "restore", "reset", "stop", "resume"]


def parse_incident(kind: IncidentKind, text: str) -> Incident:
    """Read ``NAME@2s`` or ``NAME@2s..5s`` (units s, ms, us; s where there is none).

    Raises ValueError with a message for the user.
    """
    match = _SPAN.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not DEVICE@TIME or DEVICE@TIME..TIME, such as chest@2s..5s")
    device, begin, begin_unit, end, end_unit = match.groups()
    at_ns = _ns(begin, begin_unit or end_unit)
    until_ns = None if end is None else _ns(end, end_unit)
    if until_ns is not None and until_ns <= at_ns:
        raise ValueError(f"{text!r}: the end must come after the begin")
    if kind in ("reset", "brown-out") and until_ns is not None:
        raise ValueError(f"{text!r}: this happens at one time, not over a span")
    if kind == "brown-out":
        until_ns = at_ns + BROWN_OUT_NS
    if kind == "stuck" and until_ns is None:
        raise ValueError(f"{text!r}: say until when, such as {device}@2s..3s")
    return Incident(kind, device.strip(), at_ns, until_ns)


def changes(incidents: Iterable[Incident]) -> tuple[Change, ...]:
    """Return what happens when, in order of time."""
    found = []
    for item in incidents:
        begins: Literal["drop", "reset", "stop"] = (
            "reset" if item.kind == "reset" else "stop" if item.kind == "stuck" else "drop"
        )
        found.append(Change(item.at_ns, item.device, begins))
        if item.until_ns is not None:
            found.append(Change(item.until_ns, item.device, "resume" if begins == "stop" else "restore"))
    return tuple(sorted(found, key=lambda change: change.at_ns))


def apply(change: Change, simulation: Simulation, seed: int) -> None:
    """Carry out a change."""
    if change.action == "drop":
        simulation.drop(change.device)
    elif change.action == "restore":
        simulation.restore(change.device, seed ^ change.at_ns)
    elif change.action == "reset":
        simulation.boards[change.device].reset()
    elif change.action == "stop":
        simulation.stop(change.device)
    else:
        simulation.resume(change.device)


def check_scenario(scenario: Scenario, manifest: Manifest) -> None:
    """Raise SynergyError for devices that the build does not have."""
    for item in scenario.incidents:
        find_device(manifest, item.device)


def _ns(number: str, unit: str | None) -> int:
    return round(float(number) * _UNITS_NS[unit or "s"])
