"""The ``synergyc`` command: commands are loaded when they are needed, so that ``--help`` is quick."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from typing import NoReturn

import click

import synergyc
from synergyc.cli.groups import ToldGroup
from synergyc.cli.refusals import show
from synergyc.diagnostics import Diagnostic, SynergyError, file_location

# Command name to the module that holds it as ``command``; the module imports little at its top. In the order
# of use: a model, an app file, a build, boards; then the vendor's files, the paper, and tools.
_COMMANDS = {
    "check": "synergyc.cli.check",
    "show": "synergyc.cli.show",
    "quantize": "synergyc.cli.quantize",
    "train": "synergyc.cli.train",
    "verify": "synergyc.cli.verify",
    "plan": "synergyc.cli.plan",
    "build": "synergyc.cli.build",
    "run": "synergyc.cli.run",
    "report": "synergyc.cli.report",
    "keys": "synergyc.cli.keys",
    "flash": "synergyc.cli.flash",
    "synth": "synergyc.cli.synth",
    "kat": "synergyc.cli.kat",
    "bench": "synergyc.cli.bench",
    "toolchain": "synergyc.cli.toolchain",
}


class _LazyGroup(ToldGroup):
    """A group that imports a command's module only when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command = import_module(_COMMANDS[cmd_name]).command
        assert isinstance(command, click.Command)  # noqa: S101 - holds for the table above
        return command


@click.group(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Exit codes: 0 success, 1 the job failed (a diagnostic says why), 2 wrong usage.",
)
@click.version_option(synergyc.__version__, prog_name="synergyc")
def cli() -> None:
    """Compile PyTorch models into firmware for networks of MAX78000/MAX78002 boards."""


def main() -> None:
    """Run the command line; diagnostics go to standard error, and to the JSON document with ``--json``."""
    # As Ctrl-C: what was begun is removed on the way out.
    with suppress(ValueError):  # not in the main thread
        signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        cli(prog_name="synergyc")
    except SynergyError as error:
        _fail(error.diagnostics)
    except BrokenPipeError:
        # The reader of our output went away (`synergyc run ... | head`): nothing is left to say.
        sys.stderr.close()
        raise SystemExit(1) from None
    except OSError as error:
        # A full disk, a read-only folder: whatever was to be written or read, and where.
        place = file_location(str(error.filename)) if error.filename else None
        _fail((Diagnostic("file-system", error.strerror or str(error), place),))


def _fail(diagnostics: Sequence[Diagnostic]) -> NoReturn:
    if "--json" in sys.argv[1:]:
        items = [item.to_json() for item in diagnostics]
        with suppress(OSError):  # standard output may be what is full
            print(json.dumps({"ok": False, "diagnostics": items}, indent=2), flush=True)
    show(diagnostics)
    raise SystemExit(1) from None
