"""Which project folders are taken, and what is said about the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from synergyc.diagnostics import Diagnostic, SynergyError
from synergyc.emulate.kat.project import open_project
from tests.emulate.kat.projects import hand_worked, write_project


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write_project(hand_worked(), tmp_path / "tiny")


def refusal(folder: Path, device: str = "MAX78000") -> Diagnostic:
    with pytest.raises(SynergyError) as caught:
        open_project(folder, device)
    (diagnostic,) = caught.value.diagnostics
    return diagnostic


def test_sources_are_taken_in_order(project: Path) -> None:
    opened = open_project(project, "max78000")
    assert [source.name for source in opened.sources] == ["cnn.c", "main.c"]
    assert opened.chip.part == "MAX78000"


def test_missing_folder(tmp_path: Path) -> None:
    diagnostic = refusal(tmp_path / "nowhere")
    assert diagnostic.rule == "kat-folder"
    assert str(diagnostic.location) == str(tmp_path / "nowhere")


def test_a_file_is_not_a_folder(project: Path) -> None:
    assert refusal(project / "main.c").rule == "kat-folder"


def test_no_main(project: Path) -> None:
    (project / "main.c").unlink()
    diagnostic = refusal(project)
    assert diagnostic.rule == "kat-project"
    assert "main.c" in diagnostic.message


def test_no_cnn(project: Path) -> None:
    (project / "cnn.c").unlink()
    diagnostic = refusal(project)
    assert diagnostic.rule == "kat-project"
    assert "cnn_start()" in diagnostic.message


def test_everything_in_main_is_fine(project: Path) -> None:
    text = (project / "main.c").read_text() + (project / "cnn.c").read_text()
    (project / "main.c").write_text(text)
    (project / "cnn.c").unlink()
    assert [source.name for source in open_project(project, "MAX78000").sources] == ["main.c"]


def test_second_core_by_its_main(project: Path) -> None:
    (project / "main_riscv.c").write_text("int main(void) { return 0; }\n")
    diagnostic = refusal(project)
    assert diagnostic.rule == "kat-riscv"
    assert diagnostic.hint is not None
    assert "--riscv" in diagnostic.hint


def test_second_core_by_a_header(project: Path) -> None:
    main = project / "main.c"
    main.write_text('#include "fcr_regs.h"\n' + main.read_text())
    assert refusal(project).rule == "kat-riscv"


def test_a_camera_is_refused(project: Path) -> None:
    main = project / "main.c"
    main.write_text('#include "pcif_defines_af2.h"\n' + main.read_text())
    assert refusal(project).rule == "kat-camera"


def test_wrong_device_names_the_right_one_and_the_line(project: Path) -> None:
    diagnostic = refusal(project, "MAX78002")
    assert diagnostic.rule == "kat-device"
    assert diagnostic.hint == "the project was generated for MAX78000: use --device MAX78000"
    assert diagnostic.location is not None
    line = (project / "cnn.c").read_text().splitlines()[diagnostic.location.line - 1]
    assert line[diagnostic.location.column - 1 :].startswith("0x50")


def test_a_stray_address_is_left_to_the_bus(project: Path) -> None:
    """The generator's own cnn_unload() reads beyond the memories for some networks with gaps."""
    source = project / "cnn.c"
    source.write_text(source.read_text() + "volatile int *odd = (volatile int *)0x5f000000;\n")
    assert open_project(project, "MAX78000").chip.part == "MAX78000"


def test_unknown_device(project: Path) -> None:
    diagnostic = refusal(project, "MAX78001")
    assert diagnostic.rule == "unknown-target"


def test_bytes_that_are_not_text_do_not_matter(project: Path) -> None:
    source = project / "cnn.c"
    source.write_bytes(b"/* \xe9\xff */\n" + source.read_bytes())
    assert len(open_project(project, "MAX78000").sources) == 2
