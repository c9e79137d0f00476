"""Mean power of the devices of a plan with the apps at their wanted rates, and how long batteries last."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from synergyc.diagnostics import Diagnostic
from synergyc.plan.energy import idle_mw, wanted_rate_hz
from synergyc.plan.fragments import answer_us
from synergyc.plan.problem import PlanDevice, PlanLink, PlanProblem
from synergyc.plan.types import AppPlan
from synergyc.targets import load_runtime, transfer_us

BATTERY_SHORT = "battery-short"
"""Rule of the warning that a battery is empty too soon, because links must be kept up."""


@dataclass(frozen=True)
class DevicePower:
    """What a device takes: when nothing happens, above that for runs, and for showing peers that it lives.

    Objectives compare ``idle_mw`` and ``runs_mw``. ``battery_mwh`` None: it runs from the mains.
    """

    device: str
    idle_mw: float
    runs_mw: float
    links_mw: float
    battery_mwh: float | None = None

    @property
    def mean_mw(self) -> float:
        """All of it."""
        return self.idle_mw + self.runs_mw + self.links_mw

    @property
    def battery_h(self) -> float | None:
        """How long the battery lasts; None without one."""
        return None if self.battery_mwh is None else self.battery_mwh / self.mean_mw


def device_powers(problem: PlanProblem, plans: Sequence[AppPlan]) -> tuple[DevicePower, ...]:
    """Return the mean power of each device that ``plans`` use, in the order of the problem.

    ``plans`` are in the order of the problem's apps, which run at the rates of ``wanted_rate_hz``.
    """
    links_mw = _links_mw(problem, plans)
    return tuple(
        DevicePower(
            device.name,
            idle_mw(problem, device),
            _runs_mw(problem, plans, device),
            links_mw.get(device.name, 0.0),
            device.battery_mwh,
        )
        for device in problem.devices
        if any(device.name in plan.devices for plan in plans)
    )


def short_batteries(powers: Sequence[DevicePower], wanted_h: float | None) -> tuple[Diagnostic, ...]:
    """Return a warning for each battery that lasts for ``wanted_h`` only without what links take."""
    return tuple(
        Diagnostic(
            BATTERY_SHORT,
            f"the battery of device {power.device!r} is empty too soon: keeping its links up between runs"
            f" takes {power.links_mw:.3g} mW of {power.mean_mw:.3g} mW",
            need=f"{wanted_h:g} h",
            have=f"{power.battery_h:.4g} h",
            hint="take a larger battery, loosen constraints.battery_h, or forbid the device to apps",
        )
        for power in powers
        if wanted_h is not None and power.battery_h is not None and power.battery_h < wanted_h
    )


def _runs_mw(problem: PlanProblem, plans: Sequence[AppPlan], device: PlanDevice) -> float:
    return sum(
        term.energy_uj * wanted_rate_hz(app) / 1000
        for app, plan in zip(problem.apps, plans, strict=True)
        for term in plan.predicted.terms
        if term.unit.split(".")[0] == device.name
    )


def _links_mw(problem: PlanProblem, plans: Sequence[AppPlan]) -> Mapping[str, float]:
    """Return what heartbeats take of each device, its own and those of its peers.

    Of two devices that exchange tensors each sends an empty frame when it was silent for a while. Whoever
    passes a tensor on has said something; an acknowledgement counts as the part of a frame that runs pay for.
    """
    runtime = load_runtime()
    streams = Counter(hand_off.link for plan in plans for hand_off in plan.hand_offs)
    found: defaultdict[str, float] = defaultdict(float)
    for link in problem.links:
        medium = link.medium
        beat_us = max(runtime.beat_us, answer_us(link, streams[link.name], runtime))
        frame_us = transfer_us(medium.frame_overhead_bytes, link.rate_kbps, medium.bits_per_byte)
        for (speaker, listener), said_hz in _said_hz(problem, plans, link).items():
            share = max(0.0, 1e6 / beat_us - said_hz) * frame_us / 1e6
            found[speaker] += share * medium.send_mw
            found[listener] += share * medium.receive_mw
    return found


def _said_hz(
    problem: PlanProblem, plans: Sequence[AppPlan], link: PlanLink
) -> Mapping[tuple[str, str], float]:
    """Return how often a device says something to a peer over ``link`` in the runs of all apps."""
    answer = link.medium.answer_bytes / link.medium.frame_overhead_bytes
    said_hz: defaultdict[tuple[str, str], float] = defaultdict(float)
    for app, plan in zip(problem.apps, plans, strict=True):
        for hand_off in plan.hand_offs:
            if hand_off.link == link.name:
                said_hz[hand_off.source, hand_off.target] += wanted_rate_hz(app)
                said_hz[hand_off.target, hand_off.source] += wanted_rate_hz(app) * answer
    return said_hz
