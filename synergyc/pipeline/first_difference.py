"""Where the emulated accelerator leaves the integer reference of the network that it was generated from."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from synergyc.diagnostics import Diagnostic, fail
from synergyc.emulate.kat import LayerTrace
from synergyc.ir.types import Array
from synergyc.pipeline.synth import reference_tensors, sample_roots
from synergyc.synth.geometry import Geometry, geometry_of, lowest_bit, set_bits
from synergyc.synth.placed import PlacedLayer
from synergyc.synth.vendor import parse_options, read_vendor
from synergyc.targets import Chip, Cnn, load_chip

LOG_FILE = "log.txt"
"""Of the vendor's tool; its first line is the command line (docs/accelerator.md, 7.5)."""

# Options that change what the network computes; all others change how, or where.
_VALUES = {
    "--stop-after", "--skip-yaml-layers", "--skip-checkpoint-layers", "--start-layer", "--output-width",
    "--sample-input", "--weight-input", "--bias-input", "--synthesize-input", "--synthesize-words",
    "--input-offset", "--weight-start",
}  # fmt: skip
_FLAGS = {
    "--fifo", "--ignore-streaming", "--read-ahead", "--calcx4", "--reshape-inputs", "--avg-pool-rounding",
    "--simple1b",
}  # fmt: skip
_LISTS = {"--no-bias"}


@dataclass(frozen=True)
class Reference:
    """The network a project was generated from: the vendor's YAML, checkpoint, and sample (None: its own)."""

    network: Path
    checkpoint: Path
    sample: Path | None = None


@dataclass(frozen=True)
class Difference:
    """The first value that differs: its layer, place and both values, and how many more of the layer do."""

    layer: str
    hardware_layer: int
    channel: int
    row: int
    column: int
    computed: int
    expected: int
    differing: int
    values: int

    def diagnostic(self) -> Diagnostic:
        """Return it as a diagnostic."""
        return Diagnostic(
            "kat-first-difference",
            f"the first difference is in hardware layer {self.hardware_layer}, channel {self.channel},"
            f" row {self.row}, column {self.column}: computed {self.computed}, the reference has"
            f" {self.expected}; {self.differing} of its {self.values} values differ, no layer before it does",
            layer=self.layer,
        )


@dataclass(frozen=True)
class Comparison:
    """How many layers were compared, up to the first that differs; None: all agree."""

    layers: int
    difference: Difference | None

    def to_json(self) -> dict[str, object]:
        """Return it as a JSON-ready dictionary."""
        found = vars(self.difference) if self.difference is not None else None
        return {"layers": self.layers, "agrees": found is None, "difference": found}


def compare(traces: Sequence[LayerTrace], folder: Path, device: str, reference: Reference) -> Comparison:
    """Compare the layers of the last inference of the project in ``folder`` with the integer reference.

    Options of the generator that change the network are taken from the project's log. Raises SynergyError for
    files that cannot be read, and for a network whose layers are not those that ran.
    """
    chip = load_chip(device)
    options = parse_options([*_logged_options(folder / LOG_FILE), *_files(reference)])
    network = read_vendor(options, chip, root=sample_roots(reference.network))
    tensors = reference_tensors(network)
    ran = {trace.layer: trace for trace in traces}
    compared = 0
    run = {layer.name for layer in network.execution}
    for placed in (layer for layer in network.placed if layer.layer.name in run):
        trace = ran.get(placed.hardware_layer)
        if trace is None:
            raise _other_network(placed, "did not run")
        expected = tensors[placed.layer.output.name]
        difference = _first_difference(placed, trace, expected, chip)
        compared += 1
        if difference is not None:
            return Comparison(compared, difference)
    return Comparison(compared, None)


def _files(reference: Reference) -> list[str]:
    words = ["--config-file", str(reference.network), "--checkpoint-file", str(reference.checkpoint)]
    return words if reference.sample is None else [*words, "--sample-input", str(reference.sample)]


def _logged_options(log: Path) -> list[str]:
    """Return the options in the log's first line that change the network; none without such a log."""
    try:
        with log.open(encoding="utf-8", errors="replace") as file:
            words = shlex.split(file.readline())
    except (OSError, ValueError):
        return []
    return list(_relevant(words))


def _relevant(words: Sequence[str]) -> Iterator[str]:
    for word, value in zip(words, [*words[1:], "--"], strict=True):
        name = word.partition("=")[0]
        if name in _FLAGS or (name in _VALUES | _LISTS and "=" in word):
            yield word
        elif name in _VALUES or (name in _LISTS and not value.startswith("--")):
            yield from (word, value)
        elif name in _LISTS:
            yield word


def _first_difference(
    placed: PlacedLayer, trace: LayerTrace, expected: Array, chip: Chip
) -> Difference | None:
    computed = _channels(placed, trace, len(expected), chip.cnn)
    wanted = expected.reshape(len(expected), -1)
    skipped = placed.form.skipped_pixels
    have = computed[:, skipped : skipped + wanted.shape[1]]
    if have.shape != wanted.shape:
        shape = "x".join(map(str, trace.output.shape))
        raise _other_network(placed, f"gave {shape} values, the network's has {expected.shape}")
    wrong = np.argwhere((have != wanted).T)
    if not len(wrong):
        return None
    pixel, channel = map(int, wrong[0])
    columns = expected.shape[2] if expected.ndim > 2 else 1
    return Difference(
        layer=placed.layer.name,
        hardware_layer=trace.layer,
        channel=channel,
        row=pixel // columns,
        column=pixel % columns,
        computed=int(have[channel, pixel]),
        expected=int(wanted[channel, pixel]),
        differing=len(wrong),
        values=wanted.size,
    )


def _channels(placed: PlacedLayer, trace: LayerTrace, channels: int, cnn: Cnn) -> Array:
    """Return (channels, pixels) of what the hardware computed, without outputs that are no channel.

    Convolutions compute an output for each position from the aligned first to the last output processor. The
    MAX78000 combines operands of several passes as rows of one pass (docs/accelerator.md, 5.3).
    """
    output = trace.output.reshape(len(trace.output), -1)
    folded = -(-channels // len(output))
    if placed.passthrough and folded > 1:
        output = output.reshape(len(output), -1, folded).transpose(2, 0, 1).reshape(folded * len(output), -1)
    positions = list(_positions(placed, geometry_of(placed.form.layer, cnn), channels))
    if positions[-1] >= len(output):
        raise _other_network(placed, f"gave {len(output)} channels, the network's has {channels}")
    return output[positions]


def _positions(placed: PlacedLayer, geometry: Geometry, channels: int) -> Iterator[int]:
    if placed.passthrough or geometry.depthwise:
        yield from range(channels)
        return
    bits = set_bits(placed.output_processors)
    first = lowest_bit(placed.output_processors) & ~3
    width = bits[-1] - first + 1
    for channel in range(channels):
        pass_, index = divmod(channel, len(bits))
        yield pass_ * width + bits[index] - first


def _other_network(placed: PlacedLayer, reason: str) -> Exception:
    return fail(
        "kat-reference",
        f"hardware layer {placed.hardware_layer} {reason}: the project was generated from another network",
        layer=placed.layer.name,
        hint="name the YAML file and checkpoint that the project was generated from",
    )
