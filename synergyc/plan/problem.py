"""What the planner is asked: devices, links and apps, reduced to what its decisions depend on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from synergyc.diagnostics import Location
from synergyc.targets import Chip, Medium

Objective = Literal["throughput", "latency"]


@dataclass(frozen=True)
class PlanDevice:
    """A device with its chip and what it can sense and show."""

    name: str
    chip: Chip
    sensors: tuple[str, ...] = ()
    actuators: tuple[str, ...] = ()


@dataclass(frozen=True)
class PlanLink:
    """A link between the devices ``ends``: two for a wire, any number for a shared channel."""

    name: str
    ends: tuple[str, ...]
    medium: Medium
    rate_kbps: float


@dataclass(frozen=True)
class PlanPin:
    """Layers ``first`` to ``last`` (inclusive) must run on ``device``."""

    first: int
    last: int
    device: str
    location: Location | None = None


@dataclass(frozen=True)
class PlanApp:
    """One pipeline. ``sense_on`` and ``interact_on`` are None where any able device may do."""

    name: str
    sensor: str
    actuator: str
    sense_on: str | None = None
    interact_on: str | None = None
    rate_hz: float | None = None
    """How often the sensor delivers; None: as soon as it is asked."""
    split: int | None = None
    """Number of devices that share the network; None: as many as are best."""
    pins: tuple[PlanPin, ...] = ()
    forbid: tuple[str, ...] = ()
    location: Location | None = None


@dataclass(frozen=True)
class PlanProblem:
    """Devices, links and apps of one system."""

    devices: tuple[PlanDevice, ...]
    links: tuple[PlanLink, ...]
    apps: tuple[PlanApp, ...]

    def device(self, name: str) -> PlanDevice:
        """Return the device called ``name``; raises KeyError."""
        return {device.name: device for device in self.devices}[name]

    def link(self, source: str, target: str) -> PlanLink | None:
        """Return the fastest link that joins two devices directly, None where there is none."""
        joining = [link for link in self.links if source in link.ends and target in link.ends]
        return max(joining, key=lambda link: link.rate_kbps / link.medium.bits_per_byte, default=None)
