"""Build a device's firmware: write its sources, compile them, check that it fits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from synergyc.diagnostics import Diagnostic, SynergyError
from synergyc.firmware import sizing
from synergyc.firmware.msdk import sdk_library
from synergyc.firmware.render import LINKER_SCRIPT, render
from synergyc.firmware.spec import FirmwareSpec, Port
from synergyc.targets import data_folder
from synergyc.toolchain import CompileResult, CrossCompiler, Library, Sizes, find_cross_compiler

_FLAGS = (
    "-ffreestanding",
    "-fno-data-sections",  # neighbours are reached by one address: 150 bytes less; all data of ours is used
    "-fno-strict-aliasing",
    "-Wshadow",
    "-Wconversion",
    "-Wstrict-prototypes",
    "-Wmissing-prototypes",
    "-Wundef",
    "-Wvla",
    "-Wstack-usage=1024",
)

_OVERFLOW_HINTS = {
    "FLASH": "narrower weights (quantize: bits), sense.on another device, or forbid this one for some app",
    "SRAM": "cut where less crosses (pin), sense.on the device that infers, or forbid this one for some app",
}


@dataclass(frozen=True)
class Firmware:
    """A device's firmware: the ELF file, its map, its sizes and the files it was made of."""

    device: str
    elf: Path
    map: Path
    sizes: Sizes
    sources: tuple[Path, ...]
    port: Port = Port.BAREMETAL


def write_sources(spec: FirmwareSpec, folder: Path, port: Port = Port.BAREMETAL) -> tuple[Path, ...]:
    """Write the sources of ``spec`` into ``folder``; files that would not change are left alone."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, text in render(spec, port).items():
        path = folder / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
        paths.append(path)
    return tuple(paths)


def build(
    spec: FirmwareSpec,
    folder: Path,
    compiler: CrossCompiler | None = None,
    port: Port = Port.BAREMETAL,
) -> Firmware:
    """Write, compile and link the firmware of one device; the ELF file is ``folder/<device>.elf``.

    Raises SynergyError: ``cross-compiler`` (there is none), ``memory-overflow`` (flash or RAM, with need
    and have), ``sdk`` (the port needs the vendor's SDK), and those of render.
    """
    compiler = compiler or find_cross_compiler()
    library = _library(spec, port)
    sources = write_sources(spec, folder / "src", port)
    result = _compile(spec, sources, folder, compiler, library)
    return Firmware(spec.device, result.elf, result.map, result.sizes, sources, port)


def _library(spec: FirmwareSpec, port: Port) -> Library:
    """Return the code of others that the image needs: the vendor's drivers, the cipher of secured links."""
    library = sdk_library(spec.chip.part) if port is Port.MSDK else Library((), (), ())
    if sizing.seal_bytes(spec):
        folder = data_folder("templates") / "monocypher"
        library = library.with_other(Library((folder / "monocypher.c",), (folder,), ()))
    return library


def _compile(
    spec: FirmwareSpec,
    sources: tuple[Path, ...],
    folder: Path,
    compiler: CrossCompiler,
    library: Library,
) -> CompileResult:
    try:
        return compiler.compile(
            [path for path in sources if path.suffix == ".c"],
            [folder / "src"],
            folder / "src" / LINKER_SCRIPT,
            folder / f"{spec.device}.elf",
            extra_flags=_FLAGS,
            library=library,
            cwd=folder,
        )
    except SynergyError as error:
        raise SynergyError(_named(spec, item) for item in error.diagnostics) from error


def _named(spec: FirmwareSpec, item: Diagnostic) -> Diagnostic:
    """Say which device does not fit, and what can be done; name a driver of the user's own by its file."""
    own = {f"{sense.driver}.c" for sense in spec.all_senses if sense.driver_text is not None}
    if item.location is not None and Path(item.location.file).name in own:
        return replace(item, location=replace(item.location, file=Path(item.location.file).name))
    if item.rule != "memory-overflow":
        return item
    hint = next((hint for region, hint in _OVERFLOW_HINTS.items() if region in item.message), None)
    return replace(item, message=f"device {spec.device!r} ({spec.chip.part}): {item.message}", hint=hint)
