"""Static analysis of a device's C sources; the tools' own rules are the truth."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from synergyc.config.system import SENSOR_DRIVERS
from synergyc.diagnostics import SynergyError
from synergyc.firmware.build import write_sources
from synergyc.firmware.msdk import sdk_library
from synergyc.firmware.spec import Port
from tests.firmware.host_link import CIPHER
from tests.firmware.samples import fallback_devices, replicated_devices, two_devices
from tests.firmware.test_tail import CASES, with_tails

ROOT = Path(__file__).parents[2]

_ARM = (
    "--target=arm-none-eabi",
    "-mcpu=cortex-m4",
    "-mthumb",
    "-mfloat-abi=hard",
    "-ffreestanding",
    "-std=c11",
)
_HEADERS = ("/usr/include/newlib", "/usr/lib/arm-none-eabi/include")
"""Where distributions put the C library's headers of the cross-compiler."""

_CHECKS = ("-*", "bugprone-*", "cert-*", "-bugprone-easily-swappable-parameters")
"""Not checked: parameters of one type side by side, as in every function of registers or times."""


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sources")
    ramp = (ROOT / "examples" / "drivers" / "ramp.c").read_text()
    write_sources(with_tails({name: CASES[name] for name in ("boxes", "bilinear")}), folder)
    write_sources(two_devices(driver="ramp", driver_text=ramp)["chest"], folder)
    for driver in SENSOR_DRIVERS:
        write_sources(two_devices(driver=driver)["chest"], folder)
    return folder


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sources of a device whose link is secured."""
    folder = tmp_path_factory.mktemp("secured")
    write_sources(two_devices(secure=True)["chest"], folder)
    return folder


@pytest.fixture(scope="module")
def several_plans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sources of a device whose image holds two plans."""
    folder = tmp_path_factory.mktemp("several_plans")
    write_sources(fallback_devices()["chest"], folder)
    return folder


@pytest.fixture(scope="module")
def replicated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sources of a device at which lanes of replicas begin and end."""
    folder = tmp_path_factory.mktemp("replicated")
    write_sources(replicated_devices()["wrist"], folder)
    return folder


@pytest.fixture(scope="module")
def msdk(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Sources of a device over the vendor's SDK, and the flags by which its headers are found."""
    try:
        library = sdk_library("MAX78000")
    except SynergyError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("msdk")
    write_sources(two_devices()["chest"], folder, Port.MSDK)
    return folder, library.flags(folder)


def _complaints(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).splitlines()
    return "\n".join(line for line in lines if "warning:" in line or "error:" in line)


def _files(sources: Path, which: str) -> list[str]:
    """Return the files to look at: of a special device those that differ by that."""
    special = {
        "secured": ["device.c", "framing.c", "link.c", "link_secure.c", "report.c"],
        "replicated": ["device.c", "main.c", "replicas.c"],
        "several_plans": ["device.c", "fallback.c", "main.c", "presence.c", "report.c"],
    }
    return special.get(which, sorted(path.name for path in sources.glob("*.c")))


def _tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"needs {name}: apt-get install {name}")
    return found


@pytest.mark.parametrize("which", ["sources", "secured", "several_plans", "replicated"])
def test_cppcheck_finds_nothing(request: pytest.FixtureRequest, which: str) -> None:
    sources: Path = request.getfixturevalue(which)
    options = ["--enable=warning,style,performance,portability", "--std=c11", "--quiet", "-I."]
    files = _files(sources, which)
    command = [_tool("cppcheck"), *options, "--suppress=missingIncludeSystem", *files]
    assert _complaints(command, sources) == ""


@pytest.mark.parametrize("which", ["sources", "secured", "several_plans", "replicated"])
def test_clang_tidy_finds_nothing(request: pytest.FixtureRequest, which: str) -> None:
    sources: Path = request.getfixturevalue(which)
    includes = [word for path in (*_HEADERS, str(CIPHER)) for word in ("-isystem", path)]
    files = _files(sources, which)
    command = [_tool("clang-tidy"), "--quiet", f"--checks={','.join(_CHECKS)}", *files]
    assert _complaints([*command, "--", *_ARM, "-std=c11", "-I.", *includes], sources) == ""


def test_the_msdk_port_is_free_of_findings(msdk: tuple[Path, list[str]]) -> None:
    """Its own two files; the SDK's headers are not ours to judge."""
    folder, flags = msdk
    files = ["port_msdk.c", "uart_msdk.c"]
    options = ["--enable=warning,style,performance,portability", "--std=c11", "--quiet", "-I."]
    defines = [flag for flag in flags if flag.startswith("-D")]
    command = [_tool("cppcheck"), *options, *defines, "--suppress=missingInclude", *files]
    assert _complaints(command, folder) == ""
    includes = [word for path in _HEADERS for word in ("-isystem", path)]
    # Without the FPU: its registers have names in the SDK's inline assembly that only GCC knows.
    target = [*_ARM, "-mfloat-abi=soft", "-I.", *flags, *includes]
    command = [_tool("clang-tidy"), "--quiet", f"--checks={','.join(_CHECKS)}", *files, "--", *target]
    assert _complaints(command, folder) == ""


def test_the_analysers_can_find_something(sources: Path, tmp_path: Path) -> None:
    """A null pointer that is used: what the two tests above would show."""
    bad = tmp_path / "bad.c"
    bad.write_text("int bad(void);\nint bad(void)\n{\n    int *nowhere = 0;\n    return *nowhere;\n}\n")
    done = subprocess.run(
        [_tool("cppcheck"), "--quiet", bad.name], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "nullPointer" in done.stderr
