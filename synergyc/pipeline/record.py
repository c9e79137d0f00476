"""What a build is, as a manifest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import synergyc
from synergyc.config import App, System
from synergyc.firmware.assign import FallbackPlan
from synergyc.firmware.build import Firmware
from synergyc.firmware.names import key_symbol
from synergyc.firmware.sizing import own_sizes
from synergyc.firmware.spec import FirmwareSpec
from synergyc.ir.network import Tensor
from synergyc.manifest import (
    AccuracyRecord,
    AlternativeRecord,
    AppRecord,
    DeviceRecord,
    DifferenceRecord,
    FileRecord,
    HandOffRecord,
    ImagePlanRecord,
    LinkRecord,
    LoadRecord,
    Manifest,
    PlacementRecord,
    PlanLoadRecord,
    PowerRecord,
    PredictionRecord,
    RejectedRecord,
    SecuredRecord,
    SegmentRecord,
    SwitchRecord,
    TensorRecord,
    TermRecord,
    WarningRecord,
    record_file,
)
from synergyc.pipeline.accuracy import Accuracy
from synergyc.pipeline.fallbacks import Fallbacks, Taken
from synergyc.pipeline.models import PreparedModel
from synergyc.plan.power import DevicePower
from synergyc.plan.selector import PlanResult, Rejected
from synergyc.plan.types import AppPlan, Plan, Prediction, Segment
from synergyc.synth.program import Program, TensorLayout
from synergyc.toolchain import CrossCompiler


def record_build(
    app_file: str,
    system: System,
    models: Mapping[str, PreparedModel],
    result: PlanResult,
    programs: Mapping[str, Program],
    specs: Sequence[FirmwareSpec],
    images: Mapping[str, Firmware],
    folder: Path,
    compiler: CrossCompiler,
    fallbacks: Fallbacks | None = None,
) -> Manifest:
    """Return the manifest of the build in ``folder``, whose files are all written, images by ``compiler``."""
    plan = result.plan
    fallbacks = fallbacks or Fallbacks()
    return Manifest(
        synergy_manifest=1,
        app_file=app_file,
        plan_id=specs[0].plan_id,
        objective=plan.objective,
        selector=plan.selector,
        considered_plans=plan.considered,
        optimal=result.optimal,
        gap=result.gap,
        tools=_tools(compiler),
        devices=tuple(_device(spec, result, models, programs, images[spec.device], folder) for spec in specs),
        links=_links(system, specs),
        apps=tuple(_app(system.app(app.app), app, models[app.app], specs, folder) for app in plan.apps),
        hand_offs=tuple(hand_off for app in plan.apps for hand_off in _hand_offs(app, models[app.app])),
        runners_up=tuple(_placements(other.apps) for other in result.alternatives),
        rejected=tuple(_rejected(item) for item in result.rejected[:_REJECTED]),
        not_resident=tuple(reason.message for reason in result.resident_reasons),
        warnings=tuple(
            WarningRecord(
                rule=item.rule, message=item.message, need=item.need, have=item.have, hint=item.hint
            )
            for item in result.warnings
        ),
        alternatives=tuple(_alternative(item) for item in fallbacks.taken),
        image_plans=tuple(_image_plans(system, FallbackPlan(plan, programs), fallbacks.plans)),
        files=tuple(sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())),
    )


_REJECTED = 20
"""Better plans that do not fit and are recorded."""


def _placements(apps: Sequence[AppPlan]) -> tuple[PlacementRecord, ...]:
    return tuple(
        PlacementRecord(
            app=app.app,
            sense=app.sense_device,
            interact=app.interact_device,
            segments=tuple((segment.device, segment.first, segment.last) for segment in app.segments),
            throughput_hz=app.predicted.throughput_hz,
            latency_ms=app.predicted.latency_ms,
        )
        for app in apps
    )


def _rejected(item: Rejected) -> RejectedRecord:
    reason = item.reasons[0]
    return RejectedRecord(
        apps=_placements(item.apps),
        rule=reason.rule,
        reason=reason.message,
        need=reason.need,
        have=reason.have,
    )


def _image_plans(
    system: System, chosen: FallbackPlan, fallbacks: Sequence[FallbackPlan]
) -> Iterator[ImagePlanRecord]:
    images = (chosen, *fallbacks) if fallbacks else ()
    for number, image in enumerate(images):
        loads = []
        for device in system.devices:
            segments = image.plan.segments_on(device.name)
            if segments:
                residency = segments[0].residency
                size_bytes = _set_bytes(images, device.name, residency)
                load_ms = size_bytes * device.chip.cnn.timing.weight_byte_ns / 1e6
                loads.append(
                    PlanLoadRecord(
                        device=device.name, residency=residency, weight_bytes=size_bytes, load_ms=load_ms
                    )
                )
        yield ImagePlanRecord(number=number, apps=_placements(image.plan.apps), loads=tuple(loads))


def _set_bytes(images: Sequence[FallbackPlan], device: str, residency: int) -> int:
    """Return the weights of a residency set, of all plans that use it."""
    programs = {
        image.programs[segment.name].name: image.programs[segment.name]
        for image in images
        for segment in image.plan.segments_on(device)
        if segment.residency == residency
    }
    return sum(4 * program.weight_words for program in programs.values())


def _alternative(taken: Taken) -> AlternativeRecord:
    item = taken.alternative
    return AlternativeRecord(
        present=item.present,
        away=item.away,
        served=item.served,
        dropped=item.dropped,
        apps=_placements(item.plan.apps),
        switches=tuple(
            SwitchRecord(device=switch.device, weight_bytes=switch.weight_bytes, load_ms=switch.load_ms)
            for switch in item.switches
        ),
        switch_ms=item.switch_ms,
        plan=taken.plan,
        reason=None if taken.reason is None else taken.reason.message,
    )


def input_layout(specs: Sequence[FirmwareSpec], app: str) -> TensorLayout:
    """Return how a sample of ``app`` lies in the words that its replay sensor holds."""
    return next(task.layout for spec in specs for task in spec.senses if task.app == app)


def output_layout(specs: Sequence[FirmwareSpec], app: str) -> TensorLayout:
    """Return how the result of ``app`` lies in the words that its device reports."""
    return next(task.layouts[0] for spec in specs for task in spec.interacts if task.app == app)


def tensor_record(tensor: Tensor) -> TensorRecord:
    """Return the record of a tensor."""
    return TensorRecord(
        name=tensor.name,
        shape=tensor.shape,
        width_bits=tensor.width_bits,
        fraction_bits=tensor.fraction_bits,
    )


def _tools(compiler: CrossCompiler) -> dict[str, str]:
    names = ("numpy", "torch")
    return {
        "synergyc": synergyc.__version__,
        "gcc": compiler.version,
        **{name: version(name) for name in names},
    }


def _device(
    spec: FirmwareSpec,
    result: PlanResult,
    models: Mapping[str, PreparedModel],
    programs: Mapping[str, Program],
    image: Firmware,
    folder: Path,
) -> DeviceRecord:
    plan, own = result.plan, own_sizes(spec, image.sizes)
    return DeviceRecord(
        name=spec.device,
        board=spec.board.name,
        chip=spec.chip.name,
        elf=record_file(folder, image.elf.relative_to(folder.resolve()).as_posix()),
        flash_bytes=image.sizes.flash_bytes,
        flash_limit_bytes=spec.chip.flash.size_bytes,
        ram_bytes=image.sizes.ram_bytes,
        ram_limit_bytes=spec.chip.sram.size_bytes,
        own_flash_bytes=own.flash_bytes,
        own_ram_bytes=own.ram_bytes,
        segments=tuple(
            _segment(segment, plan, models[segment.app], programs[segment.name])
            for segment in plan.segments_on(spec.device)
        ),
        port=image.port.value,
        loads=tuple(_loads(spec, plan, programs)),
        power=next((_power(item) for item in result.power if item.device == spec.device), None),
    )


def _power(power: DevicePower) -> PowerRecord:
    return PowerRecord(
        idle_mw=power.idle_mw, runs_mw=power.runs_mw, links_mw=power.links_mw, battery_h=power.battery_h
    )


def _loads(spec: FirmwareSpec, plan: Plan, programs: Mapping[str, Program]) -> Iterator[LoadRecord]:
    """Yield the residency sets of a device that has several."""
    sets = plan.residency_sets(spec.device)
    if len(sets) < 2 or plan.schedule is None:
        return
    for number, segments in enumerate(sets):
        words = sum(programs[segment.name].load_words for segment in segments)
        yield LoadRecord(
            residency=number,
            weight_bytes=sum(4 * programs[segment.name].weight_words for segment in segments),
            load_ms=words * spec.chip.cnn.timing.word_ns / 1e6,
            loads_per_run=plan.schedule.loads_per_run[spec.device, number],
        )


def _segment(segment: Segment, plan: Plan, model: PreparedModel, program: Program) -> SegmentRecord:
    layers = model.network.layers[segment.first : segment.last + 1]
    predicted = next(app.predicted for app in plan.apps if app.app == segment.app)
    return SegmentRecord(
        name=segment.name,
        app=segment.app,
        first_layer=segment.first,
        last_layer=segment.last,
        layers=tuple(layer.name for layer in layers),
        engine=f"{program.engine} {program.engine_version}".strip(),
        weight_bytes=4 * program.weight_words,
        predicted_cycles=predicted.cycles[segment.name],
        residency=segment.residency,
        placement=program.placement,
    )


def _links(system: System, specs: Sequence[FirmwareSpec]) -> tuple[LinkRecord, ...]:
    ends: dict[str, dict[str, str]] = {}
    for spec in specs:
        for link in spec.links:
            ends.setdefault(link.channel, {})[spec.device] = link.uart
    return tuple(
        LinkRecord(
            name=link.name,
            medium=link.medium,
            rate_kbps=link.rate_kbps or link.medium_data.default_rate_kbps,
            ends=ends[link.name],
            secured=_secured(link.name, specs),
        )
        for link in system.links
        if link.name in ends
    )


def _secured(channel: str, specs: Sequence[FirmwareSpec]) -> tuple[SecuredRecord, ...]:
    symbols: dict[str, dict[str, str]] = {}
    for spec in specs:
        for link in spec.links:
            if link.channel == channel and link.key is not None:
                symbols.setdefault(link.key, {})[spec.device] = key_symbol(link.name)
    return tuple(SecuredRecord(key=key, symbols=symbols[key]) for key in sorted(symbols))


def _app(
    app: App, plan: AppPlan, model: PreparedModel, specs: Sequence[FirmwareSpec], folder: Path
) -> AppRecord:
    base = f"apps/{app.name}"
    network, source = model.network, model.graph.input.preparation
    senses = [sense for spec in specs for sense in spec.all_senses if sense.app == app.name]
    return AppRecord(
        name=app.name,
        sense={"sensor": app.sense.sensor, "on": plan.sense_device, "driver": app.sense.driver_name},
        interact={"actuator": app.interact.actuator, "on": plan.interact_device},
        input=tensor_record(network.inputs[0]),
        output=tensor_record(network.result),
        cut_after=tuple(network.layers[segment.last].name for segment in plan.lanes[0].segments[:-1]),
        replicas=tuple(segment.device for segment in plan.segments) if plan.replicated else (),
        graph=record_file(folder, f"{base}/graph.safetensors"),
        network=record_file(folder, f"{base}/network.safetensors"),
        samples=record_file(folder, f"{base}/samples.npy"),
        replay_samples=len(senses[0].samples) or len(model.sensed),
        labels=None if model.labels is None else record_file(folder, f"{base}/labels.npy"),
        input_elements=record_file(folder, f"{base}/input_elements.npy"),
        input_bytes=4 * input_layout(specs, app.name).words,
        output_elements=record_file(folder, f"{base}/output_elements.npy"),
        output_bytes=4 * output_layout(specs, app.name).words,
        accuracy=None
        if model.accuracy is None
        else _accuracy(model.accuracy, record_file(folder, f"{base}/answers.npy")),
        predicted=_prediction(plan.predicted),
        sensor_shape=model.graph.input.source_shape,
        preparation=tuple(map(str, source.steps)) if source is not None else (),
        tail=tuple(map(str, network.tail)),
    )


def _prediction(predicted: Prediction) -> PredictionRecord:
    scheduled = predicted.scheduled
    return PredictionRecord(
        throughput_hz=scheduled.throughput_hz if scheduled else predicted.throughput_hz,
        latency_ms=scheduled.latency_ms if scheduled else predicted.latency_ms,
        guaranteed_hz=predicted.throughput_hz,
        unloaded_latency_ms=predicted.latency_ms,
        energy_uj=predicted.energy_uj,
        bottleneck=predicted.bottleneck,
        terms=tuple(
            TermRecord(
                unit=term.unit,
                task=term.task,
                duration_us=term.duration_us,
                source=term.source,
                basis=term.basis,
                error=term.error,
            )
            for term in predicted.terms
        ),
    )


def _accuracy(accuracy: Accuracy, answers: FileRecord) -> AccuracyRecord:
    shares = accuracy.shares
    return AccuracyRecord(
        samples=accuracy.samples,
        float_model=shares["float"],
        folded=shares["folded"],
        fake_quantized=shares["fake_quantized"],
        integer_reference=shares["reference"],
        differences=tuple(DifferenceRecord(**vars(item)) for item in accuracy.differences),
        answers=answers,
    )


def _hand_offs(plan: AppPlan, model: PreparedModel) -> tuple[HandOffRecord, ...]:
    return tuple(
        HandOffRecord(
            app=hand_off.app,
            source=hand_off.source,
            target=hand_off.target,
            link=hand_off.link,
            tensors=tuple(tensor_record(model.network.tensor(name)) for name in hand_off.tensors),
            payload_bytes=hand_off.size_bytes,
        )
        for hand_off in plan.hand_offs
    )
