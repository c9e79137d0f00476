"""Running the command line as a user does: in a process of its own, which ran no command before."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from synergyc.cli.main import main

ROOT = Path(__file__).parent.parent.parent
EXAMPLE = ROOT / "examples" / "digits.yaml"

_LIMIT_S = 600

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["tests.e2e.preloaded"])


def synergyc(*arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run ``synergyc`` with ``arguments``; a traceback in its output is always a failure.

    The process is forked from one that has imported PyTorch and run nothing: it begins as a fresh one does,
    seconds sooner.
    """
    with tempfile.TemporaryDirectory() as folder:
        output, errors = Path(folder, "output"), Path(folder, "errors")
        process = _forks.Process(
            target=_command, args=(arguments, {**os.environ, **(env or {})}, output, errors)
        )
        process.start()
        process.join(_LIMIT_S)
        if process.exitcode is None:
            process.kill()
            raise subprocess.TimeoutExpired(arguments, _LIMIT_S)
        result = subprocess.CompletedProcess(
            arguments, process.exitcode, output.read_text(), errors.read_text()
        )
    return _without_traceback(result)


def fresh_synergyc(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``synergyc`` as ``synergyc()`` does, in a new interpreter: with its own seed of hashes."""
    return _without_traceback(
        subprocess.run(
            [sys.executable, "-m", "synergyc", *arguments],
            capture_output=True,
            text=True,
            timeout=_LIMIT_S,
            check=False,
        )
    )


def _command(arguments: tuple[str, ...], environment: Mapping[str, str], output: Path, errors: Path) -> None:
    """Be the process of a command: its arguments, environment, and files in place of its outputs."""
    os.environ.clear()
    os.environ.update(environment)
    for number, path in ((1, output), (2, errors)):
        with path.open("wb") as file:
            os.dup2(file.fileno(), number)
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115 - lives as long as the process
    sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
    sys.argv = ["synergyc", *arguments]
    main()


def _without_traceback(result: subprocess.CompletedProcess[str]) -> subprocess.CompletedProcess[str]:
    assert "Traceback" not in result.stderr, result.stderr
    return result
