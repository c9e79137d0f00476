"""``synergyc show``: the layers of a model as the accelerator runs them."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from synergyc.cli.console import table_console
from synergyc.cli.model_options import MODEL_HELP, model_options, refusal_as_json, request_of

if TYPE_CHECKING:
    from rich.table import Table

    from synergyc.pipeline.describe import LayerRow


@click.command("show", epilog=MODEL_HELP)
@model_options
@click.option("--device", default="MAX78002", show_default=True, help="Chip or board that counts the cycles.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(device: str, as_json: bool, **model: Any) -> None:
    """Show the layers of MODEL: shapes, weights, cycles, and the bytes that a cut behind each would move."""
    from synergyc.pipeline.describe import describe
    from synergyc.pipeline.single import board_of, network_for, quantize_model
    from synergyc.targets import load_chip

    with refusal_as_json(as_json):
        board = board_of(device)
        quantized = quantize_model(request_of(**model))
        network = network_for(quantized, board)
    rows = describe(network, load_chip(board.chip))
    if as_json:
        head = {
            "status": "ok",
            "reasons": [],
            "model": network.name,
            "chip": board.chip,
            "notes": list(quantized.notes),
        }
        click.echo(json.dumps({**head, "layers": [asdict(row) for row in rows]}, indent=2))
        return
    table_console().print(_table(f"{network.name} on {board.chip}", rows))
    for note in quantized.notes:
        click.echo(f"note: {note}")


def _table(title: str, rows: tuple[LayerRow, ...]) -> Table:
    from rich.table import Table

    table = Table(title=title)
    for name in ("#", "layer", "operator", "input", "output"):
        table.add_column(name)
    for name in ("bits", "weights B", "bias B", "MACs", "cycles", "cut B"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(
            *(str(row.index), row.name, row.operator, _shape(row.in_shape), _shape(row.out_shape)),
            str(row.weight_bits or "-"),
            *(f"{number:,}" for number in (row.weight_bytes, row.bias_bytes, row.macs, row.cycles)),
            f"{row.cut_bytes:,}" + (f" ({row.cut_tensors} tensors)" if row.cut_tensors > 1 else ""),
        )
    table.add_section()
    totals = [
        sum(values)
        for values in zip(*((r.weight_bytes, r.bias_bytes, r.macs, r.cycles) for r in rows), strict=True)
    ]
    table.add_row("", "total", "", "", "", "", *(f"{total:,}" for total in totals), "")
    return table


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
