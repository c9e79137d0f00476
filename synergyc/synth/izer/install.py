"""A working copy of the vendor's tool at the commit that is known to work, with an environment of its own.

Installing again goes on where an earlier attempt stopped, and repairs what is damaged.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from synergyc.diagnostics import fail
from synergyc.synth.izer.tool import ENTRY, Izer, commit_of, git_environment, installed_folder

PUBLIC_SOURCE = "https://github.com/analogdevicesinc/ai8x-synthesis.git"
PINNED_COMMIT = "ab4f4c01f205c7d9f0233c4438425144c433f44b"
"""Revision of 2024-08-30: the one that all comparisons with our generator were made with."""

_REQUIREMENTS = Path(__file__).parent / "requirements.txt"
_COMPLETE = "synergyc-complete.txt"
"""File in the environment that tells which requirements it holds."""
_COMMIT = re.compile(r"[0-9a-f]{7,40}")
_FETCH_TIMEOUT_S = 1800.0
_PACKAGES_TIMEOUT_S = 3600.0
_PROBE_TIMEOUT_S = 120.0
_PATCHES = ("-c", "advice.detachedHead=false", "-c", "core.autocrlf=false")

Progress = Callable[[str], None]
"""Called with the name of each step when it begins."""


def install(
    progress: Progress,
    *,
    source: str = PUBLIC_SOURCE,
    commit: str = PINNED_COMMIT,
    python: str = sys.executable,
    requirements: Path = _REQUIREMENTS,
) -> Izer:
    """Install the tool and return it.

    ``source`` is a folder or an address that ``git`` can fetch ``commit`` from; ``python`` is the interpreter
    that the environment is made with. Raises SynergyError: ``toolchain-fetch``, ``toolchain-commit``,
    ``toolchain-packages``, ``toolchain-probe``.
    """
    if not _COMMIT.fullmatch(commit):
        raise fail("toolchain-commit", f"a commit is 7 to 40 hexadecimal digits, not {commit!r}")
    folder = installed_folder()
    if not _is_at(folder, commit):
        progress(f"fetch {commit[:12]} from {source}")
        _fetch(folder, source, commit)
    environment = folder / ".venv"
    wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()
    complete = environment / _COMPLETE
    if not complete.is_file() or complete.read_text(encoding="utf-8", errors="replace") != wanted:
        progress("make its environment")
        _make_environment(environment, python, requirements)
    izer = Izer(folder, environment / "bin" / "python")
    progress("try it")
    izer.run(["--help"], timeout_s=_PROBE_TIMEOUT_S)
    complete.write_text(wanted, encoding="utf-8")
    return izer


def _is_at(folder: Path, commit: str) -> bool:
    """Tell whether the working copy is at ``commit``, with no file changed or missing."""
    if not (folder / ENTRY).is_file() or not (commit_of(folder) or "").startswith(commit):
        return False
    # What the tool leaves behind (logs, caches) is not tracked and does no harm.
    return _git(folder, "status", "--porcelain", "--untracked-files=no") == ""


def _fetch(folder: Path, source: str, commit: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    place = str(Path(source).resolve()) if Path(source).exists() else source
    if not (folder / ".git").is_dir():
        _git(folder, "init", "--quiet")
    try:
        if len(commit) == 40:  # some servers give single commits, which is much less to fetch
            _git(folder, "fetch", "--quiet", "--depth", "1", place, commit, may_fail=True)
        if _git(folder, "cat-file", "-t", commit, may_fail=True) != "commit":
            _git(folder, "fetch", "--quiet", "--tags", place, "+refs/heads/*:refs/remotes/source/*")
    except subprocess.CalledProcessError as error:
        raise fail(
            "toolchain-fetch",
            f"{source} cannot be fetched: {_last_line(error.stderr)}",
            hint="without a network: --from FOLDER or ADDRESS of a clone; the native engine needs nothing",
        ) from error
    try:
        _git(folder, *_PATCHES, "checkout", "--quiet", "--force", "--detach", commit)
    except subprocess.CalledProcessError as error:
        raise fail(
            "toolchain-commit",
            f"{source} does not have the commit: {_last_line(error.stderr)}",
            need=commit,
            hint="--from names another clone, --commit another revision",
        ) from error
    if not _is_at(folder, commit):
        raise fail("toolchain-commit", f"{source} at {commit[:12]} is not the vendor's tool: no {ENTRY}")


def _git(folder: Path, *arguments: str, may_fail: bool = False) -> str:
    """Run git in ``folder`` and return what it says; raises CalledProcessError, or returns nothing."""
    if shutil.which("git") is None:
        raise fail("toolchain-fetch", "git is not installed")
    environment = git_environment(GIT_TERMINAL_PROMPT="0", LC_ALL="C")
    done = _run(["git", "-C", str(folder), *arguments], _FETCH_TIMEOUT_S, environment)
    if done.returncode and not may_fail:
        raise subprocess.CalledProcessError(done.returncode, "git", done.stdout, done.stderr)
    return done.stdout.strip() if not done.returncode else ""


def _make_environment(environment: Path, python: str, requirements: Path) -> None:
    interpreter = environment / "bin" / "python"
    steps = [] if _works(interpreter) else [[python, "-m", "venv", "--clear", str(environment)]]
    pip = [str(interpreter), "-m", "pip", "--disable-pip-version-check", "--no-input", "install"]
    steps.append([*pip, "--requirement", str(requirements)])
    for step in steps:
        done = _run(step, _PACKAGES_TIMEOUT_S)
        if done.returncode:
            raise fail(
                "toolchain-packages",
                f"the tool's packages cannot be installed: {_last_line(done.stderr or done.stdout)}",
                hint="pip takes packages from where it is told to, such as PIP_FIND_LINKS=FOLDER;"
                " Python 3.11 is known to work (--python)",
            )


def _works(interpreter: Path) -> bool:
    return interpreter.is_file() and not _run([str(interpreter), "-m", "pip", "--version"], 60.0).returncode


def _run(
    command: Sequence[str], timeout_s: float, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; one that cannot be started or takes too long counts as failed."""
    try:
        return subprocess.run(
            command,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=timeout_s,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(list(command), 1, "", f"no answer within {timeout_s:g} s")
    except OSError as error:
        return subprocess.CompletedProcess(list(command), 1, "", f"{command[0]}: {error.strerror}")


def _last_line(text: str | None) -> str:
    lines = [line.strip() for line in (text or "").splitlines() if line.strip()]
    return lines[-1] if lines else "no reason given"
