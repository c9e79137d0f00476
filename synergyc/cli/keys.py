"""``synergyc keys``: make the keys of a build's secured links."""

from __future__ import annotations

import json
from pathlib import Path

import click

from synergyc.cli.option_types import OutputFile


@click.command("keys")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=OutputFile(), help="File to write, outside FOLDER.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(folder: Path, output: Path, as_json: bool) -> None:
    """Make a random key for each secured link of the build in FOLDER; `synergyc flash` puts them on boards.

    The same file serves later builds of the system, as long as no secured link is added.
    """
    from synergyc.diagnostics import fail, file_location
    from synergyc.firmware.keys import new_keys, write_keys
    from synergyc.manifest import read_manifest, secured_pairs

    names = [pair.key for pair in secured_pairs(read_manifest(folder))]
    if not names:
        raise fail("no-keys", "the build has no secured link", hint="links: - {..., secure: true}")
    if output.resolve().is_relative_to(folder.resolve()):
        raise fail(
            "key-file",
            "a build folder must not hold keys",
            location=file_location(output),
            hint="-o keys.json",
        )
    write_keys(output, new_keys(names))
    if as_json:
        click.echo(json.dumps({"ok": True, "file": str(output), "keys": names}, indent=2))
    else:
        click.echo(f"{output}: {len(names)} key{'s' if len(names) != 1 else ''} ({', '.join(names)})")
