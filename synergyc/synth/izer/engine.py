"""One placed network, one run of the vendor's tool, one program."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from synergyc.diagnostics import fail
from synergyc.synth.effect import program_differences
from synergyc.synth.izer.emitted import Emitted, read_emitted
from synergyc.synth.izer.inputs import checkpoint_bytes, network_yaml, sample_bytes
from synergyc.synth.izer.tool import Izer
from synergyc.synth.native.control import VENDOR_DEFAULTS, ControlOptions
from synergyc.synth.native.generator import generate as generate_native
from synergyc.synth.placed import PlacedNetwork
from synergyc.synth.program import Program
from synergyc.targets import Chip

ENGINE = "izer"
_TIMEOUT_S = 600.0
_PREFIX = "network"


def generate(
    placed: PlacedNetwork,
    chip: Chip,
    izer: Izer,
    control: ControlOptions = VENDOR_DEFAULTS,
    *,
    timeout_s: float = _TIMEOUT_S,
) -> Program:
    """Return the program that the vendor's tool makes of ``placed``.

    Where inputs and outputs lie is given by the placement. Raises SynergyError if the tool fails, if it
    cannot express the network, if its C is not understood, or (``izer-differs``) if it does not keep to the
    placement: it chooses the places of weights and biases itself, as if the network were alone on the chip.
    """
    emitted = run_izer(placed, chip, izer, control, timeout_s=timeout_s)
    ours = generate_native(placed, chip, control)
    program = replace(
        ours,
        engine=ENGINE,
        engine_version=izer.version(),
        init=emitted.init,
        weights=emitted.weights,
        bias=emitted.bias,
        configure=emitted.configure,
        start=emitted.start,
    )
    differences = list(program_differences(program, ours, chip.cnn))
    if differences:
        raise fail(
            "izer-differs",
            f"the vendor's tool does not keep to the placement of {placed.name}: {differences[0]}",
            have=f"{len(differences)} differences, the tool's value first",
            hint="it places weights as if a network were alone on the chip: use --synth auto or native",
        )
    return program


def run_izer(
    placed: PlacedNetwork,
    chip: Chip,
    izer: Izer,
    control: ControlOptions = VENDOR_DEFAULTS,
    *,
    timeout_s: float = _TIMEOUT_S,
) -> Emitted:
    """Run the tool in a temporary folder and return what its C does."""
    with tempfile.TemporaryDirectory(prefix="synergyc-izer-") as name:
        folder = Path(name)
        (folder / "network.yaml").write_text(network_yaml(placed), encoding="utf-8")
        (folder / "network.pth.tar").write_bytes(checkpoint_bytes(placed))
        (folder / "network.npy").write_bytes(sample_bytes(placed))
        izer.run(list(_arguments(placed, chip, control, folder)), timeout_s=timeout_s)
        return read_emitted(folder / "out" / _PREFIX)


def _arguments(placed: PlacedNetwork, chip: Chip, control: ControlOptions, folder: Path) -> Iterator[str]:
    yield from ("--device", chip.part)
    yield from ("--test-dir", str(folder / "out"), "--prefix", _PREFIX, "--overwrite")
    yield from ("--config-file", str(folder / "network.yaml"))
    yield from ("--checkpoint-file", str(folder / "network.pth.tar"))
    yield from ("--sample-input", str(folder / "network.npy"))
    yield from ("--no-version-check", "--no-progress", "--yamllint", "none", "--no-unload", "--no-kat")
    if placed.first_layer:
        yield from ("--start-layer", str(placed.first_layer))
    start = placed.weight_start or _lowest_slot(placed, chip)
    if start:
        yield from ("--weight-start", str(start))
    if placed.fifo:
        yield "--fifo"
    if control.write_zero_registers:
        yield "--write-zero-registers"
    if control.average_rounding:
        yield "--avg-pool-rounding"


def _lowest_slot(placed: PlacedNetwork, chip: Chip) -> int:
    """Return where the weights start that do not lie at the end of the large memories."""
    slots = [layer.weight_slot for layer in placed if layer.stores_weights]
    return min((slot for slot in slots if slot < chip.cnn.weight_slots), default=0)
