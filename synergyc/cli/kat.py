"""``synergyc kat``: compile a project folder of the vendor's shape and run it to its own verdict."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from synergyc.diagnostics import SynergyError

if TYPE_CHECKING:
    from synergyc.emulate.kat import KatReport

DEFAULT_LIMIT_S = 30.0
"""Ours: five times what the longest of the vendor's programs takes, the one made with --energy."""


@click.command("kat")
@click.argument("folder", metavar="DIR", type=click.Path())
@click.option("--device", required=True, metavar="CHIP", help="Chip to emulate: MAX78000 or MAX78002.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
@click.option(
    "--limit-s",
    type=click.FloatRange(min=0, min_open=True),
    default=DEFAULT_LIMIT_S,
    show_default=True,
    help="Virtual time after which a run without a verdict counts as hanging.",
)
@click.option("--trace", type=click.Choice(["layers"]), help="Show the cycles of each hardware layer.")
@click.option("--keep", is_flag=True, help="Keep the ELF and map files in DIR/build-kat.")
def command(folder: str, device: str, as_json: bool, limit_s: float, trace: str | None, keep: bool) -> None:
    """Compile the vendor-generated project in DIR, unchanged, and run it on the emulated chip.

    Prints what the program prints. Exit code 0 only if the program reports PASS and returns.
    """
    from pathlib import Path

    from synergyc.emulate.kat import run

    try:
        report = run(Path(folder), device, limit_s=limit_s, keep=Path(folder) / "build-kat" if keep else None)
    except SynergyError as error:
        if as_json:
            click.echo(json.dumps(_refusal(device, error), indent=2))
            _show_diagnostics(error)
            raise SystemExit(1) from None
        raise
    if as_json:
        click.echo(json.dumps(report.to_json(), indent=2))
    else:
        click.echo(report.console, nl=not report.console.endswith("\n"))
    if trace == "layers":
        for item in report.layers:
            click.echo(f"layer {item.layer:3}: {item.cycles:>10} cycles  {item.summary}", err=True)
    _show_verdict(report)
    raise SystemExit(0 if report.status == "pass" else 1)


def _refusal(device: str, error: SynergyError) -> dict[str, object]:
    """Return the JSON document for a project that was never run."""
    unsupported = any(item.rule == "kat-riscv" for item in error.diagnostics)
    return {
        "status": "not_modelled" if unsupported else "fail",
        "device": device,
        "cycles": 0,
        "layers": [],
        "console": "",
        "diagnostics": [item.to_json() for item in error.diagnostics],
    }


def _show_diagnostics(error: SynergyError) -> None:
    for item in error.diagnostics:
        click.echo(item.render(), err=True)


def _show_verdict(report: KatReport) -> None:
    for item in report.diagnostics:
        click.echo(item.render(), err=True)
    click.echo(
        f"{report.status}: {report.accelerator_runs} accelerator run(s), {report.cycles} cycles the last;"
        f" {report.instructions} instructions, {report.time_s:.3f} s of virtual time;"
        f" {report.flash_bytes} bytes of flash, {report.ram_bytes} of RAM",
        err=True,
    )
