"""Lanes of replicas: tasks that a plan becomes, and their C code on this machine.

Truth of the C code: each run goes to one lane; results leave each once, in the order of their runs, as long
as every lane delivers in time; and nothing waits for good.
"""

from __future__ import annotations

import ctypes
import random
import subprocess
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import synergyc
from synergyc.diagnostics import SynergyError
from synergyc.firmware.assign import assign
from synergyc.firmware.render import render
from synergyc.firmware.spec import FirmwareSpec, Storage
from synergyc.synth.program import Program
from tests.compilers import host_compiler
from tests.conftest import Golden
from tests.firmware.samples import replicated_devices, replicated_plan, replicated_programs, two_devices
from tests.firmware.test_assign import wire

_HARNESS = Path(__file__).parent / "host" / "replicas.c"
_LANES = 3
_WAIT = 1000
_NONE, _END = -1, -2


def test_each_replica_has_a_lane_of_its_own() -> None:
    specs = replicated_devices()
    wrist, chest, belt = specs["wrist"], specs["chest"], specs["belt"]
    (sense,), (merge,) = wrist.senses, wrist.merges
    assert len(sense.queues) == len(set(sense.queues)) == len(merge.queues) == 2
    assert [send.queue for send in wrist.sends] == list(sense.queues)
    assert [receive.queue for receive in wrist.receives] == list(merge.queues)
    for other in (chest, belt):
        (infer,) = other.infers
        assert other.receives[0].queue == infer.source
        assert other.sends[0].queue == infer.target
        assert not other.merges
    assert wrist.interacts[0].queue == merge.target
    assert wrist.queue(merge.target).storage is Storage.LANES
    assert wrist.queue(merge.target).ram_bytes == 0
    assert all(wrist.queue(name).storage is Storage.FLASH for name in sense.queues)


def test_sources_are_the_golden_ones(golden: Golden) -> None:
    files = render(replicated_devices()["wrist"])
    for name in ("device.c", "main.c"):
        golden(f"replicas/{name}", files[name].replace(synergyc.__version__, "VERSION", 1))


@pytest.mark.parametrize("spec", [two_devices()["chest"], replicated_devices()["belt"]], ids=["none", "belt"])
def test_only_ends_of_lanes_have_their_code(spec: FirmwareSpec) -> None:
    files = render(spec)
    assert not {"replicas.c", "replicas.h"} & files.keys()
    assert "merge" not in files["main.c"] + files["device.h"] + files["device.c"]


@pytest.mark.parametrize("end", ["inputs", "outputs"])
def test_replicas_with_other_layouts_are_refused(end: str) -> None:
    programs: dict[str, Program] = replicated_programs()
    (made,) = getattr(programs["beat_s1"], end)
    moved = (replace(made, elements=made.elements[::-1]),)
    other = programs["beat_s1"]
    programs["beat_s1"] = replace(other, inputs=moved) if end == "inputs" else replace(other, outputs=moved)
    samples = {"beat": np.zeros((1, *programs["beat_s0"].inputs[0].tensor.shape), np.int8)}
    boards = {name: spec.board for name, spec in replicated_devices().items()}
    wires = (wire("wrist", "chest"), wire("wrist", "belt"))
    with pytest.raises(SynergyError, match="its replicas on 'chest' and 'belt' hold") as caught:
        assign(replicated_plan(), programs, boards, wires, samples)
    assert caught.value.diagnostics[0].rule == "replica-layout"


class HostLanes:
    """A sensor that deals to three lanes, and a merge of three, with the test's clock."""

    def __init__(self, library: ctypes.CDLL) -> None:
        for name in ("test_put", "test_deal"):
            getattr(library, name).restype = ctypes.c_bool
        self._c = library

    def start(self) -> None:
        self._c.test_start(ctypes.c_uint32((1 << 32) - 5), ctypes.c_uint32(_WAIT))

    def sense(self, *, last: bool = False) -> int:
        return int(self._c.test_sense(ctypes.c_bool(last)))

    def deal(self) -> bool:
        return bool(self._c.test_deal())

    def count(self, lane: int) -> int:
        return int(self._c.test_count(ctypes.c_uint(lane)))

    def take(self, lane: int) -> None:
        self._c.test_take(ctypes.c_uint(lane))

    def put(self, lane: int, run: int, *, last: bool = False) -> bool:
        return bool(self._c.test_put(ctypes.c_uint(lane), ctypes.c_uint32(run), ctypes.c_bool(last)))

    def result(self, after_ticks: int = 0) -> tuple[int, int]:
        """Return the run of the next result and its lane, if there is one after so many ticks."""
        self._c.test_pass(ctypes.c_uint32(after_ticks))
        lane = ctypes.c_int(_NONE)
        return int(self._c.test_result(ctypes.byref(lane))), lane.value


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    compiler = host_compiler()
    folder = tmp_path_factory.mktemp("host_replicas")
    for name, text in render(replicated_devices()["wrist"]).items():
        (folder / name).write_text(text, encoding="utf-8")
    sources = [str(folder / name) for name in ("replicas.c", "queue.c")]
    flags = ["-std=c11", "-O1", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", f"-I{folder}"]
    target = folder / "replicas.so"
    subprocess.run([compiler, *flags, *sources, str(_HARNESS), "-o", str(target)], check=True)
    return ctypes.CDLL(str(target))


@pytest.fixture
def lanes(library: ctypes.CDLL) -> HostLanes:
    found = HostLanes(library)
    found.start()
    return found


def test_samples_go_to_the_lanes_in_turn(lanes: HostLanes) -> None:
    assert [lanes.sense() for _ in range(7)] == [0, 1, 2, 0, 1, 2, _NONE]
    lanes.take(1)
    assert [lanes.sense(), lanes.sense()] == [1, _NONE]


def test_a_lane_that_stands_still_is_passed_over(lanes: HostLanes) -> None:
    dealt = []
    for _ in range(12):
        dealt.append(lanes.sense())
        for lane in (0, 2):
            if lanes.count(lane):
                lanes.take(lane)
    assert dealt == [0, 1, 2, 0, 1, 2, 0, 2, 0, 2, 0, 2]


def test_every_lane_is_told_that_no_more_runs_come(lanes: HostLanes) -> None:
    for _ in range(6):
        lanes.sense()
    assert lanes.sense(last=True) == _NONE  # no lane has room
    lanes.take(2)
    assert lanes.sense(last=True) == 2
    assert not lanes.deal()
    lanes.take(0)
    assert lanes.deal()
    lanes.take(1)
    assert lanes.deal()
    assert not lanes.deal()
    assert [lanes.count(lane) for lane in range(_LANES)] == [2, 2, 2]


def test_results_wait_for_those_of_earlier_runs(lanes: HostLanes) -> None:
    lanes.put(1, 1)
    lanes.put(2, 2)
    assert lanes.result() == (_NONE, _NONE)
    lanes.put(0, 0)
    assert [lanes.result() for _ in range(4)] == [(0, 0), (1, 1), (2, 2), (_NONE, _NONE)]


def test_a_run_that_never_comes_is_waited_for_once(lanes: HostLanes) -> None:
    lanes.put(1, 1)
    assert lanes.result() == (_NONE, _NONE)
    assert lanes.result(_WAIT - 1) == (_NONE, _NONE)
    assert lanes.result(1) == (1, 1)
    for run in range(4, 20, 3):  # of the others too nothing was heard
        lanes.put(1, run)
        assert lanes.result() == (run, 1)
    lanes.put(0, 18)  # late, but it comes
    assert lanes.result() == (18, 0)
    lanes.put(1, 22)
    assert lanes.result() == (_NONE, _NONE)  # lane 0 is there again
    lanes.put(0, 21)
    assert [lanes.result()[0] for _ in range(2)] == [21, 22]


def test_a_dropped_run_holds_up_nobody_whose_lane_goes_on(lanes: HostLanes) -> None:
    lanes.put(1, 1)
    lanes.put(2, 2)
    lanes.put(0, 3)  # run 0 was dropped on its way
    assert [lanes.result()[0] for _ in range(3)] == [1, 2, 3]


def _drop_some(chance: random.Random, runs: deque[int]) -> None:
    if runs and chance.random() < 0.1:
        runs.popleft()


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("disturb", [lambda chance, runs: None, _drop_some], ids=["all", "some dropped"])
def test_each_result_leaves_once_and_in_order(
    lanes: HostLanes, seed: int, disturb: Callable[[random.Random, deque[int]], None]
) -> None:
    """Three replicas of random speed; runs may be dropped, but no lane is silent for too long."""
    chance = random.Random(seed)  # noqa: S311 - repeatable on purpose
    total = 60
    under_way: list[deque[int]] = [deque() for _ in range(_LANES)]
    for run in range(total):
        under_way[chance.randrange(_LANES)].append(run)
    ended = [False] * _LANES
    delivered: list[int] = []
    sent: list[int] = []
    ends = 0
    for _ in range(20_000):
        lane = chance.randrange(_LANES)
        runs = under_way[lane]
        disturb(chance, runs)
        if runs and lanes.put(lane, runs[0]):
            sent.append(runs.popleft())
        elif not runs and not ended[lane]:
            ended[lane] = lanes.put(lane, total, last=True)
        for _ in range(chance.randrange(3)):
            run, _ = lanes.result()
            ends += run == _END
            if run >= 0:
                delivered.append(run)
        if ends == _LANES:
            break
    assert delivered == sorted(sent)
    assert ends == _LANES
