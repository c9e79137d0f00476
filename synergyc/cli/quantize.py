"""``synergyc quantize``: a model in integers, as a file that can be read and compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from synergyc.cli.model_options import model_options, request_of


@click.command("quantize")
@model_options
@click.option("--device", default="MAX78002", show_default=True, help="Chip or board whose layers are made.")
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), help="File.safetensors to write."
)
@click.option(
    "--test", "test_file", type=click.Path(path_type=Path), help="Inputs .npy that accuracy is told for."
)
@click.option("--labels", "labels_file", type=click.Path(path_type=Path), help="Their class numbers .npy.")
def command(
    device: str, output: Path, test_file: Path | None, labels_file: Path | None, **model: Any
) -> None:
    """Quantize MODEL and write its integer network to a safetensors file.

    With --test and --labels, tell the share of right answers of the float model and of the integers.
    """
    from synergyc.pipeline.single import (
        board_of,
        labelled_accuracy,
        network_for,
        quantize_model,
        write_network,
    )

    if (test_file is None) != (labels_file is None):
        raise click.UsageError("--test and --labels belong together")
    request = request_of(**model)
    quantized = quantize_model(request)
    network = network_for(quantized, board_of(device))
    for note in quantized.notes:
        click.echo(f"note: {note}")
    if test_file is not None and labels_file is not None:
        accuracy = labelled_accuracy(quantized, network, test_file, labels_file)
        click.echo(
            f"accuracy on {accuracy.samples} samples: float {accuracy.float_model:.2%},"
            f" integer {accuracy.integer_reference:.2%}"
        )
    write_network(network, output)
    click.echo(f"{network.name}: {len(network.layers)} layers, written to {output}")
