"""``synergyc check``: whether a model can run on one device, or on some in a row, and if not, all reasons."""

from __future__ import annotations

import json
from typing import Any

import click

from synergyc.cli.model_options import MODEL_HELP, model_options, refusal_as_json, request_of


@click.command("check", epilog=MODEL_HELP)
@model_options
@click.option("--device", required=True, help="Chip or board, such as MAX78000.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(device: str, as_json: bool, **model: Any) -> None:
    """Tell whether MODEL fits on one device, or on --devices in a row.

    If it does not fit: which limits it breaks, and what to do.
    """
    from synergyc.pipeline.models import PreparedModel
    from synergyc.pipeline.row import APP, plan_in_row, row
    from synergyc.pipeline.single import board_of, network_for, quantize_model, random_inputs

    with refusal_as_json(as_json):
        board = board_of(device)
        request = request_of(**model, plans=True)
        made = quantize_model(request, board)
        network = network_for(made, board)
        sensed = random_inputs(made.graph.input.source_shape, 1, seed=0)
        prepared = PreparedModel(APP, made.captured, made.graph, made.integers, network, sensed)
        (plan,) = plan_in_row(row(request, board), prepared, board).plan.apps
    parts = [
        {"device": part.device, "first_layer": part.first, "last_layer": part.last} for part in plan.segments
    ]
    layers = len(network.layers)
    if as_json:
        document = {"status": "ok", "reasons": [], "board": board.name, "layers": layers, "segments": parts}
        click.echo(json.dumps(document, indent=2))
        return
    count = len({part.device for part in plan.segments})
    where = "one" if count == 1 else f"{count} x"
    click.echo(f"{network.name} fits on {where} {board.name}: {layers} layers")
    for part in plan.segments if count > 1 else ():
        click.echo(f"layers {part.first} to {part.last} on {part.device}")
