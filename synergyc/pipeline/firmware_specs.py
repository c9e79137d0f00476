"""From plans and programs to what each device's image consists of: samples as far as flash takes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from synergyc.config import Sense, System
from synergyc.diagnostics import fail, file_location
from synergyc.firmware.assign import FallbackPlan, Policy, assign
from synergyc.firmware.cnn_tables import single_writes, weight_rows, write_rows
from synergyc.firmware.spec import FirmwareSpec, PlanCase, Wire
from synergyc.ir.types import Array
from synergyc.pipeline.models import PreparedModel
from synergyc.plan.types import Plan
from synergyc.synth.program import Program, Write
from synergyc.targets import Cnn, load_runtime

_STEP_BYTES = 12
_WRITE_BYTES = 8
_WEIGHT_ROW_BYTES = 12
_BIAS_ROW_BYTES = 12
"""Of ``cnn_step_t``, ``cnn_write_t``, ``cnn_weights_t`` and ``cnn_biases_t`` (templates/firmware/cnn.h)."""


def firmware_specs(
    system: System,
    models: Mapping[str, PreparedModel],
    plan: Plan,
    programs: Mapping[str, Program],
    fallbacks: Sequence[FallbackPlan] = (),
    cases: Sequence[PlanCase] = (),
    *,
    self_test: bool = False,
) -> tuple[FirmwareSpec, ...]:
    """Return what each device does; replay sensors hold as many samples as their flash takes.

    ``self_test``: flash will also hold an input of each segment. Raises SynergyError as ``firmware.assign``.
    """
    plans = (FallbackPlan(plan, programs), *fallbacks)
    samples = {app.app: _fitting(system, models[app.app], plans, self_test) for app in plan.apps}
    return assign_images(system, models, plans, samples, cases)


def assign_images(
    system: System,
    models: Mapping[str, PreparedModel],
    plans: Sequence[FallbackPlan],
    samples: Mapping[str, Array],
    cases: Sequence[PlanCase] = (),
) -> tuple[FirmwareSpec, ...]:
    """Return what each device does under each of ``plans``, the chosen one first; raises as ``assign``."""
    boards = {device.name: device.board_data for device in system.devices}
    networks = {name: model.network for name, model in models.items()}
    policies = {
        app.name: Policy(app.sense.rate_hz, app.priority or 0, app.sense.driver_name, _driver_text(app.sense))
        for app in system.apps
    }
    return assign(
        plans[0].plan,
        plans[0].programs,
        boards,
        tuple(_wires(system)),
        samples,
        policies=policies,
        networks=networks,
        fallbacks=plans[1:],
        cases=cases,
    )


def _driver_text(sense: Sense) -> str | None:
    """Return the source of a driver of the user's own; raises SynergyError (``missing-file``)."""
    if sense.driver_file is None:
        return None
    try:
        return sense.driver_file.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        message = f"driver cannot be read: {error.strerror}"
        raise fail("missing-file", message, location=file_location(sense.driver_file)) from error


def flash_left_bytes(
    system: System, plans: Sequence[FallbackPlan], device: str, self_test: bool = False
) -> int:
    """Return the flash of ``device`` that weights and code leave to the samples of each app it senses."""
    return _free_bytes(system, plans, device, self_test) // max(1, len(_sensed(plans, device)))


def _sensed(plans: Sequence[FallbackPlan], device: str) -> frozenset[str]:
    """Return the apps that ``device`` senses under any plan."""
    return frozenset(app.app for item in plans for app in item.plan.apps if app.sense_device == device)


def _free_bytes(system: System, plans: Sequence[FallbackPlan], device: str, self_test: bool) -> int:
    """Return the flash of ``device`` that weights and code leave to samples.

    ``self_test``: an input of each segment is there too.
    """
    programs = {
        program.name: program
        for item in plans
        for program in (item.programs[segment.name] for segment in item.plan.segments_on(device))
    }
    chosen = {segment.name for segment in plans[0].plan.segments_on(device)}
    chip = system.device(device).chip
    used_bytes = sum(
        4 * program.weight_words + (0 if name in chosen else _table_bytes(program, chip.cnn))
        for name, program in programs.items()
    )
    if self_test:
        used_bytes += sum(4 * item.words for program in programs.values() for item in program.inputs)
    return chip.flash.size_bytes - used_bytes - load_runtime().flash_reserve_bytes


def _fitting(system: System, model: PreparedModel, plans: Sequence[FallbackPlan], self_test: bool) -> Array:
    """Return the samples of an app, at least one, that all devices have room for that may sense it.

    Each app gets an equal share of a device's flash, but leaves room for a sample of each other one.
    """
    devices = {app.sense_device for item in plans for app in item.plan.apps if app.app == model.app}
    room_bytes = []
    for device in devices:
        sensed = _sensed(plans, device)
        free_bytes = _free_bytes(system, plans, device, self_test)
        others_bytes = sum(_sample_bytes(plans, name) for name in sensed - {model.app})
        room_bytes.append(min(free_bytes // len(sensed), free_bytes - others_bytes))
    return model.samples[: max(1, min(room_bytes) // _sample_bytes(plans, model.app))]


def _sample_bytes(plans: Sequence[FallbackPlan], name: str) -> int:
    """Return the size of a sample of an app in flash: the same under all plans."""
    item, app = next((item, app) for item in plans for app in item.plan.apps if app.app == name)
    return 4 * item.programs[app.segments[0].name].inputs[0].words


def _table_bytes(program: Program, cnn: Cnn) -> int:
    """Return the flash that a program's tables take at most beside the words of its weights.

    Registers are written when the device boots or when the segment is selected; at most as many again are for
    registers that only other segments use.
    """
    phases = {"configure": program.configure, "start": program.start}
    rows = {name: len(write_rows(list(single_writes(name, steps)), cnn)) for name, steps in phases.items()}
    bias_bytes = sum(_BIAS_ROW_BYTES + len(write.words) for write in program.bias)
    return (
        _STEP_BYTES * sum(len(step.words) if isinstance(step, Write) else 1 for step in program.init)
        + _WRITE_BYTES * (2 * rows["configure"] + rows["start"])
        + _WEIGHT_ROW_BYTES * len(weight_rows(program.weights, cnn).rows)
        + bias_bytes
    )


def _wires(system: System) -> Iterator[Wire]:
    for link in system.links:
        medium = link.medium_data
        ends = tuple(device.name for device in system.devices) if link.between == "all" else link.ends
        yield Wire(link.name, ends, medium, link.rate_kbps or medium.default_rate_kbps, link.secure)
