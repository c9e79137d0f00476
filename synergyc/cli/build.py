"""``synergyc build``: the main job, app file to ELFs and manifest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from synergyc.cli.planning_options import planning_options
from synergyc.cli.progress import stages
from synergyc.cli.refusals import warn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from synergyc.manifest import AccuracyRecord, AlternativeRecord, DeviceRecord, Manifest
    from synergyc.plan.problem import Objective


@click.command("build")
@click.argument("app_file", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Folder for the build.")
@planning_options
@click.option(
    "--synth",
    "engine",
    type=click.Choice(["native", "izer", "auto"]),
    default="native",
    show_default=True,
    help="Our generator, the vendor's, or the vendor's where it is installed and works.",
)
@click.option("--self-test", is_flag=True, help="Devices check known answers when they boot.")
@click.option(
    "--port",
    type=click.Choice(["baremetal", "msdk"]),
    default="baremetal",
    show_default=True,
    help="What drives the chip: our own code, or the vendor's SDK in the folder MAXIM_PATH.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the manifest as JSON.")
@click.option("-q", "--quiet", is_flag=True, help="No progress messages.")
def command(
    app_file: Path,
    output: Path,
    objective: Objective | None,
    selector: str,
    engine: str,
    self_test: bool,
    port: str,
    as_json: bool,
    quiet: bool,
) -> None:
    """Build APP_FILE: quantize, plan, generate, cross-compile, and write a deployment manifest."""
    from synergyc.firmware.spec import Port
    from synergyc.pipeline.build import BuildOptions, build
    from synergyc.pipeline.engines import EngineChoice

    options = BuildOptions(objective, selector, EngineChoice(engine), self_test, Port(port))
    with stages(quiet=quiet) as progress:
        manifest = build(app_file, output, options, progress)
    warn(item.diagnostic for item in manifest.warnings)
    click.echo(manifest.to_text() if as_json else _summary(manifest, output), nl=False)


def _summary(manifest: Manifest, output: Path) -> str:
    lines = []
    for app in manifest.apps:
        cut = f", cut after {', '.join(app.cut_after)}" if app.cut_after else ""
        turns = f", in turn on {', '.join(app.replicas)}" if app.replicas else ""
        lines.append(f"app {app.name}: {app.sense['on']} -> {app.interact['on']}{cut}{turns}")
        expected = app.predicted
        lines.append(
            f"  expected {expected.throughput_hz:.1f} runs/s (bound by {expected.bottleneck}),"
            f" latency {expected.latency_ms:.2f} ms, {expected.unloaded_latency_ms:.2f} ms without other runs"
        )
        if app.accuracy is not None:
            lines += [f"  {line}" for line in _accuracy(app.accuracy)]
    for device in manifest.devices:
        segments = ", ".join(
            f"{s.name} (layers {s.first_layer}-{s.last_layer}, {s.predicted_cycles:,} cycles)"
            for s in device.segments
        )
        lines.append(
            f"device {device.name} ({device.board}): {segments or 'no segment'};"
            f" flash {device.flash_bytes:,} of {device.flash_limit_bytes:,} B,"
            f" RAM {device.ram_bytes:,} of {device.ram_limit_bytes:,} B"
        )
        lines.append(
            f"  without weights, samples and tensors: flash {device.own_flash_bytes:,} B,"
            f" RAM {device.own_ram_bytes:,} B"
        )
        lines += [f"  {line}" for line in _loads(device)]
    lines += [_alternative(manifest, item) for item in manifest.alternatives if item.plan != 0]
    lines.append(f"written to {output}")
    return "\n".join([*lines, ""])


def _alternative(manifest: Manifest, item: AlternativeRecord) -> str:
    """Return who is served when devices are away, where that takes another plan."""
    if item.plan is None:
        return f"without {', '.join(item.away)}: no other plan in the images, {item.reason}"
    return (
        f"without {', '.join(item.away)}: plan {item.plan} serves {', '.join(item.served)};"
        f" weights are loaded in {manifest.change_ms(item.plan):.1f} ms"
    )


def _loads(device: DeviceRecord) -> Iterator[str]:
    """Yield the residency sets of a device whose weights do not all stay in place."""
    for load in device.loads:
        names = ", ".join(part.name for part in device.segments if part.residency == load.residency)
        yield (
            f"weights of {names}: loaded from flash {load.loads_per_run:.2f} times a run,"
            f" {load.load_ms:.1f} ms each"
        )


def _accuracy(record: AccuracyRecord) -> list[str]:
    from synergyc.report.accuracy import accuracy_lines

    shares = {
        "float": record.float_model,
        "folded": record.folded,
        "fake_quantized": record.fake_quantized,
        "reference": record.integer_reference,
    }
    return accuracy_lines(record.samples, shares, record.differences)
