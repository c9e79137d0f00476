"""From the app file to a build folder: all stages in a row, nothing half-written."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from synergyc import config
from synergyc.config import System
from synergyc.firmware.assign import FallbackPlan
from synergyc.firmware.build import Firmware
from synergyc.firmware.build import build as build_firmware
from synergyc.firmware.msdk import find_sdk
from synergyc.firmware.spec import FirmwareSpec, Port
from synergyc.ir import store
from synergyc.manifest import MANIFEST_NAME, Manifest
from synergyc.pipeline.engines import EngineChoice, Generate, generator
from synergyc.pipeline.fallbacks import choose_fallbacks
from synergyc.pipeline.firmware_specs import firmware_specs
from synergyc.pipeline.models import PreparedModel, prepare
from synergyc.pipeline.planning import choose_plan, plan_alternatives, schedule_images, segment_network
from synergyc.pipeline.problem import plan_problem
from synergyc.pipeline.record import input_layout, output_layout, record_build
from synergyc.pipeline.selftest import with_known_answers
from synergyc.pipeline.staging import check_output, earlier_files, staging
from synergyc.plan.problem import Objective
from synergyc.plan.selector import PlanResult
from synergyc.plan.selectors import find_selector
from synergyc.plan.types import Plan
from synergyc.synth import native
from synergyc.synth.program import Program
from synergyc.synth.resident import place_resident
from synergyc.toolchain import CrossCompiler, find_cross_compiler


@dataclass(frozen=True)
class BuildOptions:
    """What the command line may say beyond the app file."""

    objective: Objective | None = None
    selector: str = "exact"
    synth: EngineChoice = EngineChoice.NATIVE
    self_test: bool = False
    """Whether each device runs a known input through its segments at boot and checks the result."""
    port: Port = Port.BAREMETAL


Progress = Callable[[str], None]
"""Called with the name of each stage when it begins."""


def build(app_file: Path, output: Path, options: BuildOptions, progress: Progress) -> Manifest:
    """Build ``app_file`` into the folder ``output`` and return its manifest; see ``build_system``."""
    check_output(output, MANIFEST_NAME, "build")
    earlier_files(output)
    find_cross_compiler()
    progress("read the app file")
    return build_system(config.load(app_file), app_file.name, output, options, progress)


def build_system(
    system: System, name: str, output: Path, options: BuildOptions, progress: Progress
) -> Manifest:
    """Build a system, from the app file called ``name``, into the folder ``output``; return its manifest.

    The build happens in a temporary folder beside ``output``, which takes its place at the end: on any error
    ``output`` stays as it was. Files there that an earlier build did not write are kept. Raises SynergyError
    for wrong input, for a plan that does not fit, for a missing or failing cross-compiler, and if ``output``
    holds something that is not a build.
    """
    check_output(output, MANIFEST_NAME, "build")
    replaced = earlier_files(output)
    compiler = find_cross_compiler()
    if options.port is Port.MSDK:
        find_sdk()
    models, result = plan_system(system, options, progress)
    generate = generator(options.synth, progress)
    programs = synthesize(system, models, result.plan, progress, generate)
    with staging(output, replaced) as folder:
        progress("plan for absent devices")
        others = plan_alternatives(system, list(models.values()), result.plan, options.objective)
        fallbacks = choose_fallbacks(
            system, models, FallbackPlan(result.plan, programs), others, generate, self_test=options.self_test
        )
        specs = firmware_specs(
            system,
            models,
            result.plan,
            programs,
            fallbacks.plans,
            fallbacks.cases,
            self_test=options.self_test,
        )
        plan = schedule_images(system, list(models.values()), result.plan, programs, specs)
        result = replace(result, plan=plan).told(plan_problem(system))
        if options.self_test:
            specs = with_known_answers(specs, models, [plan, *(item.plan for item in fallbacks.plans)])
        write_app_files(models.values(), specs, folder)
        images = compile_all(specs, folder, compiler, progress, options.port)
        progress("write the manifest")
        manifest = record_build(
            name, system, models, result, programs, specs, images, folder, compiler, fallbacks
        )
        (folder / MANIFEST_NAME).write_text(manifest.to_text(), encoding="utf-8")
    return manifest


def plan_system(
    system: System, options: BuildOptions, progress: Progress
) -> tuple[dict[str, PreparedModel], PlanResult]:
    """Return the prepared models by app, and the chosen plan with its runners-up."""
    find_selector(options.selector)  # one that is not there is found out before the work
    chips = [device.chip for device in system.devices]
    models = {}
    for app in system.apps:
        progress(f"capture and quantize {app.name}")
        models[app.name] = prepare(app, chips)
    progress("choose a plan")
    result = choose_plan(
        system, list(models.values()), objective=options.objective, selector=options.selector
    )
    return models, result


def synthesize(
    system: System,
    models: Mapping[str, PreparedModel],
    plan: Plan,
    progress: Progress,
    generate: Generate = native.generate,
) -> dict[str, Program]:
    """Return the accelerator program of every segment, by segment name.

    Segments of one residency set lie side by side; each set has the memories for itself.
    """
    programs = {}
    for device in system.devices:
        for segments in plan.residency_sets(device.name):
            networks = [segment_network(models, item.app, item.first, item.last) for item in segments]
            for segment in segments:
                progress(f"place and generate {segment.name}")
            for segment, placed in zip(segments, place_resident(networks, device.chip), strict=True):
                programs[segment.name] = generate(placed, device.chip)
    return programs


def compile_all(
    specs: Sequence[FirmwareSpec],
    folder: Path,
    compiler: CrossCompiler,
    progress: Progress,
    port: Port = Port.BAREMETAL,
) -> dict[str, Firmware]:
    """Compile every device's firmware into ``folder/DEVICE`` and return the images by device."""
    images = {}
    for spec in specs:
        progress(f"compile {spec.device}")
        images[spec.device] = build_firmware(spec, folder / spec.device, compiler, port)
        # Object files differ in nothing that matters, and only take space in a deployment.
        shutil.rmtree(folder / spec.device / "obj", ignore_errors=True)
    return images


def write_app_files(models: Iterable[PreparedModel], specs: Sequence[FirmwareSpec], folder: Path) -> None:
    """Write each app's models, samples, labels and the layout of its result below ``folder/apps``."""
    for model in models:
        target = folder / "apps" / model.app
        target.mkdir(parents=True)
        (target / "graph.safetensors").write_bytes(store.dump(model.graph))
        (target / "network.safetensors").write_bytes(store.dump(model.network))
        (target / "network.txt").write_text(str(model.network), encoding="utf-8")
        (target / "samples.npy").write_bytes(_npy(model.sensed))
        for name, layout in (("input", input_layout), ("output", output_layout)):
            elements = np.asarray(layout(specs, model.app).elements, dtype=np.int64)
            (target / f"{name}_elements.npy").write_bytes(_npy(elements))
        if model.labels is not None:
            (target / "labels.npy").write_bytes(_npy(model.labels))
        if model.accuracy is not None:
            (target / "answers.npy").write_bytes(_npy(model.accuracy.answers))


def _npy(array: npt.NDArray[np.generic]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()
