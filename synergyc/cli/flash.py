"""``synergyc flash``: put the images of a build on boards."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from synergyc.firmware.flash import Runner
    from synergyc.manifest import Manifest


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
@click.option("--key-file", type=click.Path(path_type=Path), help="Keys of secured links (synergyc keys).")
@click.option("--dry-run", is_flag=True, help="Only print the commands.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(
    folder: Path,
    devices: tuple[str, ...],
    runner: Runner,
    probe: str | None,
    drive: Path | None,
    key_file: Path | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Write the image of each device in FOLDER to its board, after a check of the chip.

    Boards with secured links get the keys of --key-file: a private copy of the image holds them meanwhile.
    """
    from synergyc.firmware.flash import Target, flash, flash_steps
    from synergyc.manifest import checked_bytes, find_device, read_manifest
    from synergyc.targets import load_chip

    manifest = read_manifest(folder)
    records = [find_device(manifest, name) for name in dict.fromkeys(devices)] or list(manifest.devices)
    if len(records) > 1 and not dry_run and (probe or drive):
        raise click.UsageError("--probe and --drive are of one board: name its --device")
    done: list[dict[str, object]] = []
    for record in records:
        image, elf = checked_bytes(folder, record.elf), folder / record.elf.path
        keys = _keys(manifest, record.name, key_file)
        with _keyed(image, elf, keys) as keyed:
            target = Target(record.name, load_chip(record.chip), keyed, probe, drive)
            steps = flash_steps(runner, target)
            if not dry_run:
                if len(records) > 1:
                    question = f"Is the board of {record.name!r} ({record.board}) connected?"
                    click.confirm(question, abort=True, err=True)
                flash(runner, target, lambda purpose: click.echo(purpose, err=True))
            done.append({"device": record.name, "image": str(elf), "steps": [asdict(step) for step in steps]})
            if not as_json:
                copy = f"# {keyed} is a private copy of {elf} with its keys\n" if keys else ""
                commands = copy + "\n".join(map(str, steps))
                click.echo(commands if dry_run else f"{record.name}: written")
    if as_json:
        click.echo(json.dumps({"ok": True, "written": not dry_run, "devices": done}, indent=2))


def _keys(manifest: Manifest, device: str, key_file: Path | None) -> dict[str, bytes]:
    """Return the keys that a device needs, by symbol of its image."""
    from synergyc.diagnostics import fail
    from synergyc.firmware.keys import read_keys
    from synergyc.manifest import device_keys, secured_pairs

    names = [pair.key for pair in secured_pairs(manifest) if device in pair.symbols]
    if not names:
        return {}
    if key_file is None:
        message = f"device {device!r} has secured links and needs their keys: {', '.join(names)}"
        raise fail("flash-keys", message, hint="--key-file FILE; make one: synergyc keys DIR -o FILE")
    return device_keys(manifest, device, read_keys(key_file, names))


@contextmanager
def _keyed(image: bytes, elf: Path, keys: Mapping[str, bytes]) -> Iterator[Path]:
    """Give the image to write: with keys, a copy in a folder of our own, removed afterwards."""
    from synergyc.firmware.keys import keyed_image

    if not keys:
        yield elf
        return
    with tempfile.TemporaryDirectory(prefix="synergyc-") as folder:
        copy = Path(folder) / elf.name
        copy.write_bytes(keyed_image(image, elf, keys))
        yield copy
