"""Where the vendor's tool is, and running it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from synergyc.diagnostics import Diagnostic, SynergyError, fail

NATIVE = "use our own generator: build --synth native, or synth --engine native"
"""What to do where the vendor's tool cannot."""

FOLDER_VARIABLE = "AI8X_SYNTHESIS_DIR"
PYTHON_VARIABLE = "AI8X_SYNTHESIS_PYTHON"
ENTRY = "ai8xize.py"
HOME_VARIABLE = "SYNERGYC_HOME"
_LAYER = re.compile(r"ERROR:? Layer (?P<number>\d+)(?: \((?P<name>[^)]*)\))?:")
_WARNING = "WARNING: "
_GIT_PLACES = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Izer:
    """A working copy of ai8x-synthesis and the Python interpreter of its environment."""

    folder: Path
    python: Path

    def version(self) -> str:
        """Return the commit of the working copy, ``unknown`` where it has no history."""
        return (commit_of(self.folder) or "unknown")[:12]

    def run(
        self,
        arguments: Sequence[str],
        *,
        timeout_s: float,
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> str:
        """Run the tool, with more variables in its environment, and return what it printed.

        Raises SynergyError with the tool's own message if it fails, or if it takes too long.
        """
        process = self._start(arguments, environment)
        try:
            output, _ = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired as error:
            raise fail(
                "izer-timeout",
                "the vendor's tool did not finish",
                need="an answer",
                have=f"{timeout_s:g} s",
                hint=NATIVE,
            ) from error
        finally:  # also when the user interrupts: the tool and what it started are in a session of their own
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
        text = _ANSI.sub("", output)
        if process.returncode:
            raise SynergyError(_problems(text))
        return text

    def _start(self, arguments: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[str]:
        try:
            return subprocess.Popen(
                [str(self.python), ENTRY, *arguments],
                cwd=self.folder,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                encoding="utf-8",
                errors="replace",
                start_new_session=True,
                env={**os.environ, **environment},
            )
        except OSError as error:
            raise fail("izer-run", f"{self.python} cannot be started: {error.strerror}") from error


def commit_of(folder: Path) -> str | None:
    """Return the commit that a working copy is at, None where it has no history."""
    try:
        process = subprocess.run(
            ["git", "-C", str(folder), "rev-parse", "HEAD"],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
            env=git_environment(GIT_CEILING_DIRECTORIES=str(folder.parent.resolve())),
        )
    except OSError:
        return None
    return process.stdout.strip() or None


def git_environment(**variables: str) -> dict[str, str]:
    """Return the environment for git in a folder of its own, with more ``variables``.

    Within a hook of another repository git's own variables name that one, whatever the folder is.
    """
    others = {name: value for name, value in os.environ.items() if name not in _GIT_PLACES}
    return {**others, **variables}


def installed_folder(environment: Mapping[str, str] | None = None) -> Path:
    """Return where ``synergyc toolchain install`` puts the tool.

    That is below ``SYNERGYC_HOME``, else below the user's data folder (XDG base directory specification).
    """
    variables = os.environ if environment is None else environment
    home = variables.get(HOME_VARIABLE)
    if home:
        return Path(home).absolute() / "ai8x-synthesis"
    data = variables.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(data) / "synergyc" / "ai8x-synthesis"


def find_izer(environment: Mapping[str, str] | None = None) -> Izer:
    """Return the tool: the one that ``AI8X_SYNTHESIS_DIR`` names, else the one that was installed.

    Raises SynergyError if there is none. The interpreter is ``AI8X_SYNTHESIS_PYTHON``, else the one of a
    virtual environment in the tool's folder, else ``python3`` on PATH. Paths are absolute: the tool runs in
    its own folder.
    """
    variables = os.environ if environment is None else environment
    name = variables.get(FOLDER_VARIABLE)
    folder = Path(name).absolute() if name else installed_folder(variables)
    if not name and not (folder / ENTRY).is_file():
        raise fail(
            "izer-missing",
            f"the vendor's tool is not installed, and {FOLDER_VARIABLE} is not set",
            hint=f"synergyc toolchain install ai8x, or {NATIVE}",
        )
    if not (folder / ENTRY).is_file():
        raise fail("izer-missing", f"{FOLDER_VARIABLE} must name a clone of ai8x-synthesis, not {name!r}")
    inside = (folder / place / "bin" / "python" for place in ("venv", ".venv"))
    python = variables.get(PYTHON_VARIABLE) or next(
        (str(path) for path in inside if path.is_file()), "python3"
    )
    return Izer(folder, Path(python).absolute() if os.sep in python else Path(python))


def warnings_in(output: str) -> tuple[str, ...]:
    """Return the tool's warnings, each once, in the order in which it printed them."""
    lines = (line.strip() for line in output.splitlines())
    return tuple(dict.fromkeys(line.removeprefix(_WARNING) for line in lines if line.startswith(_WARNING)))


def _problems(output: str) -> list[Diagnostic]:
    """Return what is wrong, each once: the tool's own errors, else the last line of a traceback."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = dict.fromkeys(line for line in lines if line.startswith("ERROR"))
    found = []
    for text in errors or dict.fromkeys(lines[-1:] or ["without a message"]):
        layer = _LAYER.match(text)
        name = (layer["name"] or layer["number"]) if layer else None
        found.append(Diagnostic("izer-run", f"the vendor's tool failed: {text}", layer=name))
    return found
