"""The cross compiler: find it, run it so that equal sources give equal bytes, read the sizes of ELF files.

Nothing here knows what is compiled: generated firmware and projects of the vendor's shape go the same way.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile

from synergyc.diagnostics import Diagnostic, Location, SynergyError, fail, file_location

PREFIX_VARIABLE = "SYNERGYC_CROSS_COMPILE"
"""Environment variable: what stands before ``gcc``, such as ``/opt/arm/bin/arm-none-eabi-``."""

_DEFAULT_PREFIX = "arm-none-eabi-"
_INSTALL_HINT = (
    "apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi"
    f" (or set {PREFIX_VARIABLE} to the prefix of another GCC, such as /opt/arm/bin/arm-none-eabi-)"
)

# Cortex-M4 with single-precision FPU: MAX78000 and MAX78002 data sheets, general description.
_CPU_FLAGS = ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16")
_COMPILE_FLAGS = (
    "-std=c11",
    "-Os",
    "-g",
    "-ffunction-sections",
    "-fdata-sections",
    "-fno-common",
    "-Wall",
    "-Wextra",
    "-Werror",
)
_HOST_VARIABLES = ("CPATH", "C_INCLUDE_PATH", "LIBRARY_PATH", "COMPILER_PATH", "GCC_EXEC_PREFIX")
"""Variables that add folders to the search of any GCC: they are set for that of the host, if at all.

Source: "Environment Variables Affecting GCC" of GCC's manual.
"""
_LIBRARY_FLAGS = ("-std=gnu11", "-w", "-fdata-sections")
"""For code of others, after the other flags: it may use GNU C, its warnings are not ours to mend, and only a
part of its data is used."""

# The image brings its own start-up code and vector table. Paths and the build id would tell builds apart.
_LINK_FLAGS = (
    "-nostartfiles",
    "--specs=nano.specs",
    "--specs=nosys.specs",
    "-Wl,--gc-sections",
    "-Wl,--build-id=none",
)

_MESSAGE = re.compile(
    r"^(?P<file>[^:\n]+):(?P<line>\d+):(?:(?P<column>\d+):)? (?:fatal )?error: (?P<text>.*)"
)
_OVERFLOW = re.compile(r"region `(?P<region>\w+)' overflowed by (?P<bytes>\d+) bytes?")
_UNDEFINED = re.compile(
    r"^(?:.*?ld(?:\.bfd)?: )?(?P<file>[^:]*?):(?:(?P<line>\d+): )?.*(?P<text>undefined reference to .*)$"
)
_LINKER = re.compile(r"^.*?ld(?:\.bfd)?: ?(?:(?P<file>[^: ]+):(?P<line>\d+): )?(?P<text>.*)$")
_REGION = re.compile(r"^(?P<name>\w+)\s+0x(?P<origin>[0-9a-f]+)\s+0x(?P<length>[0-9a-f]+)", re.MULTILINE)


@dataclass(frozen=True)
class Sizes:
    """Memory that an image takes: ``flash_bytes`` is what is programmed, ``ram_bytes`` what is reserved."""

    flash_bytes: int
    ram_bytes: int


@dataclass(frozen=True)
class CompileResult:
    """Files that a compilation wrote, and the sizes of the image."""

    elf: Path
    map: Path
    sizes: Sizes


@dataclass(frozen=True)
class Library:
    """Code of others that becomes part of an image: it is compiled as it is, without warnings.

    ``include`` are folders of headers, for its own ``sources`` and for the image's; so are ``defines``.
    """

    sources: tuple[Path, ...]
    include: tuple[Path, ...]
    defines: tuple[tuple[str, str], ...]

    def with_other(self, other: Library) -> Library:
        """Return both libraries as one."""
        return Library(
            (*self.sources, *other.sources),
            (*self.include, *other.include),
            (*self.defines, *other.defines),
        )

    def flags(self, folder: Path) -> list[str]:
        """Return the flags of whoever includes its headers, with paths relative to ``folder``."""
        defines = [f"-D{name}={value}" for name, value in self.defines]
        return [*defines, *(word for path in self.include for word in ("-isystem", _relative(path, folder)))]


@dataclass(frozen=True)
class CrossCompiler:
    """A GCC for bare-metal Arm. ``version`` is its first ``--version`` line."""

    gcc: Path
    version: str

    def compile(
        self,
        sources: Sequence[Path],
        include: Sequence[Path],
        linker_script: Path,
        output: Path,
        *,
        defines: Mapping[str, str] | None = None,
        extra_flags: Sequence[str] = (),
        library: Library | None = None,
        cwd: Path | None = None,
    ) -> CompileResult:
        """Compile and link ``sources`` into the ELF file ``output``; a ``.map`` file is written beside it.

        ``cwd`` (default: the folder of ``output``) is what file names in debug information and in the map
        are relative to; it leaves no trace in the ELF. ``defines`` are ``-D`` names and values,
        ``extra_flags`` come after the standard flags of compiling and linking (``-ffreestanding``,
        ``-Wno-...``); ``library`` is linked with the image. Object files are kept in ``output``'s folder
        under ``obj/``.

        Raises SynergyError: ``compile-error`` (one diagnostic for each of the compiler's own errors),
        ``link-error``, ``memory-overflow`` (need and have of the linker script's region).
        """
        folder = (cwd or output.parent).resolve()
        output = output.resolve()
        objects = output.parent / "obj" / output.stem
        objects.mkdir(parents=True, exist_ok=True)
        library = library or Library((), (), ())
        everything = [*sources, *library.sources]
        maps = _prefix_maps(folder, [*everything, *include, *library.include])
        common = [*_CPU_FLAGS, *_COMPILE_FLAGS, *maps]
        flags = [f"-D{name}={value}".removesuffix("=") for name, value in sorted((defines or {}).items())]
        flags += [*(f"-I{_relative(path, folder)}" for path in include), *extra_flags]
        own_flags = [*common, *flags, *library.flags(folder)]
        library_flags = [*common, *library.flags(folder), *extra_flags, *_LIBRARY_FLAGS]
        flags_of = [own_flags] * len(sources) + [library_flags] * len(library.sources)
        built = [_relative(objects / name, folder) for name in _object_names(everything)]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            said = pool.map(lambda *job: self._compile_one(*job, folder=folder), everything, built, flags_of)
        problems = [item for text in said if text is not None for item in _compile_diagnostics(text, folder)]
        if problems:
            raise SynergyError(problems)
        self._link(built, linker_script.resolve(), output, folder, extra_flags)
        return CompileResult(output, output.with_suffix(".map"), section_sizes(output))

    def _compile_one(self, source: Path, target: str, flags: Sequence[str], *, folder: Path) -> str | None:
        return self._run([*flags, "-c", _relative(source, folder), "-o", target], folder)

    def _link(
        self, objects: Sequence[str], script: Path, output: Path, folder: Path, extra_flags: Sequence[str]
    ) -> None:
        map_file = output.with_suffix(".map")
        arguments = [
            *_CPU_FLAGS,
            *_LINK_FLAGS,
            f"-Wl,-Map={_relative(map_file, folder)}",
            "-T",
            _relative(script, folder),
            *objects,
            *extra_flags,
            "-o",
            _relative(output, folder),
        ]
        text = self._run(arguments, folder)
        if text is not None:
            raise SynergyError(list(_link_diagnostics(text, map_file, folder)))

    def _run(self, arguments: Sequence[str], folder: Path) -> str | None:
        """Run the compiler; None for success, else what it said."""
        try:
            done = subprocess.run(
                [str(self.gcc), *arguments],
                cwd=folder,
                env=_environment(),
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                check=False,
            )
        except OSError as error:
            raise fail("cross-compiler", f"cannot run {self.gcc}: {error}", hint=_INSTALL_HINT) from error
        return None if done.returncode == 0 else done.stderr + done.stdout


def find_cross_compiler() -> CrossCompiler:
    """Return the cross compiler: the one that SYNERGYC_CROSS_COMPILE names, else arm-none-eabi-gcc on PATH.

    Raises SynergyError (``cross-compiler``) that says what was tried and how to get one.
    """
    tried = cross_tool("gcc")
    found = shutil.which(tried)
    if found is None:
        origin = f"named by {PREFIX_VARIABLE}" if os.environ.get(PREFIX_VARIABLE) else "on PATH"
        raise fail(
            "cross-compiler", f"no cross compiler: {tried} ({origin}) is not there", hint=_INSTALL_HINT
        )
    try:
        done = subprocess.run(
            [found, "--version"],
            env=_environment(),
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=True,
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise fail("cross-compiler", f"{found} does not run: {error}", hint=_INSTALL_HINT) from error
    return CrossCompiler(Path(found), next(iter(done.stdout.splitlines()), ""))


def cross_tool(name: str) -> str:
    """Return the program of the cross tools called ``name`` (``gcc``, ``objcopy``), as a path or for PATH."""
    return f"{os.environ.get(PREFIX_VARIABLE) or _DEFAULT_PREFIX}{name}"


def _environment() -> dict[str, str]:
    """Return the compiler's environment: messages in English, and nothing that names files of the host."""
    kept = {name: value for name, value in os.environ.items() if name not in _HOST_VARIABLES}
    return {**kept, "LC_ALL": "C"}


def section_sizes(elf: Path) -> Sizes:
    """Return what an ELF image takes in flash and RAM.

    Flash is everything that is loaded, initial values of variables included. RAM is every allocated
    writable section, with whatever stack and heap the linker script reserves. Raises SynergyError
    (``elf-damaged``).
    """
    flash_bytes = ram_bytes = 0
    try:
        with elf.open("rb") as file:
            for section in ELFFile(file).iter_sections():
                flags, size = section["sh_flags"], section["sh_size"]
                if not flags & SH_FLAGS.SHF_ALLOC:
                    continue
                flash_bytes += size if section["sh_type"] != "SHT_NOBITS" else 0
                ram_bytes += size if flags & SH_FLAGS.SHF_WRITE else 0
    except (OSError, ELFError) as error:
        raise fail("elf-damaged", f"not a readable ELF file: {error}", location=file_location(elf)) from error
    return Sizes(flash_bytes, ram_bytes)


def _relative(path: Path, folder: Path) -> str:
    return os.path.relpath(path.resolve(), folder)


def _prefix_maps(folder: Path, paths: Iterable[Path]) -> list[str]:
    """Return flags that take folders out of ``__FILE__`` and the debug information; later flags win."""
    folders = {path.resolve() if path.is_dir() else path.resolve().parent for path in paths}
    names = {str(outside) for outside in folders}
    names |= {os.path.relpath(outside, folder) for outside in folders if not outside.is_relative_to(folder)}
    maps = [
        f"-ffile-prefix-map={name}={Path(name).name}" for name in sorted(names, key=lambda n: (len(n), n))
    ]
    return [*maps, f"-ffile-prefix-map={folder}=."]


def _object_names(sources: Sequence[Path]) -> Iterator[str]:
    """Yield a name for each source's object file; equal stems get a number."""
    seen: dict[str, int] = {}
    for source in sources:
        count = seen.get(source.stem, 0)
        seen[source.stem] = count + 1
        yield f"{source.stem}_{count}.o" if count else f"{source.stem}.o"


def _location(match: re.Match[str], folder: Path) -> Location | None:
    """Return the place that a message names, from its groups file, line and column."""
    groups = match.groupdict()
    if not groups.get("file"):
        return None
    file = os.path.normpath(folder / groups["file"])
    return Location(file, int(groups["line"] or 0), int(groups.get("column") or 0))


def _compile_diagnostics(text: str, folder: Path) -> list[Diagnostic]:
    located = [
        Diagnostic("compile-error", match["text"], _location(match, folder))
        for match in map(_MESSAGE.match, text.splitlines())
        if match
    ]
    return located or [Diagnostic("compile-error", text.strip() or "the compiler failed without a word")]


def _link_diagnostics(text: str, map_file: Path, folder: Path) -> Iterator[Diagnostic]:
    """Yield one diagnostic for each full memory region, else for each of the linker's other complaints."""
    overflows = {match["region"]: int(match["bytes"]) for match in _OVERFLOW.finditer(text)}
    if overflows:
        regions = _regions(map_file)
        for region, excess in overflows.items():
            length = regions.get(region)
            yield Diagnostic(
                "memory-overflow",
                f"the image does not fit: {region} overflows by {excess} bytes",
                need=f"{length + excess} bytes" if length else f"{excess} bytes more",
                have=f"{length} bytes" if length else None,
            )
        return
    found = False
    for line in text.splitlines():
        match = _UNDEFINED.match(line) or _LINKER.match(line)
        if match is None or "warning:" in line or ": in function `" in line:
            continue
        found = True
        yield Diagnostic("link-error", match["text"], _location(match, folder))
    if not found:
        yield Diagnostic("link-error", text.strip() or "the linker failed without a word")


def _regions(map_file: Path) -> dict[str, int]:
    """Return the sizes of the linker script's memory regions, as the map file lists them."""
    text = map_file.read_text(encoding="utf-8", errors="replace") if map_file.is_file() else ""
    _, _, configuration = text.partition("Memory Configuration")
    configuration, _, _ = configuration.partition("Linker script")
    return {match["name"]: int(match["length"], 16) for match in _REGION.finditer(configuration)}
