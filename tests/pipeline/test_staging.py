"""Writing a folder again: what was written before goes, what the user put there stays."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from synergyc.diagnostics import SynergyError
from synergyc.pipeline.staging import check_output, earlier_files, staging


def _write(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def _files(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_files_of_the_user_stay_and_those_of_before_go(tmp_path: Path) -> None:
    output = tmp_path / "out"
    _write(output, {"wrist/old.c": "1", "gone/old.c": "1", "wrist/mine.gdb": "a", "notes/todo.txt": "b"})
    (output / "empty").mkdir()
    (output / "away").symlink_to("nowhere")
    with staging(output, {"wrist/old.c", "gone/old.c"}) as folder:
        _write(folder, {"wrist/new.c": "2"})
    assert _files(output) == {"wrist/new.c": "2", "wrist/mine.gdb": "a", "notes/todo.txt": "b"}
    assert not (output / "gone").exists()
    assert (output / "empty").is_dir()
    assert (output / "away").is_symlink()
    assert list(tmp_path.iterdir()) == [output]


def test_a_failure_leaves_all_as_it_was(tmp_path: Path) -> None:
    output = tmp_path / "out"
    _write(output, {"old.c": "1", "wrist": "a file where the new folder has a folder"})
    before = _files(output)
    with (
        pytest.raises(SynergyError, match="wrist: error: a file is where a folder is"),
        staging(output, {"old.c"}) as folder,
    ):
        _write(folder, {"wrist/new.c": "2"})
    assert _files(output) == before
    assert list(tmp_path.iterdir()) == [output]


def test_a_link_to_a_folder_stays_one(tmp_path: Path) -> None:
    (tmp_path / "true").mkdir()
    (tmp_path / "link").symlink_to("true")
    with staging(tmp_path / "link", ()) as folder:
        _write(folder, {"new.c": "2"})
    assert (tmp_path / "link").is_symlink()
    assert _files(tmp_path / "true") == {"new.c": "2"}


@pytest.mark.parametrize("manifest", ["{", json.dumps({"synergy_manifest": 1})])
def test_a_build_that_does_not_list_its_files_is_left_alone(manifest: str, tmp_path: Path) -> None:
    _write(tmp_path, {"manifest.json": manifest, "thesis.txt": "years of work"})
    check_output(tmp_path, "manifest.json", "build")
    with pytest.raises(SynergyError, match="which files belong to it is not known: manifest is damaged"):
        earlier_files(tmp_path)
