"""Files that are not YAML, or YAML that no app file may use. Truth: the YAML 1.2 specification."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synergyc.config import load
from synergyc.config.marks import read_yaml
from synergyc.diagnostics import Diagnostic, SynergyError
from tests.config.files import GOOD, changed, loaded, problems, shown

SYNTAX = {
    "tab": (
        "synergy: 1\ndevices:\n\twrist: {}\n",
        "app.yaml:3:1: error: a tab cannot indent YAML [yaml-syntax]\n  hint: indent with spaces",
    ),
    "duplicate key": (
        GOOD + "links: []\n",
        "app.yaml:15:1: error: key 'links' stands twice [yaml-duplicate-key]\n  hint: first: app.yaml:5:1",
    ),
    "empty": ("", "app.yaml: error: file must describe a system, not be empty [yaml-empty]"),
    "comment only": (
        "# nothing\n",
        "app.yaml: error: file must describe a system, not be empty [yaml-empty]",
    ),
    "list": (
        "- synergy\n",
        "app.yaml:1:1: error: file must be a table of keys, not a list [yaml-table]\n"
        "  hint: start with: synergy: 1",
    ),
    "text": (
        "synergy\n",
        "app.yaml:1:1: error: file must be a table of keys, not 'synergy' [yaml-table]\n"
        "  hint: start with: synergy: 1",
    ),
    "two documents": (
        "synergy: 1\n---\nsynergy: 1\n",
        "app.yaml:2:1: error: file must hold one document [yaml-syntax]\n  hint: remove the line ---",
    ),
    "number as key": ("1: 2\n", "app.yaml:1:1: error: key must be text, not '1' [yaml-key]"),
    "list as key": ("? [a]\n: 2\n", "app.yaml:1:3: error: key must be text, not a list or table [yaml-key]"),
    "merge key": (
        "a: &a {x: 1}\nb: {<<: *a}\n",
        "app.yaml:2:5: error: key must be text, not '<<' [yaml-key]",
    ),
    "tag": (
        "synergy: !secret 1\n",
        "app.yaml:1:10: error: tag '!secret' has no meaning here [yaml-tag]",
    ),
    "cycle": (
        "devices: &d\n  wrist: *d\n",
        "app.yaml:1:10: error: an alias must not stand inside its own anchor [yaml-alias]",
    ),
    "control character": (
        "synergy: 1\ndevices: \x00\n",
        "app.yaml:2:10: error: file must not have control characters [yaml-syntax]",
    ),
}


@pytest.mark.parametrize("case", SYNTAX)
def test_message(tmp_path: Path, case: str) -> None:
    text, expected = SYNTAX[case]
    assert shown(tmp_path, text) == [expected]


def test_not_utf8(tmp_path: Path) -> None:
    assert shown(tmp_path, b"synergy: 1\n\xff\xfe\n") == [
        "app.yaml:2: error: file must be UTF-8 text [yaml-encoding]"
    ]


def test_byte_order_mark_is_fine(tmp_path: Path) -> None:
    assert loaded(tmp_path, "\ufeff" + GOOD) == loaded(tmp_path, GOOD)


@pytest.mark.parametrize("name", ["none.yaml", ".", "a\0b"])
def test_unreadable(tmp_path: Path, name: str) -> None:
    with pytest.raises(SynergyError) as caught:
        load(tmp_path / name)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.rule == "app-file"


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_depth(tmp_path: Path, opening: str) -> None:
    (diagnostic,) = problems(tmp_path, "devices: " * (opening != "- ") + opening * 1_000)
    assert diagnostic.rule in {"yaml-depth", "yaml-syntax"}


def test_aliases_that_explode(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x]"] + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 9)]
    (diagnostic,) = problems(tmp_path, "\n".join(lines))
    assert (diagnostic.rule, diagnostic.have) == ("yaml-size", "10000 values")


def test_number_without_end(tmp_path: Path) -> None:
    (diagnostic,) = problems(tmp_path, "synergy: " + "9" * 5000)
    assert diagnostic.rule == "yaml-number"
    assert len(diagnostic.message) < 100


def test_all_duplicate_keys_at_once(tmp_path: Path) -> None:
    found = problems(tmp_path, "synergy: 1\nsynergy: 1\ndevices:\n  a: {board: x, board: y}\n")
    assert [(item.rule, str(item.location).split(":", 1)[1]) for item in found] == [
        ("yaml-duplicate-key", "2:1"),
        ("yaml-duplicate-key", "4:17"),
    ]


def test_anchors_may_be_used(tmp_path: Path) -> None:
    text = changed(
        ("wrist: {board: max78000fthr,", "wrist: {board: &board max78000fthr,"),
        ("chest: {board: max78000fthr,", "chest: {board: *board,"),
    )
    assert loaded(tmp_path, text) == loaded(tmp_path, GOOD)


def test_words_that_older_yaml_reads_as_truth_values(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("on: off\nyes: 2020-01-01\n")
    assert read_yaml(tmp_path / "a.yaml")[0] == {"on": "off", "yes": "2020-01-01"}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    at=st.integers(0, len(GOOD)),
    junk=st.text(st.sampled_from("\t\n:{}[]&*!|>'\"%@`#?-, \x07é0a<~"), max_size=4),
)
def test_no_traceback_for_a_damaged_file(tmp_path: Path, at: int, junk: str) -> None:
    """Whatever is typed into a good file, it loads or raises SynergyError, and nothing else."""
    path = tmp_path / "damaged.yaml"
    path.write_text(GOOD[:at] + junk + GOOD[at + 1 :])
    found: tuple[Diagnostic, ...] = ()
    try:
        load(path)
    except SynergyError as error:
        found = error.diagnostics
    assert all(item.location and item.location.file == str(path) for item in found)
