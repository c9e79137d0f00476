"""What the planner is asked: devices, links and apps, reduced to what its decisions depend on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from synergyc.diagnostics import Location
from synergyc.targets import Chip, Medium

Goal = Literal["throughput", "ratio", "latency", "energy", "battery"]
"""``ratio``: the smallest ratio of an app's rate to the wanted one. ``battery``: the shortest life."""

GOALS: tuple[Goal, ...] = ("throughput", "ratio", "latency", "energy", "battery")

Objective = Goal | Mapping[Goal, float] | tuple[Goal, ...]
"""One goal, weights of several, or several in order (docs/selectors.md)."""


def objective_name(objective: Objective) -> str:
    """Return ``objective`` as plans show it: ``latency``, or ``throughput 1, energy 0.2``."""
    if isinstance(objective, str):
        return objective
    if isinstance(objective, tuple):
        return ", then ".join(objective)
    return ", ".join(f"{goal} {weight:g}" for goal, weight in objective.items())


@dataclass(frozen=True)
class PlanDevice:
    """A device with its chip and what it can sense and show."""

    name: str
    chip: Chip
    sensors: tuple[str, ...] = ()
    actuators: tuple[str, ...] = ()
    battery_mwh: float | None = None
    """None: it runs from the mains."""
    console_bd: int | None = None
    """Rate of the UART on which results are reported; None: reporting one takes no time."""


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
    replicas: int | None = 1
    """Number of devices that run the whole network, and take the runs in turn; None: as many as are best."""
    pins: tuple[PlanPin, ...] = ()
    forbid: tuple[str, ...] = ()
    location: Location | None = None
    wanted_hz: float | None = None
    """The rate that the app must reach; with the goal ``ratio`` what its rate is compared with."""
    deadline_ms: float | None = None
    """What its latency must not exceed."""
    prepares: bool = False
    """Whether the device that senses prepares samples: its driver delivers them in the sensor's own shape."""
    priority: int = 0
    """Apps of higher priority choose first where a selector goes through them one by one."""


@dataclass(frozen=True)
class PlanProblem:
    """Devices, links and apps of one system."""

    devices: tuple[PlanDevice, ...]
    links: tuple[PlanLink, ...]
    apps: tuple[PlanApp, ...]
    shared_accelerators: bool = False
    """Whether the firmware keeps several segments resident on one accelerator and runs them in turn."""
    weight_swap: bool = False
    """Whether an accelerator may load a segment's weights for every run of it."""
    multi_tensor_cuts: bool = False
    """Whether networks may be cut where several tensors cross."""
    device_memories: bool = False
    """Whether samples, weights and tensors that wait must fit the flash and RAM of devices (``plan.memory``).

    Weights that are swapped must fit flash in any case."""
    battery_h: float | None = None
    """How long every battery must last, with the apps at their wanted rates."""

    def device(self, name: str) -> PlanDevice:
        """Return the device called ``name``; raises KeyError."""
        return {device.name: device for device in self.devices}[name]

    def link(self, source: str, target: str) -> PlanLink | None:
        """Return the fastest link that joins two devices directly, None where there is none."""
        joining = [link for link in self.links if source in link.ends and target in link.ends]
        return max(joining, key=lambda link: link.rate_kbps / link.medium.bits_per_byte, default=None)
