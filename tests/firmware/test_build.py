"""Compiled firmware: warning-free, the same bytes each time, and refused if it does not fit."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from synergyc.diagnostics import SynergyError
from synergyc.firmware.build import build, write_sources
from synergyc.firmware.sizing import own_sizes
from synergyc.firmware.spec import FirmwareSpec
from synergyc.synth.program import Write
from synergyc.toolchain import PREFIX_VARIABLE
from tests.compilers import require_cross_compiler
from tests.firmware.samples import two_devices


@pytest.fixture(autouse=True)
def _needs_compiler() -> None:
    require_cross_compiler()


@pytest.mark.parametrize(("chip", "device"), [("max78000", "chest"), ("max78002", "wrist")])
def test_firmware_compiles_without_warnings_and_fits(chip: str, device: str, tmp_path: Path) -> None:
    spec = two_devices(chip)[device]
    firmware = build(spec, tmp_path)
    assert 0 < firmware.sizes.flash_bytes < 16 * 1024
    assert 0 < firmware.sizes.ram_bytes < 16 * 1024
    assert firmware.map.is_file()


def test_two_builds_in_different_folders_are_the_same(tmp_path: Path) -> None:
    first, second = (
        build(two_devices()["chest"], tmp_path / name) for name in ("a", "much/deeper/and longer")
    )
    assert first.elf.read_bytes() == second.elf.read_bytes()
    assert first.map.read_bytes() == second.map.read_bytes()


def _heavy(spec: FirmwareSpec, weight_words: int) -> FirmwareSpec:
    """Return a device whose segment has so many words of weights, the same number for each processor."""
    infer, cnn = spec.infers[0], spec.chip.cnn
    words = (0,) * (weight_words // cnn.processors)
    weights = tuple(Write(cnn.weight_address(processor), words) for processor in range(cnn.processors))
    return replace(spec, infers=(replace(infer, program=replace(infer.program, weights=weights)),))


def test_too_much_for_the_flash_is_refused_with_the_numbers(tmp_path: Path) -> None:
    with pytest.raises(SynergyError) as caught:
        build(_heavy(two_devices()["chest"], 0x80000 // 4), tmp_path)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.rule == "memory-overflow"
    assert diagnostic.message.startswith("device 'chest' (MAX78000): the image does not fit: FLASH")
    assert diagnostic.have == "524288 bytes"
    need = re.fullmatch(r"(\d+) bytes", diagnostic.need or "")
    assert need is not None
    assert 524288 < int(need[1]) < 524288 + 16 * 1024
    assert diagnostic.hint is not None


def test_too_much_for_the_ram_is_refused_with_the_numbers(tmp_path: Path) -> None:
    spec = two_devices()["chest"]
    queues = tuple(replace(queue, words=40_000) for queue in spec.queues)
    with pytest.raises(SynergyError) as caught:
        build(replace(spec, queues=queues, senses=()), tmp_path)
    (diagnostic,) = caught.value.diagnostics
    assert (diagnostic.rule, diagnostic.have) == ("memory-overflow", "131072 bytes")
    assert "SRAM" in diagnostic.message


def test_without_a_compiler_the_message_says_how_to_get_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(PREFIX_VARIABLE, str(tmp_path / "nowhere-"))
    with pytest.raises(SynergyError, match="apt-get install gcc-arm-none-eabi"):
        build(two_devices()["chest"], tmp_path)


def test_files_that_do_not_change_are_left_alone(tmp_path: Path) -> None:
    spec = two_devices()["chest"]
    before = {path: path.stat().st_mtime_ns for path in write_sources(spec, tmp_path)}
    (tmp_path / "main.c").write_text("/* spoilt */", encoding="utf-8")
    after = {path: path.stat().st_mtime_ns for path in write_sources(spec, tmp_path)}
    assert {path.name for path in after if after[path] != before[path]} == {"main.c"}


def test_the_sources_are_clean_c(tmp_path: Path) -> None:
    """cppcheck finds nothing, apart from what is named here.

    comparePointers: symbols of the linker script lie behind each other, which C does not know.
    """
    tool = shutil.which("cppcheck")
    if tool is None:
        pytest.skip("needs cppcheck")
    write_sources(two_devices()["chest"], tmp_path)
    done = subprocess.run(
        [
            tool,
            "--enable=warning,style,performance,portability",
            "--suppress=missingIncludeSystem",
            "--suppress=comparePointers",
            "--std=c11",
            "--error-exitcode=1",
            "--quiet",
            str(tmp_path),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_a_sensor_driver_that_does_not_compile_is_named_by_its_file(tmp_path: Path) -> None:
    text = '#include "sensor.h"\n\nint nothing(void)\n{\n    return missing;\n}\n'
    with pytest.raises(SynergyError) as caught:
        build(two_devices(driver="broken", driver_text=text)["chest"], tmp_path)
    places = {str(item.location) for item in caught.value.diagnostics}
    assert "broken.c:5:12" in places


def test_a_sensor_driver_without_its_function_does_not_link(tmp_path: Path) -> None:
    with pytest.raises(SynergyError, match=r"sensor_empty_take.*\[link-error\]"):
        build(two_devices(driver="empty", driver_text='#include "sensor.h"\n')["chest"], tmp_path)


def test_weights_samples_and_tensors_do_not_count_as_the_firmwares_own(tmp_path: Path) -> None:
    """More of each makes the image larger, and nothing of what it takes beside them."""
    spec = two_devices()["chest"]
    (infer,), (sense,), (queue, *others) = spec.infers, spec.senses, spec.queues[::-1]
    address, values = infer.program.weights
    more = replace(infer.program, weights=(address, replace(values, words=tuple(range(800)))))
    larger = replace(
        spec,
        infers=(replace(infer, program=more),),
        senses=(replace(sense, samples=sense.samples * 50),),
        queues=(*others[::-1], replace(queue, depth=40)),
    )
    sizes = [build(item, tmp_path / str(n)).sizes for n, item in enumerate((spec, larger))]
    assert sizes[1].flash_bytes > sizes[0].flash_bytes + 4000
    assert sizes[1].ram_bytes > sizes[0].ram_bytes + 900
    own = [own_sizes(item, size) for item, size in zip((spec, larger), sizes, strict=True)]
    assert abs(own[1].flash_bytes - own[0].flash_bytes) < 64  # alignment
    assert own[1].ram_bytes - own[0].ram_bytes < 38 * 16  # a slot for each tensor
