"""``synergyc verify``: one model, from file to proof on an emulated chip."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from synergyc.cli.model_options import MODEL_HELP, model_options, refusal_as_json, request_of
from synergyc.cli.progress import stages

if TYPE_CHECKING:
    from synergyc.pipeline.verify import Verification
    from synergyc.report.outcome import DeviceOutcome


@click.command("verify", epilog=MODEL_HELP)
@model_options
@click.option("--device", required=True, help="Chip or board, such as MAX78000.")
@click.option(
    "--runs", default=4, show_default=True, type=click.IntRange(min=1), help="Inferences to compare."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("-q", "--quiet", is_flag=True, help="No progress messages.")
def command(device: str, runs: int, as_json: bool, quiet: bool, **model: Any) -> None:
    """Quantize MODEL, build it for one device, or for --devices in a row, and emulate it.

    Every result must equal the integer reference and onnxruntime, bit by bit; exit 0 only then.
    """
    from synergyc.pipeline.verify import verify

    with refusal_as_json(as_json), stages(quiet=quiet) as progress:
        result = verify(request_of(**model, plans=True), device, runs, progress)
    click.echo(json.dumps(_document(result), indent=2) if as_json else _summary(result))
    if not result.ok:
        raise SystemExit(1)


def _document(result: Verification) -> dict[str, object]:
    app = result.outcome.apps[0]
    return {
        "status": "ok" if result.ok else "different",
        "reasons": [],
        "board": result.board,
        "layers": len(result.network.layers),
        "macs": sum(layer.macs for layer in result.network.layers),
        "runs": app.sent,
        "right": app.right,
        "wrong": app.wrong,
        "dropped": app.dropped,
        "first_difference": asdict(app.first_difference) if app.first_difference else None,
        "onnxruntime": str(result.onnxruntime),
        "units": _units(result.outcome.devices[0]),
        "devices": {device.name: _units(device) for device in result.outcome.devices},
        "segments": [
            {"device": segment.device, "first_layer": segment.first, "last_layer": segment.last}
            for segment in result.plan.segments
        ],
        "notes": list(result.notes),
    }


def _units(device: DeviceOutcome) -> dict[str, dict[str, int | None]]:
    return {
        unit.unit: {"predicted_cycles": unit.predicted_cycles, "emulated_cycles": unit.emulated_cycles}
        for unit in device.units
    }


def _summary(result: Verification) -> str:
    app = result.outcome.apps[0]
    counts = [
        unit.emulated_cycles or 0
        for device in result.outcome.devices
        for unit in device.units
        if unit.unit == "accelerator"
    ]
    lines = [f"note: {note}" for note in result.notes]
    if len(result.plan.segments) > 1:
        lines += [
            f"layers {segment.first} to {segment.last} on {segment.device}"
            for segment in result.plan.segments
        ]
    layers = len(result.network.layers)
    lines += [
        f"{result.network.name} on {result.board}: {layers} layers, {sum(counts):,} cycles",
        f"emulated chip: {app.right} of {app.sent} results equal the reference, {app.wrong} wrong,"
        f" {app.dropped} dropped",
        *([] if app.first_difference is None else [f"first difference: {app.first_difference}"]),
        f"onnxruntime: {result.onnxruntime}",
        "verified" if result.ok else "NOT verified",
    ]
    return "\n".join(lines)
