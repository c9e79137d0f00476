"""``synergyc quantize``: a model in integers, as a file that can be read and compared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from synergyc.cli.model_options import MODEL_HELP, model_options, refusal_as_json, request_of, spare_inputs
from synergyc.cli.option_types import OutputFile

if TYPE_CHECKING:
    from synergyc.ir.network import Network
    from synergyc.pipeline.accuracy import Accuracy


@click.command("quantize", epilog=MODEL_HELP)
@model_options
@click.option("--device", default="MAX78002", show_default=True, help="Chip or board whose layers are made.")
@click.option("-o", "--output", required=True, type=OutputFile(), help="File.safetensors to write.")
@click.option(
    "--test", "test_file", type=click.Path(path_type=Path), help="Inputs .npy that accuracy is told for."
)
@click.option("--labels", "labels_file", type=click.Path(path_type=Path), help="Their class numbers .npy.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(
    device: str,
    output: Path,
    test_file: Path | None,
    labels_file: Path | None,
    as_json: bool,
    **model: Any,
) -> None:
    """Quantize MODEL and write its integer network to a safetensors file.

    Beside it, with the same name, the vendor's tool finds a checkpoint (.pth.tar) and network description
    (.yaml), if the network fits on one device.

    With --test and --labels, tell the share of right answers at each stage, from the float model to the
    integers, and where neighbouring stages begin to differ.
    """
    from synergyc.diagnostics import SynergyError
    from synergyc.pipeline.integer_files import vendor_files, write_stored, write_vendor_files
    from synergyc.pipeline.single import board_of, labelled_accuracy, network_for, quantize_model
    from synergyc.targets import load_chip

    if (test_file is None) != (labels_file is None):
        raise click.UsageError("--test and --labels belong together")
    read = [*(model[name] for name in ("model", "network", "weights", "calibrate")), test_file, labels_file]
    spare_inputs([output, *vendor_files(output)], read)
    accuracy = None
    with refusal_as_json(as_json):
        board = board_of(device)
        quantized = quantize_model(request_of(**model), board)
        network = network_for(quantized, board)
        if test_file is not None and labels_file is not None:
            accuracy = labelled_accuracy(quantized, network, test_file, labels_file)
        write_stored(network, output)
        notes, files = list(quantized.notes), [output]
        try:
            files += write_vendor_files(network, load_chip(board.chip), output)
        except SynergyError as error:
            notes.append(f"no files for the vendor's tool: {error.diagnostics[0].message}")
    if as_json:
        document = _document(network, accuracy, notes)
        click.echo(json.dumps({**document, "files": list(map(str, files))}, indent=2))
    else:
        _tell(accuracy, notes)
        written = ", ".join(map(str, files))
        click.echo(f"{network.name}: {len(network.layers)} layers ({_widths(network)}), written to {written}")


def _tell(accuracy: Accuracy | None, notes: list[str]) -> None:
    for note in notes:
        click.echo(f"note: {note}")
    if accuracy is not None:
        from synergyc.report.accuracy import accuracy_lines

        for line in accuracy_lines(accuracy.samples, accuracy.shares, accuracy.differences):
            click.echo(line)


def _widths(network: Network) -> str:
    used = [layer.weight_bits for layer in network.layers if layer.weight is not None]
    return ", ".join(f"{used.count(bits)} of {bits} bits" for bits in sorted(set(used), reverse=True))


def _document(network: Network, accuracy: Accuracy | None, notes: list[str]) -> dict[str, object]:
    return {
        "status": "ok",
        "reasons": [],
        "model": network.name,
        "layers": [
            {"name": layer.name, "bits": layer.weight_bits if layer.weight is not None else None}
            for layer in network.layers
        ],
        "accuracy": None
        if accuracy is None
        else {
            "samples": accuracy.samples,
            **accuracy.shares,
            "differences": [vars(item) for item in accuracy.differences],
        },
        "notes": notes,
    }
