"""Random networks: placed, verified, run bit-exactly on the emulated accelerator; or refused for a reason.

Truth: the integer reference.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings

from synergyc.diagnostics import SynergyError
from synergyc.ir.network import Network
from synergyc.synth.placement import place
from synergyc.synth.verify import verify
from synergyc.targets import load_chip
from tests.synth.machine import wrong_outputs
from tests.synth.shapes import NETWORKS

CHIP_LIMITS = {
    "concat-passes", "eltwise-bias", "eltwise-passes", "groups", "output-shift",
    "padded-conv1d", "pool-passes",
}  # fmt: skip
"""What one chip or the other cannot do wherever a layer is placed."""
MEMORIES = {"bias-memory", "data-memory", "weight-memory"}


@pytest.mark.parametrize("chip_name", ["max78000", "max78002"])
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(net=NETWORKS)
def test_random_networks_run_or_are_refused_for_a_reason(chip_name: str, net: Network) -> None:
    chip = load_chip(chip_name)
    try:
        placed = place(net, chip)
    except SynergyError as error:
        for item in error.diagnostics:
            assert item.rule in CHIP_LIMITS | MEMORIES, item.render()
            if item.rule in MEMORIES - {"bias-memory"}:
                assert "no arrangement exists" in item.message, item.render()
        return
    assert verify(placed, chip) == ()
    assert wrong_outputs(net, placed, chip) == []
