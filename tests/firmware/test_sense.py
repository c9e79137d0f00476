"""The sensor's task in C, on this machine: when samples are due on a counter of ticks that wraps.

Truth: a sensor of rate r delivers sample n at n / r, or as soon as there is room for it.
"""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path

import pytest

from synergyc.firmware.render import render
from tests.compilers import host_compiler
from tests.firmware.samples import two_devices

_HARNESS = Path(__file__).parent / "host" / "sense.c"
_WRAP = 1 << 32
_SECOND = 50_000_000


class HostSensor:
    """A sensor whose clock the test holds; its queue has room for two samples."""

    def __init__(self, library: ctypes.CDLL) -> None:
        library.test_sense.restype = ctypes.c_bool
        self._c = library

    def start(self, ticks: int, period_ticks: int) -> None:
        self._c.test_start(ctypes.c_uint32(ticks), ctypes.c_uint64(period_ticks))

    def sense(self, after_ticks: int) -> bool:
        """Return whether the sensor delivers a sample when it is asked after so many ticks."""
        return bool(self._c.test_sense(ctypes.c_uint32(after_ticks)))

    def pop(self) -> None:
        self._c.test_pop()


@pytest.fixture(scope="module")
def sensor(tmp_path_factory: pytest.TempPathFactory) -> HostSensor:
    compiler = host_compiler()
    folder = tmp_path_factory.mktemp("host_sense")
    for name, text in render(two_devices()["chest"]).items():
        (folder / name).write_text(text, encoding="utf-8")
    library = folder / "sense.so"
    sources = [str(folder / name) for name in ("tasks.c", "queue.c", "framing.c")]
    flags = ["-std=c11", "-O1", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", f"-I{folder}"]
    subprocess.run([compiler, *flags, *sources, str(_HARNESS), "-o", str(library)], check=True)
    return HostSensor(ctypes.CDLL(str(library)))


@pytest.mark.parametrize("began", [0, _WRAP - 3 * _SECOND // 2, _WRAP - 1])
@pytest.mark.parametrize("period", [_SECOND // 20, _SECOND])
def test_samples_come_at_their_rate_over_the_wrap(sensor: HostSensor, began: int, period: int) -> None:
    sensor.start(began, period)
    step, steps = period // 5, 25
    delivered = []
    for index in range(steps):
        if sensor.sense(0 if index == 0 else step):
            delivered.append(index)
            sensor.pop()
    assert delivered == list(range(0, steps, 5))


@pytest.mark.parametrize("full_s", [1, 60, 200], ids=lambda seconds: f"{seconds} s")
def test_a_sensor_that_had_no_room_goes_on_at_once(sensor: HostSensor, full_s: int) -> None:
    sensor.start(0, _SECOND)
    assert sensor.sense(0)
    assert sensor.sense(_SECOND)
    for _ in range(full_s * 10):
        assert not sensor.sense(_SECOND // 10)  # its queue is full
    for _ in range(full_s):  # none was skipped
        sensor.pop()
        assert sensor.sense(0)
    sensor.pop()
    assert not sensor.sense(0)


def test_a_sensor_may_be_slower_than_the_counter_wraps(sensor: HostSensor) -> None:
    """Once in two minutes."""
    sensor.start(7, 120 * _SECOND)
    assert sensor.sense(0)
    sensor.pop()
    assert [index for index in range(1, 241) if sensor.sense(_SECOND)] == [120, 240]
