"""Which plans for absent devices an image holds beside the chosen one, and when each is in force."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from synergyc.config import System
from synergyc.diagnostics import Diagnostic, SynergyError, fail
from synergyc.firmware import sizing
from synergyc.firmware.assign import FallbackPlan
from synergyc.firmware.layout import same_layout
from synergyc.firmware.spec import FirmwareSpec, PlanCase
from synergyc.pipeline.engines import Generate
from synergyc.pipeline.firmware_specs import assign_images, flash_left_bytes
from synergyc.pipeline.models import PreparedModel
from synergyc.pipeline.plan_sets import Sets, chosen_sets, placed_plan
from synergyc.plan.availability import Alternative
from synergyc.plan.types import AppPlan, Plan

_LEAST_SAMPLES = 4
"""A plan for absent devices takes no flash from the last so many samples of a replay sensor."""

_MOST_DEVICES = 32
"""Devices that are told apart in a view (templates/firmware/presence.h)."""


@dataclass(frozen=True)
class Taken:
    """What became of an alternative: the number of the plan that serves it in the image, or why none does."""

    alternative: Alternative
    plan: int | None
    reason: Diagnostic | None = None


@dataclass(frozen=True)
class Fallbacks:
    """The plans of an image beside the chosen one (numbers from 1), and when each plan is in force."""

    plans: tuple[FallbackPlan, ...] = ()
    cases: tuple[PlanCase, ...] = ()
    taken: tuple[Taken, ...] = ()


def choose_fallbacks(
    system: System,
    models: Mapping[str, PreparedModel],
    chosen: FallbackPlan,
    alternatives: Sequence[Alternative],
    generate: Generate,
    *,
    self_test: bool = False,
) -> Fallbacks:
    """Return the alternatives, best first, that the images have room for, with inputs of a ``self_test``.

    One that leaves its apps where an earlier plan has them needs no plan of its own. Nothing is raised: an
    alternative that does not fit is left out, with the reason.
    """
    plans = [chosen]
    cases = [PlanCase(tuple(device.name for device in system.devices), 0)]
    sets: Sets | None = None
    taken = []
    for item in alternatives:
        number = next((n for n, plan in enumerate(plans) if _serves(plan.plan, item.plan)), len(plans))
        try:
            if number == len(plans):
                sets = sets or chosen_sets(system, models, chosen)
                image, grown = placed_plan(system, models, item.plan, number, sets, generate)
                _check_flash(system, [*plans, image], self_test)
                _check(system, models, [*plans, image], [*cases, PlanCase(item.present, number)])
                plans.append(image)
                sets = grown
        except SynergyError as error:
            taken.append(Taken(item, None, error.diagnostics[0]))
            continue
        cases.append(PlanCase(item.present, number))
        taken.append(Taken(item, number))
    return Fallbacks(tuple(plans[1:]), tuple(cases), tuple(taken))


def _serves(plan: Plan, other: Plan) -> bool:
    """Return whether ``plan`` has all apps of ``other`` where that one has them."""
    places = {app.app: _place(app) for app in plan.apps}
    return all(places.get(app.app) == _place(app) for app in other.apps)


def _place(app: AppPlan) -> tuple[object, ...]:
    segments = tuple((item.device, item.first, item.last) for item in app.segments)
    ways = tuple((item.source, item.target, item.link) for item in app.hand_offs)
    return (app.sense_device, app.interact_device, segments, ways)


def _check(
    system: System,
    models: Mapping[str, PreparedModel],
    plans: Sequence[FallbackPlan],
    cases: Sequence[PlanCase],
) -> None:
    """Raise SynergyError if images of all these plans would not fit, or not work."""
    if len(system.devices) > _MOST_DEVICES:
        raise fail("fallback-devices", f"images of more than {_MOST_DEVICES} devices hold one plan")
    few = {name: model.samples[:1] for name, model in models.items()}
    specs = assign_images(system, models, plans, few, cases)
    _check_layouts(specs)
    for spec in specs:
        _check_ram(spec)


def _check_flash(system: System, plans: Sequence[FallbackPlan], self_test: bool) -> None:
    for device in system.devices:
        for sample_bytes in _sample_bytes(plans, device.name):
            left_bytes = flash_left_bytes(system, plans, device.name, self_test)
            if left_bytes < _LEAST_SAMPLES * sample_bytes:
                raise fail(
                    "fallback-flash",
                    f"flash of {device.name!r} has no room for this plan's weights beside"
                    f" {_LEAST_SAMPLES} samples",
                    need=f"{_LEAST_SAMPLES * sample_bytes} B",
                    have=f"{max(0, left_bytes)} B",
                )


def _sample_bytes(plans: Sequence[FallbackPlan], device: str) -> tuple[int, ...]:
    """Return the size of a sample of each app that a device senses; (0,) if it senses nothing."""
    found = {
        app.app: 4 * plan.programs[app.segments[0].name].inputs[0].words
        for plan in plans
        for app in plan.plan.apps
        if app.sense_device == device
    }
    return tuple(found.values()) or (0,)


def _check_layouts(specs: Sequence[FirmwareSpec]) -> None:
    """Samples and results of an app must look the same whichever device takes or shows them."""
    for app in {sense.app for spec in specs for sense in spec.all_senses}:
        plans = [plan for spec in specs for plan in spec.plans]
        inputs = [sense.layout for plan in plans for sense in plan.senses if sense.app == app]
        results = [item.layouts[0] for plan in plans for item in plan.interacts if item.app == app]
        outputs = [item.layout for plan in plans for item in plan.tails if item.app == app]
        for layouts in (inputs, results, outputs):
            if layouts and not all(same_layout(layouts[0], other) for other in layouts):
                raise fail(
                    "fallback-layout", f"app {app!r}: samples or results would have another memory layout"
                )


def _check_ram(spec: FirmwareSpec) -> None:
    room_bytes = sizing.queue_room_bytes(spec, len(spec.plans))
    for plan in spec.plans:
        need_bytes = sum(queue.ram_bytes for queue in plan.queues)
        if need_bytes > room_bytes:
            raise fail(
                "fallback-ram",
                f"RAM of {spec.device!r} has no room for this plan's tensors",
                need=f"{need_bytes} B",
                have=f"{room_bytes} B",
            )
