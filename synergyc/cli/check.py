"""``synergyc check``: whether a model can run on one device, and if not, all reasons."""

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
    """Tell whether MODEL fits on one device; if not, say which limits it breaks, and what to do."""
    from synergyc.diagnostics import SynergyError
    from synergyc.pipeline.planning import fits
    from synergyc.pipeline.single import board_of, network_for, quantize_model
    from synergyc.targets import load_chip

    with refusal_as_json(as_json):
        board = board_of(device)
        quantized = quantize_model(request_of(**model), board)
        network = network_for(quantized, board)
        problems = fits((network,), load_chip(board.chip))
        if problems:
            raise SynergyError(problems)
    if as_json:
        document = {"status": "ok", "reasons": [], "board": board.name, "layers": len(network.layers)}
        click.echo(json.dumps(document, indent=2))
    else:
        click.echo(f"{network.name} fits on one {board.name}: {len(network.layers)} layers")
