"""``synergyc synth``: the vendor's own input files to a project folder, by our generator or by theirs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from synergyc.cli.option_types import FiniteRange

if TYPE_CHECKING:
    from pathlib import Path

    from synergyc.pipeline.synth import SynthResult


@click.command(
    "synth",
    context_settings={"ignore_unknown_options": True},
    epilog="All other options are those of the vendor's ai8xize.py, by the same names (docs/synth.md).",
)
@click.option("--device", required=True, metavar="CHIP", help="Chip: MAX78000 or MAX78002.")
@click.option(
    "--engine",
    type=click.Choice(["native", "izer"]),
    default="native",
    show_default=True,
    help="Our generator, or the vendor's tool in AI8X_SYNTHESIS_DIR.",
)
@click.option(
    "--engine-timeout-s",
    type=FiniteRange(min=0, min_open=True),
    default=1200.0,
    show_default=True,
    help="Time after which the vendor's tool counts as hanging.",
)
@click.option(
    "-o", "--output", required=True, metavar="DIR", type=click.Path(), help="Project folder to write."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.argument(
    "options", nargs=-1, type=click.UNPROCESSED, metavar="--config-file NET.yaml [OPTIONS OF AI8XIZE]"
)
def command(
    device: str, engine: str, engine_timeout_s: float, output: str, as_json: bool, options: tuple[str, ...]
) -> None:
    """Generate a C project for one network from the vendor's YAML, checkpoint and sample.

    The folder holds the accelerator's registers, weights, the sample input and the known answer; `synergyc
    kat` compiles and runs it.
    """
    from pathlib import Path

    from synergyc.pipeline.synth import synthesize_izer, synthesize_native

    if engine == "izer":
        result = synthesize_izer(options, device, Path(output), timeout_s=engine_timeout_s)
    else:
        result = synthesize_native(options, device, Path(output))
    for note in result.notes:
        click.echo(f"note: {note}", err=True)
    if as_json:
        click.echo(json.dumps(_document(result, engine, Path(output)), indent=2))
        return
    if result.program is not None:
        layers = len(result.program.layers)
        size = 4 * result.program.weight_words
        click.echo(f"{result.program.name}: {layers} layers, {size:,} bytes of weights")
    more = f" and {len(result.files) - 8} more" if len(result.files) > 8 else ""
    click.echo(f"written to {output}: {', '.join(result.files[:8])}{more}")


def _document(result: SynthResult, engine: str, folder: Path) -> dict[str, object]:
    program = result.program
    return {
        "ok": True,
        "engine": engine,
        "folder": str(folder),
        "files": list(result.files),
        "layers": None if program is None else len(program.layers),
        "weight_bytes": None if program is None else 4 * program.weight_words,
        "notes": list(result.notes),
    }
