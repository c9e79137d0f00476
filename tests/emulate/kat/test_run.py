"""Projects compiled and run on the emulated chip, to each of the ways in which a run can end.

The network and its answer are worked out by hand (tests/emulate/kat/projects.py), its accelerator cycles
below; programs that misbehave are made from the good one by changing a line.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from synergyc.diagnostics import SynergyError
from synergyc.emulate.kat import KatReport, run
from tests.compilers import NEEDS_CROSS_COMPILER
from tests.emulate.kat.projects import hand_worked, write_project

pytestmark = NEEDS_CROSS_COMPILER

# docs/accelerator.md, section 6, for 3x4x5 -> 4, 3x3, pad 1: padrow = preprow = 6 + 15, row = botrow = 16,
# out = 20; 21 + 21 + 3 * 36 + 36, and 1 for the start.
CYCLES = 187


class Change:
    """The good project with changes; each must apply."""

    def __init__(self, folder: Path) -> None:
        self.folder = write_project(hand_worked(), folder)

    def replace(self, old: str, new: str, file: str = "main.c") -> Change:
        path = self.folder / file
        text = path.read_text()
        assert text.count(old) == 1, f"{old!r} must be in {file} once"
        path.write_text(text.replace(old, new))
        return self

    def run(self, limit_s: float = 5.0) -> KatReport:
        return run(self.folder, "MAX78000", limit_s=limit_s)


@pytest.fixture
def project(tmp_path: Path) -> Change:
    return Change(tmp_path / "tiny")


def only_diagnostic(report: KatReport, status: str, rule: str) -> str:
    assert report.status == status, report
    (diagnostic,) = report.diagnostics
    assert diagnostic.rule == rule
    return diagnostic.message


def test_pass(project: Change) -> None:
    report = project.run()
    assert report.status == "pass", report.diagnostics
    assert report.console == "Waiting...\n\n*** PASS ***\n\n"
    assert report.diagnostics == ()
    assert report.device == "MAX78000"
    assert report.cycles == report.accelerator_busy_cycles == CYCLES
    assert [(layer.layer, layer.cycles) for layer in report.layers] == [(0, CYCLES - 1)]
    assert report.accelerator_runs == 1
    assert 2.0 < report.time_s < 2.01, "two seconds of delay, and little else"
    assert report.instructions < 100_000, "the delay must be slept through, not counted down"
    assert 0 < report.memory.ram_bytes < report.memory.flash_bytes


def test_runs_are_equal(project: Change) -> None:
    assert project.run() == project.run()


def test_flipped_weight_fails(project: Change) -> None:
    # 0x40 is the centre tap of processor 0's kernel for output 0: byte 4 of the slot, first of word 1.
    old = "0x50180000, 0x00000009, 0x00000000, 0x40000000"
    project.replace(old, old.removesuffix("40000000") + "41000000", "weights.h")
    report = project.run()
    assert only_diagnostic(report, "fail", "kat-answer")
    assert "*** FAIL ***" in report.console
    assert "*** PASS ***" not in report.console
    assert report.time_s < 2.1, "a program that reports FAIL and spins must not run into the limit"


def test_weights_that_two_layers_share_are_named(project: Change) -> None:
    """A second chunk that begins in processor 0's slot 3 puts the bias pattern 0x7F there."""
    end = "0xffffffff }"
    address, words = "0x00000001, 0x5018000d, 0x00000001, 0x00000001, ", "0x00000003, 0x7f000000, 0, 0, "
    clash = f"{address}0x00000004, 0x5018000c, {words}"
    project.replace(end, clash + end, "weights.h")
    report = project.run()
    only_diagnostic(report, "fail", "kat-answer")
    assert "1 weight slots" in str(report.diagnostics[0].hint)
    assert "slot 3 of processor 0" in str(report.diagnostics[0].hint)


def test_results_read_early(project: Change) -> None:
    report = project.replace("while (cnn_time == 0)\n        MXC_LP_EnterSleepMode();", "").run()
    assert only_diagnostic(report, "fail", "kat-answer")
    assert "2 words of data memory were read while the accelerator ran" in str(report.diagnostics[0].hint)


def test_never_started(project: Change) -> None:
    report = project.replace("load_input(); cnn_start();", "load_input();").run()
    message = only_diagnostic(report, "hang", "kat-hang")
    expected = "the program waits for something that nothing will bring; the accelerator has not finished"
    assert message.startswith(expected)
    assert "MXC_LP_EnterSleepMode" in message
    assert report.time_s < 2.1


def test_polling_a_flag_for_ever(project: Change) -> None:
    project.replace("load_input(); cnn_start();", "load_input();")
    report = project.replace("        MXC_LP_EnterSleepMode();", "        ;").run(limit_s=60.0)
    message = only_diagnostic(report, "hang", "kat-hang")
    assert message.startswith("the program polls for something that nothing will bring")
    assert "(main+" in message
    assert report.time_s < 2.5, "no need to wait for the limit"


def test_polling_a_register_for_ever(project: Change) -> None:
    wait = "while (*(volatile uint32_t *)0x50000004 == 0) ;"
    report = project.replace("    cnn_configure();", f"    {wait}").run(limit_s=60.0)
    assert "polls for something" in only_diagnostic(report, "hang", "kat-hang")
    assert report.time_s < 2.5


def test_busy_loop_that_changes_something_ends_at_the_limit(project: Change) -> None:
    count = "for (volatile uint64_t i = 1; i != 0; i++) ;"
    report = project.replace("    cnn_configure();", f"    {count}").run(limit_s=2.4)
    message = only_diagnostic(report, "hang", "kat-hang")
    assert message.startswith("the program gives no verdict within 2.4 s of virtual time")
    assert report.time_s == pytest.approx(2.4, abs=1e-3)


def test_long_but_finite_polling_is_no_hang(project: Change) -> None:
    """Half a second of reading a timer now and then, as a project without interrupts might do."""
    wait = (
        "MXC_TMR_SW_Start(MXC_TMR1);"
        " do for (volatile int i = 0; i < 5000; i++) ; while (MXC_TMR1->cnt < 25000000);"
    )
    report = project.replace("    cnn_configure();", f"    cnn_configure(); {wait}").run(limit_s=60.0)
    assert report.status == "pass", report.diagnostics
    assert report.time_s > 2.5


def test_fault_is_located(project: Change) -> None:
    report = project.replace("    cnn_init();", "    cnn_init(); *(volatile int *)0x60000000 = 1;").run()
    message = only_diagnostic(report, "fault", "emulated-fault")
    assert "0x60000000" in message
    assert "(main+" in message


def test_accelerator_without_power_is_a_fault(project: Change) -> None:
    report = project.replace("    cnn_enable(", "    (void)(").run()
    assert "cnn_init" in only_diagnostic(report, "fault", "emulated-fault") or report.console


def test_interrupt_without_handler(project: Change) -> None:
    # Interrupt Set-Pending after Set-Enable of interrupt 5 (Armv7-M manual, B3.4): exception 21.
    poke = "*(volatile int *)0xe000e100 = 32; *(volatile int *)0xe000e200 = 32;"
    report = project.replace("    cnn_init();", f"    {poke}").run()
    assert only_diagnostic(report, "fault", "kat-exception").startswith("exception 21 has no handler")


def test_what_is_not_modelled_is_named(project: Change) -> None:
    report = project.replace("0x00100009", "0x00500009", "cnn.c").run()
    assert "CTL" in only_diagnostic(report, "not_modelled", "not-modelled")


def test_other_result_of_main(project: Change) -> None:
    report = project.replace("    return 0;\n}", "    return 3;\n}").run()
    assert only_diagnostic(report, "fail", "kat-result") == "main must return 0, not 3"


def test_end_without_verdict(project: Change) -> None:
    report = project.replace("*** PASS ***", "done").run()
    assert "ended without printing" in only_diagnostic(report, "fail", "kat-verdict")


def test_fail_outweighs_pass(project: Change) -> None:
    report = project.replace("    cnn_disable();", '    printf("*** FAIL ***\\n");').run()
    assert "*** PASS ***" in report.console
    assert only_diagnostic(report, "fail", "kat-answer")


def test_hang_after_pass_is_no_pass(project: Change) -> None:
    report = project.replace("    cnn_disable();", "    for (;;) MXC_LP_EnterSleepMode();").run()
    assert only_diagnostic(report, "hang", "kat-hang")


def test_endless_on_purpose(project: Change) -> None:
    loop = "for (;;) { cnn_start(); while (cnn_time == 0) MXC_LP_EnterSleepMode(); }"
    report = project.replace("    cnn_disable();", loop).run()
    assert report.status == "pass", report.diagnostics
    assert report.accelerator_runs >= 4
    assert report.accelerator_busy_cycles == report.accelerator_runs * CYCLES


def test_compile_errors_name_the_users_line(project: Change) -> None:
    project.replace("    cnn_init();", "    cnn_init(;")
    with pytest.raises(SynergyError) as caught:
        project.run()
    first = caught.value.diagnostics[0]
    assert first.rule == "compile-error"
    assert first.location is not None
    assert Path(first.location.file).name == "main.c"
    line = (project.folder / "main.c").read_text().splitlines()[first.location.line - 1]
    assert "cnn_init(;" in line


def test_foreign_sdk_calls_are_named(project: Change) -> None:
    project.replace("    cnn_init();", "    MXC_CAMERA_Init();")
    with pytest.raises(SynergyError) as caught:
        project.run()
    assert "MXC_CAMERA_Init" in str(caught.value)


def test_image_too_large(project: Change) -> None:
    project.replace(
        "static const uint32_t expected[]",
        "const char ballast[600000] = {1};\nstatic const uint32_t expected[]",
    ).replace('printf("Waiting...\\n");', 'printf("Waiting...%s\\n", ballast);')
    report = project.run()
    assert report.status == "pass", "sample data and expected output are no part of the network"
    (warning,) = report.warnings
    assert warning.rule == "memory-overflow"
    assert warning.have == "524288 bytes"
    assert report.memory.flash_bytes > 600_000


def test_image_far_too_large(project: Change) -> None:
    project.replace(
        "static const uint32_t expected[]",
        "const char ballast[6000000] = {1};\nstatic const uint32_t expected[]",
    ).replace('printf("Waiting...\\n");', 'printf("Waiting...%s\\n", ballast);')
    with pytest.raises(SynergyError) as caught:
        project.run()
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.rule == "memory-overflow"
    assert diagnostic.have == "524288 bytes"


def test_project_folder_is_left_alone(project: Change, tmp_path: Path) -> None:
    before = sorted(project.folder.iterdir())
    run(project.folder, "MAX78000", limit_s=5.0, keep=tmp_path / "kept")
    assert sorted(project.folder.iterdir()) == before
    assert (tmp_path / "kept" / "kat.elf").is_file()
    assert (tmp_path / "kept" / "kat.map").is_file()
