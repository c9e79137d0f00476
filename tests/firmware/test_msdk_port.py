"""The ``msdk`` port: the same firmware over the drivers of the vendor's SDK, which run unchanged.

Truth: the SDK's own sources (MAXIM_PATH), compiled here, and ``synergyc.reference`` for the results. One
device is a MAX78000 whose link is the low-power UART, the other one a MAX78002; the link is secured.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from synergyc.diagnostics import SynergyError
from synergyc.firmware.build import build
from synergyc.firmware.framing import ConsoleLine
from synergyc.firmware.keys import KEY_BYTES
from synergyc.firmware.msdk import SDK_VARIABLE, find_sdk
from synergyc.firmware.names import key_symbol
from synergyc.firmware.spec import FirmwareSpec, Port
from synergyc.ir.types import Array
from tests.firmware import test_swap as swap
from tests.firmware.samples import fallback_devices, two_devices
from tests.firmware.test_two_devices import SCENES, Devices, assert_equal, expected, join, results, specs

_TIME_LIMIT_NS = 4_000_000_000


@dataclass(frozen=True)
class Built:
    """Images of the devices, built once for all tests."""

    specs: Mapping[str, FirmwareSpec]
    images: Mapping[str, Path]
    samples: Array

    def power_up(self, corrupt: float = 0.0) -> Devices:
        devices = join(self.specs, self.images, corrupt=corrupt)
        for name, spec in self.specs.items():
            for link in spec.links:
                devices.board(name).poke(key_symbol(link.name), bytes(range(KEY_BYTES)))
        return devices


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    try:
        find_sdk()
    except SynergyError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("msdk")
    samples = np.random.default_rng(3).integers(-128, 128, (3, 3, 8, 8)).astype(np.int8)
    by_name = {spec.device: _secured(spec) for spec in specs(SCENES["there and back"], samples)}
    wrist = by_name["wrist"]
    by_name["wrist"] = replace(wrist, links=tuple(replace(link, uart="uart3") for link in wrist.links))
    images = {name: build(spec, folder / name, port=Port.MSDK).elf for name, spec in by_name.items()}
    return Built(by_name, images, samples)


def _secured(spec: FirmwareSpec) -> FirmwareSpec:
    return replace(spec, links=tuple(replace(link, key=link.name) for link in spec.links))


@pytest.mark.e2e
@pytest.mark.parametrize("corrupt", [0.0, 0.0006])
def test_results_are_those_of_the_reference(built: Built, corrupt: float) -> None:
    devices = built.power_up(corrupt)
    devices.run_until_end()
    assert_equal(results(devices, "wrist"), expected(built.samples))


@pytest.mark.e2e
def test_a_fault_is_reported_by_the_drivers_and_the_watchdog_resets(built: Built) -> None:
    devices = built.power_up()
    board = devices.board("wrist")
    place = board.image.symbol("cnn_load_input").address & ~1
    board.chip.cpu.write_memory(place, b"\x00\xde")  # UDF: an instruction that is never defined
    devices.simulation.run(_TIME_LIMIT_NS, stop=lambda: _has_booted_twice(board.console))
    lines = devices.lines("wrist")
    assert [line.kind for line in lines] == ["B", "L", "F", "B"]
    assert lines[2] == ConsoleLine("F", ("fault", "wrist", f"{place:08x}"))


def _has_booted_twice(console: bytes) -> bool:
    return console.count(b"$B,wrist") == 2 and console.endswith(b"\n")


@pytest.fixture
def _needs_sdk() -> None:
    try:
        find_sdk()
    except SynergyError as error:
        pytest.skip(str(error))


@pytest.mark.e2e
@pytest.mark.usefixtures("_needs_sdk")
def test_weights_are_loaded_in_turn(tmp_path: Path) -> None:
    samples = np.random.default_rng(3).integers(-128, 128, (3, 3, 8, 8)).astype(np.int8)
    apps = [swap.OneApp("a", 0), swap.OneApp("b", 1)]
    by_name = swap.specs(apps, samples, 12)
    images = {name: build(spec, tmp_path / name, port=Port.MSDK).elf for name, spec in by_name.items()}
    devices = join(by_name, images)
    devices.run_until_end()
    for app in apps:
        assert_equal(swap.results(devices, app.name), swap.expected(app, samples, 12))
    sets, loads, _, _ = swap.swaps(devices)
    assert (sets, loads > 0) == (2, True)


@pytest.mark.usefixtures("_needs_sdk")
def test_several_plans_and_secured_links_compile_without_warnings(tmp_path: Path) -> None:
    build(fallback_devices(secure=True)["chest"], tmp_path, port=Port.MSDK)


@pytest.mark.parametrize("folder", [None, ".", "Libraries"], ids=["unset", "no SDK", "incomplete"])
def test_a_missing_or_wrong_sdk_is_one_diagnostic(
    folder: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(SDK_VARIABLE, raising=False)
    if folder is not None:
        monkeypatch.setenv(SDK_VARIABLE, str(tmp_path))
    if folder == "Libraries":
        (tmp_path / "Libraries" / "CMSIS").mkdir(parents=True)
    with pytest.raises(SynergyError) as caught:
        build(two_devices()["chest"], tmp_path / "build", port=Port.MSDK)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.rule == "sdk"
    assert SDK_VARIABLE in diagnostic.message
    assert not (tmp_path / "build").exists()
    assert (os.environ.get(SDK_VARIABLE) or "is not set") in str(diagnostic)
