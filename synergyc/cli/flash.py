"""``synergyc flash``: put the images of a build on boards."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("flash")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--device", "devices", multiple=True, metavar="NAME", help="Device of the build (default: all)."
)
@click.option(
    "--runner",
    type=click.Choice(["openocd", "pyocd", "daplink"]),
    default="openocd",
    show_default=True,
    help="What drives the debug probe.",
)
@click.option("--probe", metavar="ID", help="Serial number of the probe, where there are several.")
@click.option(
    "--drive", type=click.Path(path_type=Path), help="Where the drive of a DAPLink probe is mounted."
)
@click.option("--dry-run", is_flag=True, help="Only print the commands.")
def command(
    folder: Path, devices: tuple[str, ...], runner: str, probe: str | None, drive: Path | None, dry_run: bool
) -> None:
    """Write the image of each device in FOLDER to its board, after a check of the chip."""
    from synergyc.firmware.flash import Target, flash, flash_steps
    from synergyc.manifest import checked_bytes, find_device, read_manifest
    from synergyc.targets import load_chip

    manifest = read_manifest(folder)
    records = [find_device(manifest, name) for name in devices] or list(manifest.devices)
    if len(records) > 1 and not dry_run and (probe or drive):
        raise click.UsageError("--probe and --drive are of one board: name its --device")
    for record in records:
        checked_bytes(folder, record.elf)
        target = Target(record.name, load_chip(record.chip), folder / record.elf.path, probe, drive)
        if dry_run:
            for step in flash_steps(runner, target):  # type: ignore[arg-type]
                click.echo(str(step))
            continue
        if len(records) > 1:
            click.confirm(f"Is the board of {record.name!r} ({record.board}) connected?", abort=True)
        flash(runner, target, lambda purpose: click.echo(purpose, err=True))  # type: ignore[arg-type]
        click.echo(f"{record.name}: written")
