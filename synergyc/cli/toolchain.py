"""``synergyc toolchain``: which tools are there, and installing the vendor's generator."""

from __future__ import annotations

import json
import os
import sys

import click

from synergyc.cli.groups import ToldGroup


@click.group("toolchain", cls=ToldGroup)
def command() -> None:
    """Show the tools that synergyc works with, and install the vendor's generator."""


@command.command("status")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
def status(as_json: bool) -> None:
    """Show compiler, vendor's generator and SDK, and programmers: what is found, where, which version."""
    from synergyc.pipeline.toolchain import toolchain_status

    tools = toolchain_status()
    if as_json:
        click.echo(json.dumps({"tools": [tool.to_json() for tool in tools]}, indent=2))
        return
    for tool in tools:
        click.echo(f"{tool.name:18} {tool.status:8} {tool.version or '-'}  ({tool.purpose})")
        for line in (tool.path, tool.note):
            if line:
                click.echo(f"{'':18} {line}")


@command.command("install")
@click.argument("tool", type=click.Choice(["ai8x"]))
@click.option(
    "--from", "source", metavar="PATH|URL", help="Clone to fetch from instead of the vendor's public address."
)
@click.option("--commit", metavar="SHA", help="Revision to install instead of the one that is known to work.")
@click.option(
    "--python", metavar="FILE", help="Interpreter for its environment instead of the one that runs synergyc."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
def install(tool: str, source: str | None, commit: str | None, python: str | None, as_json: bool) -> None:
    """Install the vendor's generator (ai8x) at a fixed revision, with an environment of its own.

    A second call goes on where the first one stopped, and repairs what is damaged.
    """
    from synergyc.synth.izer import PINNED_COMMIT, PUBLIC_SOURCE
    from synergyc.synth.izer import install as install_izer
    from synergyc.synth.izer.tool import FOLDER_VARIABLE

    izer = install_izer(
        lambda step: click.echo(step, err=True),
        source=source or PUBLIC_SOURCE,
        commit=(commit or PINNED_COMMIT).lower(),
        python=python or sys.executable,
    )
    if os.environ.get(FOLDER_VARIABLE):
        click.echo(f"note: {FOLDER_VARIABLE} is set and goes before what was installed", err=True)
    if as_json:
        document = {"ok": True, "tool": tool, "folder": str(izer.folder), "version": izer.version()}
        click.echo(json.dumps(document, indent=2))
    else:
        click.echo(f"installed {izer.version()} in {izer.folder}")
