"""Installing the vendor's tool: from a small repository made here, which stands for a clone of it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from synergyc.diagnostics import SynergyError
from synergyc.synth.izer import Izer, find_izer, install
from synergyc.synth.izer.tool import FOLDER_VARIABLE, HOME_VARIABLE, PYTHON_VARIABLE, installed_folder

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


@dataclass(frozen=True)
class Source:
    """A repository, its first two commits, and a file that asks for no packages."""

    folder: Path
    old: str
    new: str
    requirements: Path


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Source:
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "home"))
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    monkeypatch.delenv(PYTHON_VARIABLE, raising=False)
    folder = tmp_path / "mirror"
    folder.mkdir()
    _git(folder, "init", "--quiet")
    commits = []
    for text in ("print('old')\n", "print('new')\n"):
        (folder / "ai8xize.py").write_text(text)
        _git(folder, "add", "ai8xize.py")
        _git(folder, "-c", "user.name=x", "-c", "user.email=x@y", "commit", "--quiet", "-m", text.strip())
        commits.append(_git(folder, "rev-parse", "HEAD"))
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("# nothing\n")
    return Source(folder, commits[0], commits[1], requirements)


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", folder, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def _install(source: Source, commit: str, steps: list[str], origin: str | None = None) -> Izer:
    return install(
        steps.append,
        source=origin or str(source.folder),
        commit=commit,
        python=sys.executable,
        requirements=source.requirements,
    )


def test_it_is_installed_repaired_and_moved_to_another_revision(source: Source) -> None:
    with pytest.raises(SynergyError, match="toolchain install"):
        find_izer()
    steps: list[str] = []
    izer = _install(source, source.old, steps)
    assert find_izer() == izer
    assert izer.version() == source.old[:12]
    assert izer.run([], timeout_s=60) == "old\n"
    assert steps == [f"fetch {source.old[:12]} from {source.folder}", "make its environment", "try it"]

    (izer.folder / "ai8xize.py").write_text("raise SystemExit(3)\n")  # damaged
    (izer.folder / ".venv" / "synergyc-complete.txt").unlink()  # stopped while packages were installed
    steps.clear()
    assert _install(source, source.old, steps).run([], timeout_s=60) == "old\n"
    assert len(steps) == 3

    steps.clear()
    assert _install(source, source.new, steps).run([], timeout_s=60) == "new\n"
    assert [step.split()[0] for step in steps] == ["fetch", "try"]

    steps.clear()
    _install(source, source.new, steps)
    assert steps == ["try it"]


def test_what_cannot_be_fetched_is_said(source: Source, tmp_path: Path) -> None:
    with pytest.raises(SynergyError, match="without a network: --from"):
        _install(source, source.new, [], origin=f"file://{tmp_path}/gone.git")
    with pytest.raises(SynergyError, match="does not have the commit"):
        _install(source, "0" * 40, [])
    with pytest.raises(SynergyError, match="hexadecimal"):
        _install(source, "main", [])
    with pytest.raises(SynergyError, match="is not installed"):
        find_izer()


def test_a_repository_of_something_else_is_refused(source: Source) -> None:
    _git(source.folder, "mv", "ai8xize.py", "other.py")
    _git(source.folder, "-c", "user.name=x", "-c", "user.email=x@y", "commit", "--quiet", "-m", "moved")
    with pytest.raises(SynergyError, match="is not the vendor's tool"):
        _install(source, _git(source.folder, "rev-parse", "HEAD"), [])


def test_an_environment_that_cannot_be_made_is_said(source: Source, tmp_path: Path) -> None:
    with pytest.raises(SynergyError, match=r"packages cannot be installed.*no-python"):
        install(
            list[str]().append,
            source=str(source.folder),
            commit=source.new,
            python=str(tmp_path / "no-python"),
            requirements=source.requirements,
        )
    assert not (installed_folder() / ".venv").exists()
