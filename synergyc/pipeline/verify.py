"""One model, from file to proof: the emulated chip, the reference and onnxruntime must agree on every bit."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from synergyc import reference
from synergyc.ir.network import Network
from synergyc.ir.types import Array
from synergyc.manifest import MANIFEST_NAME
from synergyc.pipeline.build import compile_all, synthesize, write_app_files
from synergyc.pipeline.firmware_specs import firmware_specs
from synergyc.pipeline.models import PreparedModel
from synergyc.pipeline.record import record_build
from synergyc.pipeline.row import APP, plan_in_row, row
from synergyc.pipeline.run import RunOptions, run
from synergyc.pipeline.single import ModelRequest, board_of, network_for, quantize_model, random_inputs
from synergyc.plan.types import AppPlan
from synergyc.report.outcome import RunOutcome
from synergyc.targets import Board
from synergyc.toolchain import find_cross_compiler

_RUN_LIMIT_S = 5.0
"""Virtual time of one run without its result: far above any inference and its hand-offs."""


class Agreement(StrEnum):
    """How onnxruntime's results compare with the reference's."""

    EQUAL = "equal"
    DIFFERENT = "different"
    ABSENT = "not installed"


@dataclass(frozen=True, eq=False)
class Verification:
    """What a verification showed; ``outcome`` compares the emulated chip with the reference."""

    board: str
    network: Network
    plan: AppPlan
    outcome: RunOutcome
    onnxruntime: Agreement
    notes: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether every result agrees, of those executors that are there."""
        return self.outcome.ok and self.onnxruntime is not Agreement.DIFFERENT


def verify(request: ModelRequest, device: str, runs: int, progress: Callable[[str], None]) -> Verification:
    """Quantize, place, generate, compile and emulate a model, and compare all results.

    It is cut over up to ``request.devices`` devices of one kind, joined in a row, where one is too small.
    Raises SynergyError for wrong input, and with all reasons if the model cannot run on the devices.
    """
    board = board_of(device)
    compiler = find_cross_compiler()
    progress("capture and quantize")
    model = quantize_model(request, board)
    network = network_for(model, board)
    sensed = random_inputs(model.graph.input.source_shape, runs, seed=1)
    if model.graph.input.reads_bytes:
        sensed = sensed.view(np.uint8) ^ 0x80  # the same values, 128 higher
    prepared = PreparedModel(APP, model.captured, model.graph, model.integers, network, sensed)
    system = row(request, board)
    result = plan_in_row(system, prepared, board)
    plan = result.plan
    models = {APP: prepared}
    programs = synthesize(system, models, plan, progress)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        specs = firmware_specs(system, models, plan, programs)
        write_app_files(models.values(), specs, folder)
        images = compile_all(specs, folder, compiler, progress)
        manifest = record_build(
            Path(request.spec).name, system, models, result, programs, specs, images, folder, compiler
        )
        (folder / MANIFEST_NAME).write_text(manifest.to_text(), encoding="utf-8")
        progress(f"emulate {runs} runs")
        outcome = run(folder, RunOptions(runs, limit_s=_limit_s(network, board, runs)))
    progress("compare with onnxruntime")
    return Verification(
        board.name,
        network,
        plan.apps[0],
        outcome,
        compare_onnxruntime(network, prepared.samples),
        model.notes,
    )


def compare_onnxruntime(network: Network, samples: Array) -> Agreement:
    """Run ``network`` in onnxruntime and in the reference and compare all outputs, bit by bit."""
    if find_spec("onnxruntime") is None:
        return Agreement.ABSENT
    from synergyc.export.onnx import run_onnxruntime, to_onnx

    inputs = {network.inputs[0].name: samples}
    found, expected = run_onnxruntime(to_onnx(network), inputs), reference.run(network, inputs)
    equal = all(np.array_equal(found[name], values) for name, values in expected.items())
    return Agreement.EQUAL if equal else Agreement.DIFFERENT


def _limit_s(network: Network, board: Board, runs: int) -> float:
    """Return the virtual time that so many runs may take: most of it goes into printing results."""
    characters = 4 * sum(network.tensor(name).size_bytes for name in network.outputs)
    return runs * (_RUN_LIMIT_S + 10 * characters / board.console_rate_bd)
