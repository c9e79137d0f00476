"""Residency sets: segments that do not share the accelerator's memories, whose weights are loaded in turn.

Truth: ``synergyc.reference``. Each set is placed as if it were alone, so that its weights lie where those of
others were: a result is right only if the whole set was loaded again.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from synergyc import reference
from synergyc.firmware.assign import Policy, assign
from synergyc.firmware.layout import pack_tensor, unpack_tensor
from synergyc.firmware.spec import FirmwareSpec, KnownAnswer, Wire
from synergyc.ir.network import Network
from synergyc.ir.types import Array
from synergyc.plan.types import AppPlan, HandOff, Plan, Prediction, Segment
from synergyc.synth.native.generator import generate
from synergyc.synth.program import Program
from synergyc.synth.resident import place_resident
from synergyc.targets import load_board, load_chip, load_medium, load_runtime
from tests.compilers import require_cross_compiler
from tests.firmware.test_two_devices import Devices, assert_equal, network, power_up

pytestmark = pytest.mark.e2e

CHIPS = {"max78000": "max78000fthr", "max78002": "max78002evkit"}


@dataclass(frozen=True)
class OneApp:
    """An app on device ``wrist``: its residency set, and who senses; results are shown where it runs."""

    name: str
    residency: int
    sense: str = "wrist"
    priority: int = 0
    like: Network = field(default_factory=network)

    @property
    def net(self) -> Network:
        """The network: one ``like`` another with weights of its own."""
        return _reweighted(self.like, self.name)


def _reweighted(plain: Network, name: str) -> Network:
    chance = np.random.default_rng(sum(name.encode()))

    def other(weight: Array | None) -> Array | None:
        return None if weight is None else chance.integers(-128, 128, weight.shape).astype(np.int8)

    layers = tuple(
        replace(layer, weight=other(layer.weight), bias=other(layer.bias)) for layer in plain.layers
    )
    return replace(plain, name=name, layers=layers)


def specs(
    apps: Sequence[OneApp], samples: Array, runs: int, chip_name: str = "max78000"
) -> dict[str, FirmwareSpec]:
    chip = load_chip(chip_name)
    boards = {"wrist": load_board(CHIPS[chip_name]), "chest": load_board("max78000fthr")}
    plans, programs = [], dict[str, Program]()
    for number in sorted({app.residency for app in apps}):
        together = [app for app in apps if app.residency == number]
        placed = place_resident([app.net for app in together], chip)
        programs |= {
            f"{app.name}_s0": replace(generate(item, chip), name=f"{app.name}_s0")
            for app, item in zip(together, placed, strict=True)
        }
    for app in apps:
        last = len(app.net.layers) - 1
        segment = Segment(app.name, 0, "wrist", 0, last, swapped=True, residency=app.residency)
        crossing = () if app.sense == "wrist" else (HandOff(app.name, 0, "chest", "wrist", "wire", (), 0),)
        plans.append(AppPlan(app.name, app.sense, "wrist", (segment,), crossing, Prediction(1, 1, "", {})))
    wires = (Wire("wire", ("chest", "wrist"), load_medium("uart"), 921.6),)
    given = {app.name: samples for app in apps}
    policies = {app.name: Policy(priority=app.priority) for app in apps}
    found = assign(
        Plan(tuple(plans), "throughput", "hand", 1),
        programs,
        boards,
        wires,
        given,
        run_limit=runs,
        policies=policies,
    )
    return {spec.device: spec for spec in found}


def results(devices: Devices, app: str) -> dict[int, Array]:
    layout = next(item for item in devices.specs["wrist"].interacts if item.app == app).layouts[0]
    return {
        int(line.fields[1]): unpack_tensor(layout, bytes.fromhex(line.fields[2]))
        for line in devices.lines("wrist")
        if line.kind == "R" and line.fields[0] == app
    }


def expected(app: OneApp, samples: Array, runs: int) -> dict[int, Array]:
    logits = reference.run(app.net, {"x": samples})["logits"]
    return {run: logits[run % len(samples)] for run in range(runs)}


def swaps(devices: Devices) -> list[int]:
    """Return sets, loads, ticks in all and the longest, as the device reports them."""
    line = next(x for x in devices.lines("wrist") if x.kind == "S" and x.fields[0] == "swap")
    return [int(field) for field in line.fields[1:]]


def order(devices: Devices) -> list[str]:
    """Return the apps in the order of their results."""
    return [line.fields[0] for line in devices.lines("wrist") if line.kind == "R"]


@pytest.fixture(scope="module", autouse=True)
def _needs_compiler() -> None:
    require_cross_compiler()


@pytest.fixture(scope="module")
def samples() -> Array:
    return np.random.default_rng(3).integers(-128, 128, (3, 3, 8, 8)).astype(np.int8)


@pytest.mark.parametrize("chip_name", CHIPS)
def test_results_are_right_whatever_set_ran_before(chip_name: str, samples: Array, tmp_path: Path) -> None:
    apps = [OneApp("a", 0), OneApp("b", 1), OneApp("c", 0)]
    devices = power_up(specs(apps, samples, 20, chip_name).values(), tmp_path)
    devices.run_until_end()
    for app in apps:
        assert_equal(results(devices, app.name), expected(app, samples, 20))
    sets, loads, ticks, longest = swaps(devices)
    assert sets == 2
    assert loads >= 2
    assert loads * longest >= ticks > 0


def test_a_set_goes_on_for_some_runs_and_no_longer(tmp_path: Path) -> None:
    """Both sets always have work, and the console is faster: the loaded set's runs, then the other one's."""
    large = np.random.default_rng(4).integers(-128, 128, (2, 3, 32, 32)).astype(np.int8)
    apps = [OneApp(name, number, like=network(side=32)) for number, name in enumerate("ab")]
    spec = specs(apps, large, 3 * load_runtime().set_runs)["wrist"]
    board = spec.board.model_copy(update={"console_rate_bd": 5_000_000})
    devices = power_up([replace(spec, board=board)], tmp_path)
    devices.run_until_end()
    turn = load_runtime().set_runs
    assert "".join(order(devices)) == ("a" * turn + "b" * turn) * 3
    assert swaps(devices)[1] == 5


def test_a_higher_priority_is_served_whatever_is_loaded(samples: Array, tmp_path: Path) -> None:
    devices = power_up(specs([OneApp("a", 0), OneApp("b", 1, priority=1)], samples, 6).values(), tmp_path)
    devices.run_until_end()
    # The first sample of `a` was there before that of `b`.
    assert "".join(order(devices)) == "abbbbbbaaaaa"
    assert swaps(devices)[1] == 2


def test_loads_do_not_hold_up_links(samples: Array, tmp_path: Path) -> None:
    """Tensors arrive, over a wire that damages about one frame in five, while weights are loaded."""
    apps = [OneApp("a", 0, sense="chest"), OneApp("b", 1)]
    devices = power_up(specs(apps, samples, 16).values(), tmp_path, corrupt=0.0006, loss=0.0002)
    devices.run_until_end()
    for app in apps:
        assert_equal(results(devices, app.name), expected(app, samples, 16))
    _, _, overruns = devices.counts("wrist", "wire")
    assert overruns == 0


@pytest.mark.parametrize("right", [True, False])
def test_known_answers_are_tested_set_by_set(samples: Array, tmp_path: Path, *, right: bool) -> None:
    apps = [OneApp("a", 0), OneApp("b", 1)]
    spec = specs(apps, samples, 2)["wrist"]
    infers = tuple(
        replace(infer, known=_known(spec, app, samples, right=right))
        for infer, app in zip(spec.infers, apps, strict=True)
    )
    devices = power_up([replace(spec, infers=infers)], tmp_path)
    board = devices.board("wrist")
    end = b"$E," if right else b"$F,"
    devices.simulation.run(8_000_000_000, stop=lambda: end in board.console and board.console.endswith(b"\n"))
    kinds = [line.kind for line in devices.lines("wrist")]
    assert kinds.count("T") == (2 if right else 0)
    assert ("F" in kinds) != right


def _known(spec: FirmwareSpec, app: OneApp, samples: Array, *, right: bool) -> KnownAnswer:
    sense = next(item for item in spec.senses if item.app == app.name)
    layout = next(item for item in spec.interacts if item.app == app.name).layouts[0]
    answer = pack_tensor(layout, expected(app, samples, 1)[0])
    crc = zlib.crc32(b"".join(int(word).to_bytes(4, "little") for word in answer))
    return KnownAnswer(tuple(sense.samples[0]), crc if right else crc ^ 1)
