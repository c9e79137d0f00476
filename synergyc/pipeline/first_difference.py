"""Where a project of the vendor's shape leaves the integer reference of the network it was generated from."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from synergyc.diagnostics import Diagnostic, fail
from synergyc.emulate.kat import LayerTrace
from synergyc.pipeline.layer_difference import Difference, OtherLayerError, first_difference
from synergyc.pipeline.synth import reference_tensors, sample_roots
from synergyc.synth.placed import PlacedLayer
from synergyc.synth.vendor import parse_options, read_vendor
from synergyc.targets import load_chip

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
class Comparison:
    """How many layers were compared, up to the first that differs; None: all agree."""

    layers: int
    difference: Difference | None

    def diagnostic(self) -> Diagnostic | None:
        """Return the difference as a diagnostic."""
        if self.difference is None:
            return None
        message = f"the first difference is in {self.difference}"
        return Diagnostic("kat-first-difference", message, layer=self.difference.layer)

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
        try:
            difference = first_difference(placed, trace.output, expected, chip)
        except OtherLayerError as error:
            raise _other_network(placed, str(error)) from error
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


def _other_network(placed: PlacedLayer, reason: str) -> Exception:
    return fail(
        "kat-reference",
        f"hardware layer {placed.hardware_layer} {reason}: the project was generated from another network",
        layer=placed.layer.name,
        hint="name the YAML file and checkpoint that the project was generated from",
    )
