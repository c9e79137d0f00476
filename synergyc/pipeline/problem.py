"""From the app file to the planner's question."""

from __future__ import annotations

from synergyc.config.system import App, Device, Link, System
from synergyc.plan.problem import PlanApp, PlanDevice, PlanLink, PlanPin, PlanProblem


def plan_problem(system: System) -> PlanProblem:
    """Return what the planner is asked for a system that ``config.check`` has found right."""
    everyone = tuple(device.name for device in system.devices)
    return PlanProblem(
        devices=tuple(_device(device) for device in system.devices),
        links=tuple(_link(link, everyone) for link in system.links),
        apps=tuple(_app(app, system) for app in system.apps),
        shared_accelerators=True,
        multi_tensor_cuts=True,
        device_memories=True,
        battery_h=system.battery_h,
    )


def _device(device: Device) -> PlanDevice:
    return PlanDevice(
        device.name,
        device.chip,
        tuple(device.sensors),
        tuple(device.actuators),
        device.battery_mwh,
        device.board_data.console_rate_bd,
    )


def _link(link: Link, everyone: tuple[str, ...]) -> PlanLink:
    medium = link.medium_data
    ends = everyone if link.between == "all" else link.ends
    return PlanLink(link.name, ends, medium, link.rate_kbps or medium.default_rate_kbps)


def _app(app: App, system: System) -> PlanApp:
    pins = tuple(
        PlanPin(pin.first, pin.last, pin.to, system.locate("apps", app.name, "pin", i, "layers"))
        for i, pin in enumerate(app.pin)
    )
    return PlanApp(
        name=app.name,
        sensor=app.sense.sensor,
        actuator=app.interact.actuator,
        sense_on=app.sense.on,
        interact_on=app.interact.on,
        rate_hz=app.sense.rate_hz,
        split=app.split,
        replicas=app.replicas,
        pins=pins,
        forbid=app.forbid,
        wanted_hz=app.rate_hz,
        deadline_ms=app.deadline_ms,
        prepares=app.sense.driver != "replay",
        priority=app.priority or 0,
        location=system.marks.locate_key("apps", app.name),
    )
