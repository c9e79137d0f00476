"""The cross compiler's driver: flags, messages, sizes, repeatability."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from synergyc.diagnostics import SynergyError
from synergyc.toolchain import (
    PREFIX_VARIABLE,
    CompileResult,
    CrossCompiler,
    Sizes,
    find_cross_compiler,
    section_sizes,
)

_SCRIPT = """
ENTRY(start)
MEMORY {{ FLASH (rx) : ORIGIN = 0x10000000, LENGTH = {flash}
          SRAM (rw) : ORIGIN = 0x20000000, LENGTH = 64 }}
SECTIONS {{
  .text : {{ *(.text .text.* .rodata .rodata.*) }} > FLASH
  .data : {{ *(.data .data.*) }} > SRAM AT > FLASH
  .bss (NOLOAD) : {{ *(.bss .bss.*) }} > SRAM
}}
"""
_GOOD = """
#include "place.h"
int set = 3;
int zero[PLACES];
const char *file = __FILE__;
void start(void) { for (;;) { zero[set] = file[0]; } }
"""


@pytest.fixture(scope="module")
def compiler() -> CrossCompiler:
    try:
        return find_cross_compiler()
    except SynergyError as error:
        pytest.skip(str(error))


def compile_text(compiler: CrossCompiler, folder: Path, text: str, *, flash: int = 256) -> CompileResult:
    (folder / "include").mkdir(parents=True, exist_ok=True)
    (folder / "include" / "place.h").write_text("extern int zero[PLACES];\n", encoding="utf-8")
    (folder / "source.c").write_text(text, encoding="utf-8")
    (folder / "memory.ld").write_text(_SCRIPT.format(flash=flash), encoding="utf-8")
    return compiler.compile(
        [folder / "source.c"],
        [folder / "include"],
        folder / "memory.ld",
        folder / "out" / "image.elf",
        defines={"PLACES": "5", "QUIET": ""},
        extra_flags=["-ffreestanding"],
    )


def test_sizes_count_initial_values_twice(compiler: CrossCompiler, tmp_path: Path) -> None:
    result = compile_text(compiler, tmp_path, _GOOD)
    symbols = subprocess.run(
        [str(compiler.gcc).replace("gcc", "size"), "-A", str(result.elf)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    sizes = {line.split()[0]: int(line.split()[1]) for line in symbols.splitlines() if line.startswith(".")}
    assert result.sizes == Sizes(sizes[".text"] + sizes[".data"], sizes[".data"] + sizes[".bss"])
    assert section_sizes(result.elf) == result.sizes


def test_the_folder_leaves_no_trace(compiler: CrossCompiler, tmp_path: Path) -> None:
    results = [compile_text(compiler, tmp_path / name, _GOOD) for name in ("one", "another/one with a blank")]
    assert results[0].elf.read_bytes() == results[1].elf.read_bytes()
    assert results[0].map.read_bytes() == results[1].map.read_bytes()
    assert str(tmp_path).encode() not in results[0].elf.read_bytes()


def test_folders_of_the_host_are_not_searched(
    compiler: CrossCompiler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "host").mkdir()
    (tmp_path / "host" / "stdint.h").write_text("#error a header of the host\n", encoding="utf-8")
    for name in ("CPATH", "C_INCLUDE_PATH"):
        monkeypatch.setenv(name, str(tmp_path / "host"))
    compile_text(compiler, tmp_path, f"#include <stdint.h>\n{_GOOD}")


def test_compiler_errors_are_located(compiler: CrossCompiler, tmp_path: Path) -> None:
    with pytest.raises(SynergyError) as caught:
        compile_text(compiler, tmp_path, "int good;\nint bad(;\nvoid f(void) { int unused; }\n")
    places = [(d.rule, d.location.line if d.location else 0) for d in caught.value.diagnostics]
    assert places == [("compile-error", 2), ("compile-error", 3)]
    assert all(d.location and d.location.file == str(tmp_path / "source.c") for d in caught.value.diagnostics)


def test_a_missing_header_is_a_located_error(compiler: CrossCompiler, tmp_path: Path) -> None:
    with pytest.raises(SynergyError, match=r"source.c:1:10: error: nowhere.h: No such file"):
        compile_text(compiler, tmp_path, '#include "nowhere.h"\n')


def test_an_undefined_symbol_is_a_link_error(compiler: CrossCompiler, tmp_path: Path) -> None:
    with pytest.raises(SynergyError) as caught:
        compile_text(compiler, tmp_path, "void missing(void);\nvoid start(void)\n{\n    missing();\n}\n")
    (diagnostic,) = caught.value.diagnostics
    assert (diagnostic.rule, diagnostic.message) == ("link-error", "undefined reference to `missing'")
    assert diagnostic.location is not None
    assert diagnostic.location.line == 4


def test_a_full_memory_is_told_with_its_size(compiler: CrossCompiler, tmp_path: Path) -> None:
    with pytest.raises(SynergyError) as caught:
        compile_text(compiler, tmp_path, _GOOD, flash=8)
    (diagnostic,) = caught.value.diagnostics
    assert (diagnostic.rule, diagnostic.have) == ("memory-overflow", "8 bytes")


def test_a_bad_linker_script_is_a_located_error(compiler: CrossCompiler, tmp_path: Path) -> None:
    source, script = tmp_path / "source.c", tmp_path / "memory.ld"
    source.write_text("void start(void) {}\n", encoding="utf-8")
    script.write_text("MEMORY {\n nonsense\n", encoding="utf-8")
    with pytest.raises(SynergyError) as caught:
        compiler.compile([source], [], script, tmp_path / "x.elf")
    assert caught.value.diagnostics[0].rule == "link-error"
    assert "memory.ld" in str(caught.value)


def test_the_variable_goes_before_the_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tool = tmp_path / "my-gcc"
    tool.write_text("#!/bin/sh\necho my own compiler 1.0\n", encoding="utf-8")
    tool.chmod(0o755)
    monkeypatch.setenv(PREFIX_VARIABLE, str(tmp_path / "my-"))
    assert find_cross_compiler() == CrossCompiler(tool, "my own compiler 1.0")


@pytest.mark.parametrize("prefix", ["/nowhere/arm-", None])
def test_a_missing_compiler_says_what_was_tried(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, prefix: str | None
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(PREFIX_VARIABLE, raising=False)
    if prefix:
        monkeypatch.setenv(PREFIX_VARIABLE, prefix)
    with pytest.raises(SynergyError) as caught:
        find_cross_compiler()
    (diagnostic,) = caught.value.diagnostics
    assert f"{prefix or 'arm-none-eabi-'}gcc" in diagnostic.message
    assert diagnostic.hint is not None
    assert "apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi" in diagnostic.hint


def test_a_compiler_that_fails_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tool = tmp_path / "my-gcc"
    tool.write_text("#!/bin/sh\nexit 3\n", encoding="utf-8")
    tool.chmod(0o755)
    monkeypatch.setenv(PREFIX_VARIABLE, str(tmp_path / "my-"))
    with pytest.raises(SynergyError, match="does not run"):
        find_cross_compiler()


@pytest.mark.parametrize("content", [None, b"", b"\x7fELF", b"not an ELF file at all" * 10])
def test_sizes_of_what_is_no_elf_file(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "x.elf"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SynergyError, match="elf-damaged"):
        section_sizes(path)
