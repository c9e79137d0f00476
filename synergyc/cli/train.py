"""``synergyc train``: quantization-aware training of a model, from arrays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from synergyc.cli.model_options import MODEL_HELP, model_options, refusal_as_json, request_of, spare_inputs
from synergyc.cli.option_types import FiniteRange, OutputFile

if TYPE_CHECKING:
    from synergyc.ir.graph import Graph
    from synergyc.pipeline.training import Labelled

_FILE = click.Path(path_type=Path)


@click.command("train", epilog=MODEL_HELP)
@model_options
@click.option("--data", "data_file", required=True, type=_FILE, help="Inputs .npy to train on.")
@click.option("--labels", "labels_file", required=True, type=_FILE, help="Their class numbers .npy.")
@click.option("--validation", "validation_file", type=_FILE, help="Inputs .npy that choose the epoch.")
@click.option("--validation-labels", "validation_labels", type=_FILE, help="Their class numbers .npy.")
@click.option(
    "--validation-share",
    default=0.2,
    show_default=True,
    type=FiniteRange(0, 1, min_open=True, max_open=True),
    help="Share of --data that is kept for validation, where no other is given.",
)
@click.option("--epochs", default=20, show_default=True, type=click.IntRange(min=1))
@click.option("--learning-rate", default=1e-3, show_default=True, type=FiniteRange(0, min_open=True))
@click.option("--batch", default=32, show_default=True, type=click.IntRange(min=1))
@click.option("--seed", default=0, show_default=True, type=int)
@click.option("--device", default="MAX78002", show_default=True, help="Chip or board that --fit is for.")
@click.option("-o", "--output", required=True, type=OutputFile(), help="File.safetensors to write.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(
    data_file: Path,
    labels_file: Path,
    validation_file: Path | None,
    validation_labels: Path | None,
    validation_share: float,
    epochs: int,
    learning_rate: float,
    batch: int,
    seed: int,
    device: str,
    output: Path,
    as_json: bool,
    **model: Any,
) -> None:
    """Train MODEL with the chip's own arithmetic, and write its integers for an app file's `trained` key.

    Starts from what calibration finds (with the training data, if --calibrate names no other), and keeps
    the epoch that is best on the validation samples: never one that is worse than no training.
    """
    if (validation_file is None) != (validation_labels is None):
        raise click.UsageError("--validation and --validation-labels belong together")
    read = [*(model[name] for name in ("model", "network", "weights", "calibrate")), data_file, labels_file]
    spare_inputs([output], [*read, validation_file, validation_labels])
    from synergyc.pipeline.integer_files import write_stored
    from synergyc.pipeline.single import board_of, quantize_model
    from synergyc.pipeline.training import Schedule, train

    epochs_seen: list[float] = []

    def told(epoch: int, accuracy: float) -> None:
        epochs_seen.append(accuracy)
        click.echo(f"epoch {epoch}: validation {accuracy:.2%}", err=True)

    with refusal_as_json(as_json):
        request = request_of(**{**model, "calibrate": model["calibrate"] or data_file})
        made = quantize_model(request, board_of(device))
        for note in made.notes:
            click.echo(f"note: {note}", err=True)
        held = None
        if validation_file is not None and validation_labels is not None:
            held = validation_file, validation_labels
        data, validation = _samples((data_file, labels_file), held, validation_share, seed, made.graph)
        schedule = Schedule(epochs, learning_rate, batch, seed)
        found = train(made.calibrated, data, validation, schedule, told)
    write_stored(found.integers, output)
    if as_json:
        document = {
            "status": "ok",
            "reasons": [],
            "file": str(output),
            "samples": len(validation.labels),
            "calibrated": found.calibrated_accuracy,
            "trained": found.accuracy,
            "epoch": found.epoch,
            "validation": epochs_seen,
            "notes": list(made.notes),
        }
        click.echo(json.dumps(document, indent=2))
        return
    click.echo(
        f"validation accuracy on {len(validation.labels)} samples:"
        f" calibrated {found.calibrated_accuracy:.2%}, trained {found.accuracy:.2%} (epoch {found.epoch});"
        f" written to {output}"
    )


def _samples(
    files: tuple[Path, Path], held: tuple[Path, Path] | None, share: float, seed: int, graph: Graph
) -> tuple[Labelled, Labelled]:
    """Return what to train on and what to validate with: files of its own, or a share of the data."""
    from synergyc.pipeline.single import read_labelled

    data = read_labelled(*files, graph)
    return data.split(share, seed) if held is None else (data, read_labelled(*held, graph))
