"""``synergyc kat``: compile a project folder of the vendor's shape and run it to its own verdict."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from synergyc.cli.option_types import FiniteRange
from synergyc.cli.refusals import warn
from synergyc.diagnostics import SynergyError, fail, file_location

if TYPE_CHECKING:
    from synergyc.emulate.kat import KatReport
    from synergyc.pipeline.first_difference import Comparison

DEFAULT_LIMIT_S = 30.0
"""Ours: five times what the longest of the vendor's programs takes, the one made with --energy."""
KEEP_FOLDER = "build-kat"


@click.command("kat")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--device", required=True, metavar="CHIP", help="Chip to emulate: MAX78000 or MAX78002.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
@click.option(
    "--limit-s",
    type=FiniteRange(min=0, min_open=True),
    default=DEFAULT_LIMIT_S,
    show_default=True,
    help="Virtual time after which a run without a verdict counts as hanging.",
)
@click.option(
    "--trace",
    type=click.Choice(["layers"]),
    help="Show the cycles of each hardware layer and write its output tensor to DIR/build-kat.",
)
@click.option(
    "--reference",
    nargs=2,
    metavar="NET.yaml CHECKPOINT",
    type=click.Path(path_type=Path),
    help="Name the first layer, channel and pixel that differ from this network.",
)
@click.option(
    "--sample",
    metavar="FILE.npy",
    type=click.Path(path_type=Path),
    help="Input for --reference; default: where the generator finds it.",
)
@click.option("--keep", is_flag=True, help="Keep the ELF and map files in DIR/build-kat.")
def command(
    folder: Path,
    device: str,
    as_json: bool,
    limit_s: float,
    trace: str | None,
    reference: tuple[Path, Path] | None,
    sample: Path | None,
    keep: bool,
) -> None:
    """Compile the vendor-generated project in DIR, unchanged, and run it on the emulated chip.

    Prints what the program prints. Exit code 0 only if the program reports PASS and returns, and no layer
    differs from the reference.
    """
    from synergyc.emulate.kat import run

    if sample is not None and reference is None:
        raise click.UsageError("--sample is the input for --reference, which is missing")
    try:
        report = run(folder, device, limit_s=limit_s, keep=folder / KEEP_FOLDER if keep else None)
        comparison = _compare(report, folder, device, reference, sample)
        files = _write_tensors(report, folder / KEEP_FOLDER) if trace == "layers" else {}
    except SynergyError as error:
        if as_json:
            click.echo(json.dumps(_refusal(device, error), indent=2))
            _show_diagnostics(error)
            raise SystemExit(1) from None
        raise
    if as_json:
        click.echo(json.dumps(_document(report, comparison, files), indent=2))
    else:
        click.echo(report.console, nl=not report.console.endswith("\n"))
    _show_layers(report, files)
    agrees = _show_comparison(report, comparison)
    _show_verdict(report)
    raise SystemExit(0 if report.status == "pass" and agrees else 1)


def _compare(
    report: KatReport, folder: Path, device: str, files: tuple[Path, Path] | None, sample: Path | None
) -> Comparison | None:
    """Return how the layers compare with the reference; None without one, or if no layer ran."""
    if files is None or not report.layers:
        return None
    from synergyc.pipeline.first_difference import Reference, compare

    return compare(report.layers, folder, device, Reference(*files, sample))


def _write_tensors(report: KatReport, folder: Path) -> dict[int, Path]:
    """Write each layer's output as a NumPy file; return the files by hardware layer."""
    import numpy as np

    files = {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for layer in report.layers:
            files[layer.layer] = folder / f"layer-{layer.layer:03}.npy"
            np.save(files[layer.layer], np.ascontiguousarray(layer.output))
    except OSError as error:
        raise fail(
            "kat-keep", f"cannot keep files: {error.strerror}", location=file_location(folder)
        ) from error
    return files


def _document(report: KatReport, comparison: Comparison | None, files: dict[int, Path]) -> dict[str, object]:
    document = report.to_json()
    if comparison is not None:
        document["reference"] = comparison.to_json()
    if files:
        document["tensors"] = {str(layer): str(path) for layer, path in files.items()}
    return document


def _refusal(device: str, error: SynergyError) -> dict[str, object]:
    """Return the JSON document for a project that was never run."""
    unsupported = any(item.rule in ("kat-riscv", "kat-camera") for item in error.diagnostics)
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


def _show_layers(report: KatReport, files: dict[int, Path]) -> None:
    for item in report.layers:
        if item.layer in files:
            shape = "x".join(map(str, item.output.shape))
            click.echo(f"layer {item.layer:3}: {item.cycles:>10} cycles  {item.summary}", err=True)
            click.echo(f"           {files[item.layer]}: {item.output.dtype} {shape}", err=True)


def _show_comparison(report: KatReport, comparison: Comparison | None) -> bool:
    """Say how the layers compare with the reference; return whether nothing differs."""
    if comparison is None:
        return True
    if (diagnostic := comparison.diagnostic()) is not None:
        click.echo(diagnostic.render(), err=True)
        return False
    rest = "" if report.status == "pass" else ": what is wrong comes before or after the network"
    click.echo(f"all {comparison.layers} layers agree with the reference{rest}", err=True)
    return True


def _show_verdict(report: KatReport) -> None:
    warn(report.warnings)
    for item in report.diagnostics:
        click.echo(item.render(), err=True)
    click.echo(
        f"{report.status}: {report.accelerator_runs} accelerator run(s), {report.cycles} cycles the last;"
        f" {report.instructions} instructions, {report.time_s:.3f} s of virtual time;"
        f" {report.memory.flash_bytes} bytes of flash, {report.memory.ram_bytes} of RAM",
        err=True,
    )
