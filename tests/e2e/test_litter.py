"""Random bytes on links and consoles of images with several plans and secured links: ignored and counted.

Truth: the integer reference for results; what was sent for counts.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from synergyc.emulate.simulation import Simulation
from synergyc.firmware.framing import DELIMITER, Frame, FrameKind, encode_frame
from tests.compilers import NEEDS_CROSS_COMPILER
from tests.e2e.attackers import Littering, attack
from tests.e2e.random_fallback import random_fallback, run_disturbed

pytestmark = [pytest.mark.e2e, NEEDS_CROSS_COMPILER]

_SEED = 14
"""Two devices, a secured wire, three apps that are cut, and a plan for one of the devices alone."""
_RUNS = 6
_NOISE_NS = 3_000_000


def test_litter_on_links_and_consoles_is_counted_and_harms_nothing(tmp_path: Path) -> None:
    system = random_fallback(_SEED)
    assert all(join.secure for join in system.system.joins)
    assert len(system.plans) == 2
    noise = random.Random(1).randbytes(300) + DELIMITER  # noqa: S311 - repeatable on purpose
    foreign = [Frame(FrameKind.DATA), Frame(FrameKind.SAMPLE, stream=200), Frame(15)]
    litter: dict[str, Littering] = {}

    def disturb(simulation: Simulation) -> None:
        for board in simulation.boards.values():
            board.feed(noise + b"".join(map(encode_frame, foreign)), at_ns=_NOISE_NS)
        (wire,) = simulation.wires
        attackers = attack(simulation, dict((wire.a, wire.b)), Littering)
        litter.update(zip((wire.b[0], wire.a[0]), attackers, strict=True))

    verdict, consoles = run_disturbed(system, tmp_path, _RUNS, disturb)
    assert (verdict.right, verdict.wrong, verdict.counted) == (verdict.sent, 0, 0)
    assert verdict.sent == _RUNS * len(system.system.plan.apps)
    assert not any(verdict.back.values())  # the plan for all
    for name, console in consoles.items():
        (wire_report,), (console_report,) = console.reports("wire"), console.reports("console")
        damaged, _, overruns = map(int, wire_report.fields[2:])
        assert 20 < damaged <= litter[name].litter  # what came behind the report was not counted
        assert overruns == 0
        pieces = sum(bool(piece) for piece in noise.split(DELIMITER))
        assert console_report.fields[1:] == (str(pieces), str(len(foreign)), "0")
