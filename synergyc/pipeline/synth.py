"""From the vendor tool's input files to a project folder that runs one network and checks its answer."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from synergyc.diagnostics import SynergyError, fail
from synergyc.ir.network import Layer
from synergyc.ir.types import Array, frozen_array
from synergyc.pipeline.staging import check_output, staging
from synergyc.reference import run_layer
from synergyc.synth.izer import PINNED_COMMIT, Izer, find_izer, warnings_in
from synergyc.synth.izer.tool import FOLDER_VARIABLE
from synergyc.synth.native import generate
from synergyc.synth.program import Program
from synergyc.synth.project import PROJECT_FILES, KnownAnswer, render_project
from synergyc.synth.vendor import VendorNetwork, parse_options, read_vendor
from synergyc.synth.vendor.checkpoint import load_checkpoint
from synergyc.targets import Chip, load_chip

_MARKER = "cnn.c"
_PROJECT = "project folder"
_IZER_QUIET = ("--overwrite", "--no-version-check", "--no-progress", "--yamllint", "none")
_IZER_ENVIRONMENT = {"TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"}
"""The vendor's checkpoints hold objects of its training code, which PyTorch refuses otherwise."""
_FILE_OPTIONS = ("--config-file", "--checkpoint-file", "--sample-input", "--weight-input", "--bias-input")


@dataclass(frozen=True)
class SynthResult:
    """What was written: the files by name, and the program they hold (None: made by the vendor's tool).

    ``notes``: what the user should know about the engine.
    """

    files: tuple[str, ...]
    program: Program | None
    notes: tuple[str, ...] = ()


def synthesize_native(arguments: Sequence[str], device: str, output: Path) -> SynthResult:
    """Write the project of our own generator to the folder ``output``.

    ``arguments`` are options of the vendor's tool, ``device`` is the name of a chip. Raises SynergyError for
    wrong input and for what is not supported; ``output`` then stays as it was.
    """
    check_output(output, _MARKER, _PROJECT)
    chip = load_chip(device)
    program, files = project_files(arguments, chip)
    with staging(output, PROJECT_FILES) as folder:
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
    return SynthResult(tuple(files), program)


def synthesize_izer(
    arguments: Sequence[str], device: str, output: Path, *, timeout_s: float = 1200.0
) -> SynthResult:
    """Write the project of the vendor's tool to ``output``; raises SynergyError as ``synthesize_native``."""
    check_output(output, _MARKER, _PROJECT)
    chip = load_chip(device)
    izer = find_izer()
    files = _files(arguments)
    if "--checkpoint-file" in files:
        load_checkpoint(
            files["--checkpoint-file"]
        )  # the tool would execute what is pickled: here it must prove to be data
    with (
        tempfile.TemporaryDirectory(prefix="synergyc-izer-") as name,
        staging(output, PROJECT_FILES) as folder,
    ):
        said = izer.run(
            [
                *_without_files(arguments),
                *(word for option, path in files.items() for word in (option, str(path))),
                *("--device", chip.part, "--test-dir", name, "--prefix", "project"),
                *_IZER_QUIET,
            ],
            timeout_s=timeout_s,
            environment=_IZER_ENVIRONMENT,
        )
        if not (Path(name) / "project" / _MARKER).is_file():
            raise fail("izer-run", "the vendor's tool ended without writing a project")
        shutil.copytree(Path(name) / "project", folder, dirs_exist_ok=True)
        written = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    return SynthResult(tuple(written), None, (*_version_notes(izer), *warnings_in(said)))


def _version_notes(izer: Izer) -> tuple[str, ...]:
    version = izer.version()
    if PINNED_COMMIT.startswith(version):
        return ()
    return (f"the vendor's tool is at {version}; ours was compared with {PINNED_COMMIT[:12]}",)


def project_files(arguments: Sequence[str], chip: Chip) -> tuple[Program, dict[str, str]]:
    """Return the program for the network that ``arguments`` name, and the texts of its project."""
    options = parse_options(arguments)
    network = read_vendor(options, chip, root=sample_roots(options.config_file))
    program = generate(network.placed, network.chip, network.control)
    last = network.execution[-1]
    files = render_project(
        program,
        network.chip,
        known_answer(network),
        options.project,
        network.control,
        logit_shift=8 - last.weight_bits if last.weight is not None else 0,
    )
    return program, files


def known_answer(network: VendorNetwork) -> KnownAnswer:
    """Return what the integer reference makes of the network's sample input."""
    tensors = reference_tensors(network)
    inputs = {
        placed.tensor.name: sample
        for placed, sample in zip(network.placed.inputs, network.samples, strict=True)
    }
    return KnownAnswer(
        inputs, {item.tensor.name: tensors[item.tensor.name] for item in network.placed.outputs}
    )


def reference_tensors(network: VendorNetwork) -> dict[str, Array]:
    """Return every tensor of the network for its sample input: int8, or int32 where the output is wide."""
    tensors = {
        placed.tensor.name: frozen_array(sample, "int8")[None]
        for placed, sample in zip(network.placed.inputs, network.samples, strict=True)
    }
    for layer in network.execution:
        rounding = network.control.average_rounding
        operands = _operands(layer, tensors, network)
        tensors[layer.output.name] = run_layer(layer, operands, average_rounding=rounding)
    return {name: values[0] for name, values in tensors.items()}


def _operands(layer: Layer, tensors: Mapping[str, Array], network: VendorNetwork) -> list[Array]:
    """Return the operands as the layer sees them, (1, C, ...).

    A layer may read with other rows and columns than were written, and only some of the channels. Several
    operands from one tensor are neighbouring pixels (docs/accelerator.md, section 3.6).
    """
    channels, plane = layer.in_shape[0], layer.in_shape[1:]
    names = list(dict.fromkeys(layer.inputs))
    try:
        if len(names) == 1 and len(layer.inputs) > 1:
            pixels = tensors[names[0]].reshape(1, channels, -1, len(layer.inputs))
            return [pixels[..., index].reshape(1, -1, *plane) for index in range(len(layer.inputs))]
        operands = [tensors[name].reshape(1, -1, *plane) for name in layer.inputs]
    except ValueError as error:
        raise _mismatch(layer, tensors) from error
    if network.drops_channels:
        first = network.first_channels.get(layer.name, 0)
        operands = [operand[:, first : first + channels] for operand in operands]
    together = sum(operand.shape[1] for operand in operands)
    if together != channels * (len(operands) if layer.eltwise is not None else 1):
        raise _mismatch(layer, tensors)
    return operands


def _mismatch(layer: Layer, tensors: Mapping[str, Array]) -> SynergyError:
    return fail(
        "vendor-value",
        "the layer reads a tensor in a shape that it does not have",
        layer=layer.name,
        need="x".join(map(str, layer.in_shape)),
        have=", ".join(f"{name} {'x'.join(map(str, tensors[name].shape[1:]))}" for name in layer.inputs),
    )


def sample_roots(config_file: Path) -> list[Path]:
    """Return the folders where the tool's ``tests`` folder may be: as it lies in a clone of the tool."""
    folders = [Path(), config_file.parent.parent]
    clone = os.environ.get(FOLDER_VARIABLE)
    return [*folders, Path(clone)] if clone else folders


def _files(arguments: Sequence[str]) -> dict[str, Path]:
    """Return the files that options name, as absolute paths: the tool runs in its own folder."""
    found = {}
    for word, follower in zip(arguments, [*arguments[1:], ""], strict=True):
        option, equals, value = word.partition("=")
        if option in _FILE_OPTIONS:
            found[option] = Path(value if equals else follower).resolve()
    return found


def _without_files(arguments: Sequence[str]) -> list[str]:
    return [
        word
        for before, word in zip(["", *arguments], arguments, strict=False)
        if before not in _FILE_OPTIONS and word.partition("=")[0] not in _FILE_OPTIONS
    ]
