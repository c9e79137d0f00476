"""One flipped bit in a passing program must show: in the known answer, or as a refusal.

Truth: the conformance data's known answers. A model that ignores part of what software writes, or a check
that compares nothing, fails here.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synergyc.emulate.accelerator import BusError, NotModelled
from tests.emulate.accelerator import replay

pytestmark = pytest.mark.skipif(
    not replay.index(), reason="the conformance data is not here (SYNERGYC_CONFORMANCE_DIR)"
)

WIDE = ["t.upsample-nonsquare-pad2a.78000", "t.upsample-nonsquare-pad2a.78002"]
"""All weights are used, and the output is 32-bit sums: no bit of a weight can hide."""
BIASED = ["t.widein-bias-q4.78000", "t.wide256in-bias-binary.78002", "t.depthwise-nopool-113.78002"]
"""No activation, and nothing saturates: the same holds for each bias."""
LAYERS = [
    "t.widein-q4.78002",
    "t.conv1d-pool-4-q4.78002",
    "t.passthroughmultipass.78002",
    "t.depthwise17x5x7-move-back.78002",
    "t.upsample.78000",
    "t.flatten-fc-quant4.78000",
]
HARMLESS = {
    "CTL": 1 << 1 | 1 << 2 | 1 << 4 | 1 << 12 | 3 << 17 | 1 << 20,  # wait states, done, gatherer, loading
    "LCTL": 0xF << 12,  # to listen to quadrants without processors adds zero
    "POST": 0xFFF | 1 << 12 | 1 << 17,  # start of a bias that is off or zero; the direction of no shift
}
"""Bits that cannot change these programs' results."""
HARMLESS_HERE = {
    ("t.upsample.78000", "RCNT"): 0x3FF,  # more rows after those that the known answer holds
    ("t.upsample.78000", "LCTL"): 3 << 7,  # a 1x1 window pools nothing, and its maximum is its average
    ("t.upsample.78000", "LCTL2"): 0x1E000,  # more positions in the only pass
    ("t.flatten-fc-quant4.78000", "LCTL"): 3 << 7,
    ("t.flatten-fc-quant4.78000", "LCTL2"): 0x1F8F0,  # the distance to the next of one output pixel
    ("t.flatten-fc-quant4.78000", "ONED"): 1 << 12,  # a one-dimensional kernel of length 1
    ("t.flatten-fc-quant4.78000", "TOFFS"): 1,
    ("t.flatten-fc-quant4.78000", "CTL"): 3 << 13 | 1 << 21,  # rounding, streaming, 1-bit: not used
    ("t.upsample.78000", "CTL"): 3 << 13 | 1 << 21,
}


def shows(case: replay.Case, position: int, bit: int) -> bool:
    """Return whether a flipped bit in one of the program's writes is noticed."""
    writes = list(case.writes)
    function, address, size, value = writes[position]
    writes[position] = (function, address, size, value ^ 1 << bit)
    try:
        accelerator = replay.run(case, tuple(writes))
    except (NotModelled, BusError, AssertionError):  # refused, or it does not start
        return True
    return bool(replay.wrong_words(case, accelerator))


def positions(case: replay.Case, function: str) -> list[int]:
    return [i for i, write in enumerate(case.writes) if write[0] == function and write[2] == 4]


@pytest.mark.parametrize("name", WIDE)
@settings(max_examples=20)
@given(st.data())
def test_every_bit_of_a_weight_counts(name: str, data: st.DataObject) -> None:
    case = replay.load(name)
    position = data.draw(st.sampled_from(positions(case, "cnn_load_weights")))
    assert shows(case, position, data.draw(st.integers(0, 31)))


@pytest.mark.parametrize("name", BIASED)
@settings(max_examples=20)
@given(st.data())
def test_every_bit_of_a_bias_counts(name: str, data: st.DataObject) -> None:
    case = replay.load(name)
    position = data.draw(st.sampled_from(positions(case, "cnn_load_bias")[:16]))
    assert shows(case, position, data.draw(st.integers(0, 7)))


@pytest.mark.parametrize("name", LAYERS)
@settings(max_examples=20)
@given(st.data())
def test_every_bit_of_a_register_counts_or_is_refused(name: str, data: st.DataObject) -> None:
    case = replay.load(name)
    start = positions(case, "cnn_start")[-1]
    position = data.draw(st.sampled_from([*positions(case, "cnn_configure"), start]))
    register = register_name(case, position)
    harmless = HARMLESS.get(register, 0) | HARMLESS_HERE.get((name, register), 0)
    bits = [bit for bit in range(32) if not harmless >> bit & 1]
    bit = data.draw(st.sampled_from(bits))
    assert shows(case, position, bit), f"{register}[{bit}]"


def register_name(case: replay.Case, position: int) -> str:
    address, cnn = case.writes[position][1], case.cnn
    names = [*cnn.addresses.layer_registers.numbers, *cnn.addresses.stream_registers.numbers]
    for quadrant in range(cnn.quadrants):
        if address == cnn.register_address(quadrant, "CTL"):
            return "CTL"
        for name in names:
            if address == cnn.layer_register_address(quadrant, name, 0):
                return name
    raise AssertionError(f"0x{address:08X} is not a register of layer 0")
